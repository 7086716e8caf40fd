"""A voice that is late after a stall, said faster until it is in time again, at its own pitch.

Where sound resembles itself some periods later, both places are laid over each other and what lies between is left out
(SOLA, as in time-scale modification). Pure logic: no clock is read here.
"""

from __future__ import annotations

import numpy as np

from webrtc.media.concealment import COARSE, PcmArray

BEGIN_S = 1.0  # late by more, it does not wait for pauses...
AFTER_STALL_S = 0.1  # ...nor by more than this, when it was here that nothing ran
END_S = 0.02
VERY_LATE_S = 0.6
SLICE = 960  # samples that are shortened at a time; their ends stay as they are, so slices join
GENTLY, STRONGLY = (0.25, 0.50), (0.40, 0.67)  # the least and the most of a slice that is left out


class CatchingUp:
    """Whether, and how much, to shorten: begins with a stall and ends when the voice is in time."""

    def __init__(self) -> None:
        self.shares: tuple[float, float] | None = None  # None: not at all
        self._begin = BEGIN_S

    def stalled(self) -> None:
        """Nothing ran here for a while: what is late now is late by our fault."""
        self._begin = AFTER_STALL_S

    def note(self, late_s: float) -> None:
        """How late the voice is now."""
        if late_s > (self._begin if self.shares is None else END_S):
            self.shares = STRONGLY if late_s > VERY_LATE_S else GENTLY
        elif self.shares is not None:
            self.shares, self._begin = None, BEGIN_S


def shortened(pcm: PcmArray, shares: tuple[float, float]) -> PcmArray:
    """``pcm`` [n] int16, 48 kHz, with between the two ``shares`` of it left out; begins and ends as it did."""
    return np.concatenate([_slice(pcm[at : at + SLICE], shares) for at in range(0, max(len(pcm), 1), SLICE)])


def _slice(pcm: PcmArray, shares: tuple[float, float]) -> PcmArray:
    sound = pcm.astype(np.float64)
    coarse = sound[: len(sound) // COARSE * COARSE].reshape(-1, COARSE).mean(1)
    lags = range(int(shares[0] * len(coarse)), int(shares[1] * len(coarse)) + 1)
    if not len(coarse) or lags.start < 1:
        return pcm
    around = _alike(coarse, lags) * COARSE
    lag = _alike(sound, range(around - COARSE, around + COARSE + 1, 2))
    weight = np.linspace(0, 1, len(sound) - lag)
    return np.round(sound[: len(sound) - lag] * (1 - weight) + sound[lag:] * weight).astype(np.int16)


def _alike(sound: np.ndarray, lags: range) -> int:
    """Of some ``lags``, the one by which a sound resembles itself most: by correlation."""
    power, later = np.r_[0.0, np.cumsum(sound * sound)], np.array(lags)
    products = np.array([sound[: len(sound) - lag] @ sound[lag:] for lag in lags])
    likeness = products / (np.sqrt(power[len(sound) - later] * (power[-1] - power[later])) + 1e-9)
    return lags[int(likeness.argmax())]
