"""What networks and geometry agree on about the picture they finish together: sizes, landmarks, the lips' square."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.topology import LIP_VERTICES

PICTURE = 256  # pixels a side of what goes in
FIELD = 64  # cells a side of the whole picture
CELLS = 32  # cells a side of the square around the lips, which networks may change
LANDMARKS = LIP_VERTICES[::2]
UPPER, LOWER = slice(2, 4), slice(7, 9)  # of the landmarks: the middles of the inner rims
CORNERS = (10, 15)  # of the outer rims
WIDE, WIDEST = 0.5, 0.9  # lips' gap in widths of the portrait's mouth: films show hardly any wider


def square_at(lips: FloatArray) -> tuple[int, int]:
    """The square's upper left cell (x, y) for lips [1, 20, 2]: `engine.render.learned.mouth_patch.corner_of`."""
    middle = (lips[0].mean(0) + 1) * (FIELD / 2)
    x, y = np.clip(np.round(middle - CELLS / 2), 0, FIELD - CELLS).astype(int)
    return int(x), int(y)
