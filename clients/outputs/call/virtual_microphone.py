"""`--microphone`: the voice as a microphone that other programs can choose, in step with the camera."""

from __future__ import annotations

import time
from collections import deque

import numpy as np

from clients.outputs.call.arrival import Arrival
from clients.outputs.call.pulse_player import PulsePlayer, SoundServerGone, library
from clients.outputs.call.sound_server import CLIENT, VirtualMicrophone, connected
from clients.outputs.output import Facts, Output, Sound
from webrtc.media.voice_line import VOICE_RATE, PcmArray

NAME = "Vivify"
JUMP_S = 0.015  # a place that is more wrong than this is put right at once, a smaller one by pace
PACE = 0.003  # of a piece's samples may be left out or put in: inaudible
STEADY = 25  # pieces whose median place is believed, half a second
AGAIN_S = 1.0
BEYOND_S = (
    0.001  # from a sample's playing, by the server's figure, to its being read; measured, as docs/calls.md has it
)


class Microphone(Output):
    """Plays the voice so that each sample is read at its time; what is too late for it is left out."""

    name = "microphone"
    wants = frozenset({Sound})

    def __init__(self, label: str, arrival: Arrival) -> None:
        """Raises OutputError where pulsectl, the library or the sound server is missing."""
        library()
        with connected():
            pass
        self._label, self._arrival = label or NAME, arrival
        self._state = "starting"
        self._device: VirtualMicrophone | None = None
        self._player: PulsePlayer | None = None
        self._ended_at = 0.0
        self._written = False  # anything into this stream
        self._late: deque[float] = deque(maxlen=STEADY)
        self.cut_s = self.filled_s = 0.0  # of voice left out, of silence put in, since the start

    def start(self, facts: Facts) -> None:
        self._open()

    def sound(self, piece: Sound) -> None:
        try:
            if self._player is None:
                self._again()
            else:
                self._play(self._player, piece)
        except SoundServerGone as error:
            self._release()
            self._ended_at = time.monotonic()
            self._state = f"{error} Trying again."

    @property
    def state(self) -> str:
        return self._state

    @property
    def path_s(self) -> float:
        return self._arrival.after_s

    def close(self) -> None:
        self._release()

    def _open(self) -> None:
        self._device = VirtualMicrophone(self._label)
        self._player = PulsePlayer(self._device.sink, CLIENT, self._label)
        self._late.clear()
        self._written = False
        self._state = f"'{self._label}' ({self._device.source})"

    def _again(self) -> None:
        if time.monotonic() - self._ended_at > AGAIN_S:
            self._ended_at = time.monotonic()
            self._open()

    def _release(self) -> None:
        player, device = self._player, self._device
        self._player = self._device = None
        if player is not None:
            player.close()
        if device is not None:
            device.close()

    def _play(self, player: PulsePlayer, piece: Sound) -> None:
        """Write a piece where it belongs: after silence, cut, or a few samples longer or shorter."""
        pcm, late = piece.pcm, self._lateness(player, piece)
        if abs(late) > JUMP_S and self._written:  # after a stream ran dry, the server's figure is not to be trusted
            player = self._anew(player)
            late = self._lateness(player, piece)
        if late < -JUMP_S:
            player.write(np.zeros(samples(-late), np.int16))
            self.filled_s -= late
            self._late.clear()
        elif late > JUMP_S:
            pcm = pcm[samples(late) :]
            self.cut_s += min(late, len(piece.pcm) / VOICE_RATE)
            self._late.clear()
        else:
            self._late.append(late)
            if len(self._late) == STEADY:
                pcm = paced(pcm, float(np.median(self._late)))
        if len(pcm):
            player.write(pcm)
            self._written = True

    def _lateness(self, player: PulsePlayer, piece: Sound) -> float:
        return -self._arrival.wait_s(piece.due, player.latency_s() + BEYOND_S, time.monotonic())

    def _anew(self, player: PulsePlayer) -> PulsePlayer:
        assert self._device is not None
        player.close()
        self._player = None
        self._player = PulsePlayer(self._device.sink, CLIENT, self._label)
        self._written = False
        return self._player


def samples(seconds: float) -> int:
    return round(seconds * VOICE_RATE)


def paced(pcm: PcmArray, late_s: float) -> PcmArray:
    """The piece a little shorter where sound is late, longer where it is early; by straight lines between samples."""
    most = PACE * len(pcm)
    change = round(min(max(late_s * VOICE_RATE, -most), most))
    if not change:
        return pcm
    at = np.linspace(0, len(pcm) - 1, len(pcm) - change)
    return np.round(np.interp(at, np.arange(len(pcm)), pcm)).astype(np.int16)
