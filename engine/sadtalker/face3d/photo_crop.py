"""The square of a photo that SadTalker moves: eyes and mouth decide it, as in FFHQ."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.imaging.resampling import resized


@dataclass(frozen=True)
class Square:
    """Pixels of a photo."""

    left: int
    above: int
    side: int

    def of(self, rgb: ByteArray, pixels: int) -> ByteArray:
        """What lies in it, ``pixels`` high and wide."""
        inside = rgb[self.above : self.above + self.side, self.left : self.left + self.side]
        return resized(np.ascontiguousarray(inside), pixels, pixels)


def face_square(landmarks: FloatArray, height: int, width: int) -> Square:
    """The square around a face [478, 2 or 3]. Where the photo ends before it does, the largest that fits.

    The released code leaves such a square a rectangle and distorts it.
    """
    mesh = landmarks[:, :2].astype(np.float64)
    eyes = [mesh[list(rim)].mean(0) for rim in (top.EYE_RIGHT, top.EYE_LEFT)]
    mouth = mesh[[top.LIP_OUTER_UPPER[0], top.LIP_OUTER_UPPER[-1]]].mean(0)
    between = 0.5 * (eyes[0] + eyes[1])
    across, down = eyes[1] - eyes[0], mouth - between
    x = across - np.array([-down[1], down[0]])
    x *= max(2.0 * np.hypot(*across), 1.8 * np.hypot(*down)) / np.hypot(*x)
    y = np.array([-x[1], x[0]])
    centre = between + 0.1 * down
    corners = np.stack([centre - x - y, centre - x + y, centre + x + y, centre + x - y])
    low = np.maximum(corners.min(0), 0.0)
    high = np.minimum(corners.max(0), (width, height))
    side = int(max(1.0, min(high - low)))
    left, above = (0.5 * (low + high - side)).astype(int)
    return Square(int(np.clip(left, 0, width - side)), int(np.clip(above, 0, height - side)), side)
