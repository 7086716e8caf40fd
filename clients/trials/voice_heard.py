"""How a voice came back: what is left of it, laid against what was said, piece by piece."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
from av import AudioFrame

from clients.trials.monitor import Monitor
from engine.contracts import FloatArray
from webrtc.media.voice_line import PIECE, VOICE_RATE

BLOCK = VOICE_RATE // 2  # the voice is laid against what came back so much at a time: its delay may change
REACH = VOICE_RATE // 25  # how far the delay may have moved since the last block
AS_GOOD = 0.95  # of the best resemblance: then the delay has not moved
SPOKEN = 0.03  # of full scale: pieces said louder than that count
NEAR_SILENCE = 0.1  # of the level said
WINDOW = 2 * PIECE
EDGES_HZ = np.geomspace(100, 7000, 25)  # of the bands that are compared: Opus keeps them, and not the waveform
FLOOR = 1e-8  # mean square (full scale is 1) of a band that nobody hears
UNLIKE_DB = 6.0  # mean difference of the bands


@dataclass(slots=True)
class Ear(Monitor):
    """A monitor that keeps the sound."""

    parts: list[FloatArray] = field(default_factory=list)

    def add_sound(self, frame: AudioFrame) -> None:
        Monitor.add_sound(self, frame)
        samples = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)[:, 0]
        self.parts.append(samples.astype(np.float32) / 32768)

    def sound(self) -> FloatArray:
        return np.concatenate(self.parts)


@dataclass(frozen=True, slots=True)
class VoiceHeard:
    """Shares of the 20 ms pieces in which something was said."""

    silent_percent: float
    unlike_percent: float
    largest_jump: float  # between two samples, as a multiple of the largest in what was said

    @staticmethod
    def of(heard: FloatArray, said: FloatArray) -> VoiceHeard:
        silent, unlike = [], []
        at = first = _best(heard, said[: 4 * VOICE_RATE], 0, 4 * VOICE_RATE)
        for begin in range(0, len(said) - BLOCK, BLOCK):
            block = said[begin : begin + BLOCK]
            at = _best(heard, block, at - REACH, at + REACH, at)
            if at + BLOCK > len(heard):
                break
            for piece in range(0, BLOCK - PIECE, PIECE):
                wanted, came = block[piece : piece + WINDOW], heard[at + piece : at + piece + WINDOW]
                level, loud = _level(wanted[:PIECE]), _level(came[:PIECE])
                if level > SPOKEN:
                    silent.append(loud < NEAR_SILENCE * level)
                    unlike.append(float(np.abs(_bands(wanted) - _bands(came)).mean()) > UNLIKE_DB)
            at += BLOCK
        jump = np.abs(np.diff(heard[first:at])).max() / np.abs(np.diff(said)).max()
        return VoiceHeard(_percent(silent), _percent(unlike), round(float(jump), 2))


def _percent(found: list[bool]) -> float:
    return round(100 * float(np.mean(found)), 2)


def _level(sound: FloatArray) -> float:
    return float(np.sqrt(np.mean(np.square(sound))))


def _bands(sound: FloatArray) -> npt.NDArray[np.float64]:
    """dB."""
    power = np.square(np.abs(np.fft.rfft(sound * np.hanning(len(sound))))) * 2 / len(sound) ** 2
    starts = np.searchsorted(np.fft.rfftfreq(len(sound), 1 / VOICE_RATE), EDGES_HZ)
    bands = np.add.reduceat(power, starts)[:-1]
    return np.asarray(10 * np.log10(np.maximum(bands, FLOOR)), np.float64)


def _best(heard: FloatArray, wanted: FloatArray, least: int, most: int, usual: int | None = None) -> int:
    """Where between ``least`` and ``most`` ``heard`` resembles ``wanted`` most; ``usual``, if it is as good."""
    least, most = max(least, 0), max(min(most, len(heard) - len(wanted)), 0)
    part = heard[least : most + len(wanted)]
    size = 1 << (len(part) + len(wanted)).bit_length()
    alike = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(wanted, size)))[: max(most - least, 0) + 1]
    energy = np.concatenate([[0.0], np.cumsum(np.square(part, dtype=np.float64))])
    there = energy[len(wanted) :][: len(alike)] - energy[: len(alike)]
    score = alike[: len(there)] / np.sqrt(there + 1e-3)
    if usual is not None and 0 <= usual - least < len(score) and score[usual - least] > AS_GOOD * score.max():
        return usual
    return least + int(np.argmax(score))
