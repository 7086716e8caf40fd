"""Curves over time made as smooth as a head moves: a parabola through the frames around each (Savitzky, Golay 1964)."""

from __future__ import annotations

import numpy as np


def steadied(x: np.ndarray, span: int) -> np.ndarray:
    """``x`` [T, ...], each frame by a parabola through ``span`` frames around it, the ends by that of the end's.

    Fewer frames than ``span`` take a shorter one; fewer than three stay as they are.
    """
    span = min(span, 2 * ((len(x) - 1) // 2) + 1)
    if span < 3:
        return x
    half = span // 2
    place = np.arange(-half, half + 1)[:, None] ** np.arange(3)
    onto = place @ np.linalg.pinv(place)  # [span, span], from a window's frames to its parabola
    inner = np.tensordot(np.lib.stride_tricks.sliding_window_view(x, span, axis=0), onto[half], 1)
    begin, end = np.tensordot(onto[:half], x[:span], 1), np.tensordot(onto[half + 1 :], x[-span:], 1)
    return np.concatenate([begin, inner, end])
