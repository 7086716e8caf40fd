"""Drawn teeth: shaped, and no two alike."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.teeth import HALF_ARC, REACH, UPPER_WIDTHS, paint_arch

pytestmark = pytest.mark.cpu


def test_neighbours_differ_and_part_at_their_ends() -> None:
    tooth, gum = np.array([220.0, 210, 190]), np.array([160.0, 80, 80])
    drawn = paint_arch(430, 180, tooth, gum, True)[..., 0]
    ends = np.cumsum(UPPER_WIDTHS)

    def column(arc: float) -> np.ndarray:
        return drawn[:, round((arc + HALF_ARC) / (2 * HALF_ARC) * 429)]

    def row(above: float) -> int:
        return round((REACH - above) / REACH * 179)

    middles = [
        column(side * (end - 0.5 * wide)) for side in (-1, 1) for end, wide in zip(ends, UPPER_WIDTHS, strict=True)
    ]
    bright = np.array([middle[row(0.4)] for middle in middles]).reshape(2, -1)
    assert (np.abs(np.diff(bright, axis=1)) > 1).all(), "no two neighbours are alike"
    assert (np.abs(bright[0, :4] - bright[1, :4]) > 0.5).all(), "nor are the sides"
    gap = column(ends[0])
    low, high = (middles[0][row(v)] - gap[row(v)] for v in (0.06, 0.6))
    assert low > 1.3 * high > 0, "where their corners part, the shadow is deepest"
