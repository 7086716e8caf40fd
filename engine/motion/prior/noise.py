"""How much noise a level is, the levels of a stream, and one step down (SDE-DPM-Solver++ 2M, Lu et al. 2022).

With six steps of DDIM at even levels, slow and wide movements would come out with half of their spread: the first
steps, of noise alone, know nothing of them and take it away. Even in the logarithm of signal to noise, and with the
clean values of the step before to lean on, a Gaussian keeps .92 to 1.01 of its spread, be it 1 or 7 times the noise's.
At each step part of the noise is drawn anew: what a step got wrong is not carried on, and faces spread as filmed ones.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from engine.contracts import FloatArray

STEPS = 1000  # noise levels: 0 is clean, 1000 is noise alone
_TOP = 0.9999  # of a quarter turn: at the last level a little is left to divide by
_FIRST, _LAST = 88.0, 10.0  # degrees of that quarter turn, at which a stream's tokens come in and are told clean

Levels = NDArray[np.float64]


def shares(level: Levels) -> tuple[FloatArray, FloatArray]:
    """How much of the clean values and how much of the noise there is at a level [...]: a cosine schedule."""
    angle = 0.5 * np.pi * _TOP * np.asarray(level, np.float64) / STEPS
    return np.cos(angle).astype(np.float32), np.sin(angle).astype(np.float32)


def ladder(rungs: int) -> Levels:
    """Levels [rungs + 1] from clean to all but noise alone: tokens of a stream go down a rung a time."""
    first, last = (-np.log(np.tan(np.radians(angle))) for angle in (_FIRST, _LAST))
    angles = np.degrees(np.arctan(np.exp(-np.linspace(last, first, rungs))))
    return np.r_[0.0, STEPS * angles / (90.0 * _TOP)]


def leanings(levels: Levels) -> FloatArray:
    """How much each rung [rungs] leans on what was told one rung above: not at all at both ends of the ladder."""
    signal, noise = (np.asarray(share, np.float64)[1:] for share in shares(levels))
    ratio = np.log(signal / noise)
    out = np.zeros(len(levels) - 1)
    out[1:-1] = 0.5 * np.diff(ratio[:-1]) / np.diff(ratio[1:])
    return out.astype(np.float32)


def kept(levels: Levels) -> FloatArray:
    """How much of the noise each rung [rungs] hands down; the rest is drawn anew, as the equation has it."""
    signal, noise = (np.asarray(share, np.float64) for share in shares(levels))
    return np.asarray((noise[:-1] * signal[1:]) / (signal[:-1] * noise[1:]), np.float32)


def step_down(
    noisy: FloatArray, clean: FloatArray, before: FloatArray, fresh: FloatArray, levels: Levels
) -> FloatArray:
    """Values [B, W, F] on every rung of a ladder, one rung lower.

    ``clean`` is what they are told to be, ``before`` what they were told a rung above, ``fresh`` new noise.
    """
    signal, noise = (share[:, None] for share in shares(levels))
    told = clean + leanings(levels)[:, None] * (clean - before)
    error = (noisy - signal[1:] * told) / noise[1:]
    old = kept(levels)[:, None]
    return np.asarray(signal[:-1] * told + noise[:-1] * (old * error + np.sqrt(1 - old**2) * fresh), np.float32)
