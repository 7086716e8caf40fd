"""Making up what is missing of a sound: its last period again and again, fading, and joins without a crack.

For codecs that conceal nothing themselves, and for a voice that breaks off. Pure logic: no clock is read here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

PcmArray = npt.NDArray[np.int16]

RATE = 48_000
PAST = 60 * RATE // 1000  # samples looked back at: four of the longest periods
JOIN = 5 * RATE // 1000  # samples over which one sound goes over into another
FULL = 10 * RATE // 1000  # repeated as loud as it was; then fading...
GONE = 70 * RATE // 1000  # ...to nothing here: longer repeats sound like a machine
COARSE = 6  # the period is looked for at 8 kHz first
SHORTEST, LONGEST = 20, 120  # periods at 8 kHz: voices of 400 to 67 Hz
ALIKE = 160  # samples at 8 kHz (20 ms) that must resemble those a period ago
VOICED = 0.4  # correlation below which there is no period: noise is repeated in the longest pieces


class FadedRepeat:
    """Goes on where ``past`` [n] int16 broke off."""

    def __init__(self, past: PcmArray) -> None:
        sound = np.zeros(PAST)
        tail = past[-PAST:]
        sound[PAST - len(tail) :] = tail
        period = _period(sound)
        cycle = sound[-period:].copy()
        seam = period // 4  # a cycle's end goes over into what stood before its beginning: it repeats without a crack
        cycle[-seam:] = _mixed(cycle[-seam:], sound[-period - seam : -period])
        self._cycle = cycle
        self._step = sound[-1] - cycle[0]  # what the very first join lacks, taken out over JOIN samples
        self._given = 0

    @property
    def audible(self) -> bool:
        return self._given < GONE

    def next(self, samples: int) -> PcmArray:
        """The next ``samples`` of it [samples] int16."""
        at = np.arange(self._given, self._given + samples)
        self._given += samples
        gain = np.clip((GONE - at) / (GONE - FULL), 0, 1)
        step = self._step * np.clip(1 - at / JOIN, 0, 1)
        return _pcm(gain * (self._cycle[at % len(self._cycle)] + step))


def joined(old: PcmArray, new: PcmArray) -> PcmArray:
    """``new`` [n], gone over into from ``old`` [<= n], which says the same time otherwise."""
    out = new.copy()
    out[: len(old)] = _pcm(_mixed(old.astype(np.float64), new[: len(old)].astype(np.float64)))
    return out


def _mixed(old: npt.NDArray[np.float64], new: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    weight = (np.arange(len(old)) + 0.5) / max(len(old), 1)
    return np.asarray(old * (1 - weight) + new * weight, np.float64)


def _pcm(sound: npt.NDArray[np.float64]) -> PcmArray:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def _period(sound: npt.NDArray[np.float64]) -> int:
    """After how many samples the end of ``sound`` [PAST] resembles itself most."""
    coarse = sound.reshape(-1, COARSE).mean(1)
    end = coarse[-ALIKE:]
    windows = np.lib.stride_tricks.sliding_window_view(coarse, ALIKE)
    earlier = windows[len(windows) - 1 - LONGEST : len(windows) - SHORTEST][::-1]  # by SHORTEST first
    strength = np.sqrt((earlier**2).sum(1) * (end**2).sum()) + 1e-9
    alike = earlier @ end / strength
    best = int(np.argmax(alike))
    if alike[best] < VOICED:
        return LONGEST * COARSE
    around = range((best + SHORTEST - 1) * COARSE, (best + SHORTEST + 1) * COARSE + 1)
    length = ALIKE * COARSE // 2
    last = sound[-length:]
    return min(around, key=lambda lag: float(np.abs(last - sound[-length - lag : -lag]).sum()))
