"""The mark laid into luma, in plain numpy: the definition of correct."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


@dataclass(frozen=True, slots=True)
class Strengths:
    """How strong a mark is, in grey levels, by the detail that it hides in: the mean step to the left and upper pixel.

    ``base`` where there is none and ``gain`` for each level of it, ``top`` at most; beyond ``knee`` it falls by
    ``fall`` for each, down to ``low``. The root mean square over a picture is ``loudest`` at most: its PSNR is
    44 dB at least.
    """

    cell: int  # pixels: within a square of so many detail is measured
    base: float
    gain: float
    top: float
    knee: float
    fall: float
    low: float
    loudest: float


USUAL = Strengths(8, 1.3, 1.0, 3.0, 6.0, 0.2, 0.8, 2.0)  # what pictures are marked with


def add_mark(luma: Bytes, pattern: npt.NDArray[np.int8], by: Strengths) -> Bytes:
    """``luma`` [H, W] with ``pattern`` [H, W] (127 is 1) in it; strengths are interpolated between cells' middles."""
    grey = luma.astype(np.float64)
    steps = np.abs(np.diff(grey, axis=1, prepend=grey[:, :1])) + np.abs(np.diff(grey, axis=0, prepend=grey[:1]))
    height, width = grey.shape
    detail = steps.reshape(height // by.cell, by.cell, width // by.cell, by.cell).mean((1, 3))
    strength = np.minimum(by.base + by.gain * detail, by.top)
    strength = np.minimum(strength, np.maximum(by.top - by.fall * (detail - by.knee), by.low))
    strength = strength * min(1.0, by.loudest / float(np.sqrt((strength**2).mean())))
    strength = _between(_between(strength, by.cell).T, by.cell).T
    return np.clip(np.floor(grey + strength * pattern / 127.0 + 0.5), 16, 235).astype(np.uint8)


def _between(cells: Floats, cell: int) -> Floats:
    """Rows of cells [n, m] interpolated to rows of pixels [n * cell, m]; beyond the outer middles they stay."""
    at = np.clip((np.arange(len(cells) * cell) + 0.5) / cell - 0.5, 0, len(cells) - 1)
    low = np.minimum(at.astype(int), max(len(cells) - 2, 0))
    share = (at - low)[:, None]
    return cells[low] * (1 - share) + cells[np.minimum(low + 1, len(cells) - 1)] * share
