"""Where OpenCV's warp reads a turned rectangle of a picture, to the last bit.

mediapipe cuts its networks' pictures with OpenCV, which reads at whole 32nds of a pixel. In a picture 564 pixels wide
half of all places lie exactly between two of these, and the rounding noise of its arithmetic decides; the matte then
differs by up to 17 of 255 where anything else decides. So the arithmetic is repeated here, in its order: the transform
from four corners, by elimination; its inverse, by cofactors; the places, in stretches of 64 pixels.
"""

from __future__ import annotations

import numpy as np

STEPS = 32  # places between two pixels
STRETCH = 64  # pixels
TINY = 1e-17  # what, added to 1, leaves 1


def corners(x: float, y: float, width: float, height: float, angle: float) -> np.ndarray:
    """Low left, high left, high right, low right corner [4, 2] of a rectangle with its middle at ``x``, ``y``."""
    middle_x, middle_y, wide, tall = np.array([x, y, width, height], np.float32)
    cos, sin = np.array([np.cos(angle), np.sin(angle)], np.float32) * np.float32(0.5)
    low = middle_x - sin * tall - cos * wide, middle_y + cos * tall - sin * wide
    high = middle_x + sin * tall - cos * wide, middle_y - cos * tall - sin * wide
    opposite = [(2 * middle_x - a, 2 * middle_y - b) for a, b in (low, high)]
    return np.array([low, high, *opposite], np.float64)


def transform(source: np.ndarray, side: int) -> np.ndarray:
    """The perspective transform [3, 3] that takes the corners ``source`` [4, 2] to those of a square."""
    target = np.array([[0, side], [0, 0], [side, 0], [side, side]], np.float64)
    a, b = np.zeros((8, 8)), target.T.reshape(-1).copy()
    a[:4, :2] = a[4:, 3:5] = source
    a[:4, 2] = a[4:, 5] = 1
    a[:4, 6:] = -source * target[:, :1]
    a[4:, 6:] = -source * target[:, 1:]
    for k in range(8):
        best = k + int(np.abs(a[k:, k]).argmax())
        if best != k:
            a[[k, best]], b[[k, best]] = a[[best, k]], b[[best, k]]
        share = a[k + 1 :, k] * (-1 / a[k, k])
        a[k + 1 :, k + 1 :] += share[:, None] * a[k, k + 1 :]
        b[k + 1 :] += share * b[k]
    found = b.tolist()
    for k in range(7, -1, -1):
        for j in range(k + 1, 8):
            found[k] -= float(a[k, j]) * found[j]
        found[k] /= float(a[k, k])
    return np.array([*found, 1.0]).reshape(3, 3)


def inverse(matrix: np.ndarray) -> list[list[float]]:
    (a, b, c), (d, e, f), (g, h, i) = matrix.tolist()
    whole = 1 / (a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g))
    return [
        [(e * i - f * h) * whole, (c * h - b * i) * whole, (b * f - c * e) * whole],
        [(f * g - d * i) * whole, (a * i - c * g) * whole, (c * d - a * f) * whole],
        [(d * h - e * g) * whole, (b * g - a * h) * whole, (a * e - b * d) * whole],
    ]


def places(rows: list[list[float]], down: np.ndarray, side: int) -> tuple[np.ndarray, np.ndarray]:
    """Where the square's pixels in the rows ``down`` [n] are read: x and y [n, side], in 32nds of a picture's pixel.

    ``rows`` are the transform's that takes the square to the picture.
    """
    column = np.arange(side, dtype=np.float64)
    begin = column // STRETCH * STRETCH
    within, down = column - begin, down[:, None]
    out = []
    share = _along(rows[2], begin, within, down, 1) if side * (abs(rows[2][0]) + abs(rows[2][1])) > TINY else None
    for row in rows[:2]:
        at = _along(row, begin, within, down, STEPS if share is None else 1)
        if share is not None:
            at *= STEPS / share
        out.append(np.rint(at, out=at).astype(np.int64))
    return out[0], out[1]


def _along(row: list[float], begin: np.ndarray, within: np.ndarray, down: np.ndarray, times: int) -> np.ndarray:
    """One row of the transform for all pixels; ``times`` is a power of two, which changes no digit."""
    to_x, to_y, shift = (times * v for v in row)
    out = to_x * begin + to_y * down
    out += shift
    out += to_x * within
    return out
