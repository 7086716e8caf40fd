"""Pictures made softer, areas grown and shrunk, and how far things are from them."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

REACH = 4.0  # standard deviations after which a bell ends


def blur(picture: np.ndarray, across: float, down: float | None = None) -> FloatArray:
    """``picture`` [H, W, ...] under a bell of ``across`` pixels' standard deviation, ``down`` where it is another.

    Beyond its edges the picture is its mirror image.
    """
    from scipy.ndimage import gaussian_filter1d

    out = np.asarray(picture, np.float32)
    for axis, sigma in ((0, across if down is None else down), (1, across)):
        out = gaussian_filter1d(out, sigma, axis=axis, mode="mirror", truncate=REACH)
    return out


def grow(area: np.ndarray, by: int) -> np.ndarray:
    """The largest value within ``by`` pixels sideways and upwards, the smallest where ``by`` is negative."""
    from scipy.ndimage import maximum_filter, minimum_filter

    way = maximum_filter if by > 0 else minimum_filter
    return np.asarray(way(area, size=2 * abs(by) + 1, mode="nearest")) if by else area


def distance_from(area: np.ndarray) -> FloatArray:
    """How far each pixel is from the nearest one of ``area`` [H, W], bool; without any, as far as can be."""
    from scipy.ndimage import distance_transform_edt

    if not area.any():
        return np.full(area.shape, float(sum(area.shape)), np.float32)
    return np.asarray(distance_transform_edt(~area), np.float32)


def soften(values: FloatArray, radius: int) -> FloatArray:
    """``values`` [H, W] evened twice over squares that reach ``radius`` pixels: a bell with an end."""
    from scipy.ndimage import uniform_filter

    once = uniform_filter(np.asarray(values, np.float32), 2 * radius + 1, mode="reflect")
    return np.asarray(uniform_filter(once, 2 * radius + 1, mode="reflect"))
