"""Pictures made softer, and areas grown and shrunk."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

AT_ONCE = 1 << 16  # numbers: what is small stays in the cache
REACH = 4.0  # standard deviations after which a bell ends


def blur(picture: np.ndarray, across: float, down: float | None = None) -> FloatArray:
    """``picture`` [H, W, ...] under a bell of ``across`` pixels' standard deviation, ``down`` where it is another.

    Beyond its edges the picture is its mirror image.
    """
    out = np.asarray(picture, np.float32)
    for axis, sigma in ((0, across if down is None else down), (1, across)):
        reach = int(REACH * sigma + 0.5)
        bell = np.exp(-0.5 * (np.arange(reach + 1) / sigma) ** 2)
        bell /= 2 * bell.sum() - bell[0]
        out = _weighed(out, bell.astype(np.float32), axis)
    return out


def _weighed(picture: FloatArray, half: FloatArray, axis: int) -> FloatArray:
    """The sum along ``axis`` (0, 1) of what lies around each pixel, weighed by ``half`` [r + 1] to both sides."""
    reach, count = len(half) - 1, picture.shape[axis]
    ends = [(reach, reach) if k == axis else (0, 0) for k in range(picture.ndim)]
    padded = np.pad(picture, ends, mode="reflect" if count > 1 else "edge")
    out = np.empty(picture.shape, np.float32)
    rows = max(1, AT_ONCE * len(out) // max(out.size, 1))
    for top in range(0, len(out), rows):
        total = out[top : top + rows]
        end = top + len(total)
        ways = range(2 * reach + 1)
        moved = [padded[top + k : end + k] if axis == 0 else padded[top:end, k : k + count] for k in ways]
        np.multiply(moved[reach], half[0], out=total)
        both = np.empty_like(total)
        for k in range(1, reach + 1):
            np.add(moved[reach - k], moved[reach + k], out=both)
            both *= half[k]
            total += both
    return out


def grow(area: np.ndarray, by: int) -> np.ndarray:
    """The largest value within ``by`` pixels sideways and upwards, the smallest where ``by`` is negative."""
    choose = np.maximum if by > 0 else np.minimum
    out = area
    for axis in (0, 1):
        count, source = area.shape[axis], np.moveaxis(out, axis, 0)
        moved = source.copy()
        for k in range(1, min(abs(by), count - 1) + 1):
            choose(moved[k:], source[:-k], out=moved[k:])
            choose(moved[:-k], source[k:], out=moved[:-k])
        out = np.moveaxis(moved, 0, axis)
    return out


def soften(values: FloatArray, radius: int) -> FloatArray:
    """``values`` [H, W] evened twice over squares that reach ``radius`` pixels: a bell with an end."""
    out = values
    for axis in (0, 1, 0, 1):
        ends = [(radius + 1, radius) if k == axis else (0, 0) for k in range(2)]
        sums = np.pad(out, ends, mode="symmetric").cumsum(axis, dtype=np.float64)
        high, low = (np.moveaxis(sums, axis, 0)[k : k + values.shape[axis]] for k in (2 * radius + 1, 0))
        out = np.moveaxis((high - low) / (2 * radius + 1), 0, axis)
    return np.asarray(out, np.float32)
