"""What is nearest: to pixels of a window, and to places in a picture."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.imaging.smoothing import grow

AT_ONCE = 1 << 18  # distances: what is small stays in the cache


def nearest_known(known: np.ndarray, tall: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Row and column [h, w] of the pixel of ``known`` [h, w] nearest to each; ``tall`` times as far up and down.

    In two steps: the nearest one in each column, then the best of all columns.
    """
    height, width = known.shape
    row = np.arange(height)[:, None]
    above = np.maximum.accumulate(np.where(known, row, -height * width), axis=0)
    below = np.minimum.accumulate(np.where(known, row, height * width)[::-1], axis=0)[::-1]
    in_column = np.where(row - above <= below - row, above, below)
    apart = (tall * (in_column - row)) ** 2
    column = np.arange(width)
    aside = ((column[:, None] - column) ** 2).astype(np.float32)  # [w, w]
    best = np.empty((height, width), np.int64)
    step = max(1, AT_ONCE // width**2)
    for k in range(0, height, step):
        best[k : k + step] = (apart[k : k + step, None].astype(np.float32) + aside).argmin(-1)
    return np.take_along_axis(in_column, best, axis=1), best


def nearest_points(places: FloatArray, points: FloatArray) -> tuple[np.ndarray, FloatArray]:
    """Which of ``points`` [m, 2] is nearest to each of ``places`` [n, 2], and how far it is: both [n]."""
    which, far = np.empty(len(places), np.int64), np.empty(len(places), np.float32)
    (x, y), (to_x, to_y) = (np.asarray(v, np.float32).T for v in (places, points))
    step = max(1, AT_ONCE // max(len(points), 1))
    for k in range(0, len(places), step):
        part = slice(k, k + step)
        apart = (x[part, None] - to_x) ** 2
        apart += (y[part, None] - to_y) ** 2
        which[part] = apart.argmin(1)
        far[part] = np.sqrt(np.take_along_axis(apart, which[part, None], axis=1)[:, 0])
    return which, far


def border(area: np.ndarray) -> FloatArray:
    """Places x, y [n, 2] of the pixels of ``area`` [H, W], bool, that have others beside them, or the picture's edge.

    To whatever lies outside the area, its nearest pixel is one of these.
    """
    inner = grow(area, -1)
    inner[[0, -1]] = inner[:, [0, -1]] = False
    return np.argwhere(area & ~inner)[:, ::-1].astype(np.float32)


def distance_to(area: np.ndarray, places: FloatArray) -> FloatArray:
    """How far ``places`` [n, 2] are from the nearest pixel of ``area`` [H, W], bool; 0 on it.

    Without any pixel, as far as can be.
    """
    if not area.any():
        return np.full(len(places), sum(area.shape), np.float32)
    x, y = np.clip(np.round(places).astype(int), 0, np.array(area.shape[::-1]) - 1).T
    out = np.zeros(len(places), np.float32)
    outside = ~area[y, x]
    out[outside] = nearest_points(places[outside], border(area))[1]
    return out
