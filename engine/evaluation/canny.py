"""Edges one pixel thin (Canny 1986): where a smoothed picture changes most, and what hangs on to such places."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

WEAK, STRONG = 0.1, 0.2  # Sobel slopes of a picture in [0, 1] that can be an edge, and that make one
TINY = 1e-12


def edges(grey: FloatArray, sigma: float = 1.0) -> np.ndarray:
    """Edge pixels of ``grey`` [H, W] in [0, 1]: bool [H, W]."""
    from scipy.ndimage import gaussian_filter, label, sobel

    share = gaussian_filter(np.ones_like(grey), sigma, mode="constant")  # at the border only part of the bell counts
    smooth = gaussian_filter(grey, sigma, mode="constant") / (share + np.finfo(grey.dtype).eps)
    down, across = sobel(smooth, axis=0), sobel(smooth, axis=1)
    slope = np.hypot(down, across)
    thin = _is_ridge(slope, down, across) & (slope >= WEAK)
    pieces, count = label(thin, np.ones((3, 3)))
    kept = np.zeros(count + 1, bool)
    kept[np.unique(pieces[thin & (slope >= STRONG)])] = True
    return np.asarray(kept[pieces] & thin)


def _is_ridge(slope: FloatArray, down: FloatArray, across: FloatArray) -> np.ndarray:
    """Where ``slope`` is no less than a step further along the gradient, and a step back."""
    steep = np.abs(down) > np.abs(across)
    share = np.minimum(np.abs(down), np.abs(across)) / np.maximum(np.maximum(np.abs(down), np.abs(across)), TINY)
    y, x = (np.where(v >= 0, 1, -1) for v in (down, across))
    rows, columns = np.mgrid[1 : slope.shape[0] - 1, 1 : slope.shape[1] - 1]
    inner = np.s_[1:-1, 1:-1]
    out = np.zeros(slope.shape, bool)
    out[inner] = True
    for way in (1, -1):
        to_y, to_x = way * y[inner], way * x[inner]
        straight = np.where(steep[inner], slope[rows + to_y, columns], slope[rows, columns + to_x])
        aslant = slope[rows + to_y, columns + to_x]
        out[inner] &= aslant * share[inner] + straight * (1 - share[inner]) <= slope[inner]
    return out
