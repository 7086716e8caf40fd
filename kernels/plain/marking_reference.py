"""The mark laid into luma, in plain numpy: the definition of correct."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Bytes = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.floating[Any]]


def add_mark(luma: Bytes, pattern: npt.NDArray[np.int8], cell: int, base: float, gain: float, top: float) -> Bytes:
    """``luma`` [H, W] with ``pattern`` [H, W] (127 is 1) in it: at least ``base`` grey levels strong, at most ``top``.

    Between them, ``gain`` for each level of detail: the mean step to the left and upper neighbour within a square of
    ``cell`` pixels. Strengths are interpolated between the squares' middles.
    """
    grey = luma.astype(np.float64)
    steps = np.abs(np.diff(grey, axis=1, prepend=grey[:, :1])) + np.abs(np.diff(grey, axis=0, prepend=grey[:1]))
    height, width = grey.shape
    detail = steps.reshape(height // cell, cell, width // cell, cell).mean((1, 3))
    strength = np.minimum(base + gain * detail, top)
    strength = _between(_between(strength, cell).T, cell).T
    return np.clip(np.floor(grey + strength * pattern / 127.0 + 0.5), 16, 235).astype(np.uint8)


def _between(cells: Floats, cell: int) -> Floats:
    """Rows of cells [n, m] interpolated to rows of pixels [n * cell, m]; beyond the outer middles they stay."""
    at = np.clip((np.arange(len(cells) * cell) + 0.5) / cell - 0.5, 0, len(cells) - 1)
    low = np.minimum(at.astype(int), max(len(cells) - 2, 0))
    share = (at - low)[:, None]
    return cells[low] * (1 - share) + cells[np.minimum(low + 1, len(cells) - 1)] * share
