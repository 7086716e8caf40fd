"""A sound file as a microphone: 20 ms pieces in real time, silence before and after."""

from __future__ import annotations

import asyncio
import time

import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from engine.contracts import FloatArray
from webrtc.media.voice_line import PIECE, VOICE_RATE, PcmArray
from webrtc.rtc.tracks import sound_frame


class Microphone(MediaStreamTrack):
    """Starts when `start` is called: ``lead_in_s`` of silence, the voice (float32 [n], 48 kHz), then silence.

    With ``again`` the voice is read over and over instead.

    Like a real one it hands out a piece when its last sample has been captured.
    """

    kind = "audio"

    def __init__(self, voice: FloatArray, lead_in_s: float, again: bool = False) -> None:
        super().__init__()
        self._again = again
        self.voice = voice
        self._lead_in = round(lead_in_s * VOICE_RATE)
        self.pcm: PcmArray = np.round(32767 * voice).astype(np.int16)
        self._sent = 0
        self._began: float | None = None
        self._started = asyncio.Event()

    def start(self) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self._started.set()

    @property
    def spoken_s(self) -> float:
        """Seconds sent so far, the lead-in included."""
        return self._sent / VOICE_RATE

    def captured(self, sample: float) -> float:
        """The monotonic time at which a sample of the voice was "in the air"."""
        assert self._began is not None
        return self._began + (self._lead_in + sample) / VOICE_RATE

    async def recv(self) -> AudioFrame:
        await self._started.wait()
        assert self._began is not None
        due = self._began + (self._sent + PIECE) / VOICE_RATE
        await asyncio.sleep(max(due - time.monotonic(), 0.0))
        if self.readyState != "live":
            raise MediaStreamError
        frame = sound_frame(self._piece(), self._sent)
        self._sent += PIECE
        return frame

    def _piece(self) -> PcmArray:
        first = self._sent - self._lead_in
        if self._again and first >= 0:
            return np.take(self.pcm, np.arange(first, first + PIECE), mode="wrap")
        piece = np.zeros(PIECE, np.int16)
        part = self.pcm[max(first, 0) : max(first + PIECE, 0)]
        offset = max(-first, 0) if first < 0 else 0
        piece[offset : offset + len(part)] = part
        return piece
