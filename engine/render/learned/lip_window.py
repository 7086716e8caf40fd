"""How much of the square around the lips a network of one's own may change: all within them, less and less beyond.

Its colours are the film's and the skin around it the photo's, so that it ends softly: a border would be seen as a seam.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.surround import smoothstep
from engine.imaging.shapes import inside
from engine.render.learned.lip_square import CELLS, CORNERS, FIELD, LOWER, UPPER, WIDE, WIDEST, square_at

OUTER = slice(10, 20)  # of the landmarks: the outer rim, once around
REACH = 4.5  # cells beyond the lips at which nothing is changed


def lip_window(lips_reference: FloatArray, lips: FloatArray) -> FloatArray:
    """1 to 0 [1, 1, 32, 32] around lips [1, 20, 2] in [-1, 1]; 0 for mouths wider than films show."""
    x, y = square_at(lips)
    at = np.arange(CELLS) + 0.5
    points = (lips[0] + 1) * (FIELD / 2) - (x, y)  # [20, 2] cells of the square
    away = np.hypot(at - points[:, None, None, 0], at[:, None] - points[:, None, None, 1]).min(0)  # [32, 32]
    away[inside(at, at[:, None], points[OUTER])] = 0
    gap = np.linalg.norm(lips[0, UPPER].mean(0) - lips[0, LOWER].mean(0))
    width = np.linalg.norm(lips_reference[0, CORNERS[0]] - lips_reference[0, CORNERS[1]])
    sure = np.clip((WIDEST - gap / max(float(width), 1e-3)) / (WIDEST - WIDE), 0, 1)
    return np.asarray(sure * (1 - smoothstep(away / REACH)), np.float32)[None, None]
