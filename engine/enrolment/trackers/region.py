"""A turned rectangle of a picture as the little square that a network looks at, colour by colour.

Sampled as mediapipe samples: bilinearly at whole 32nds of a pixel, the square's first pixel on the rectangle's very
corner.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.trackers.perspective import STEPS, corners, inverse, places, transform

AT_ONCE = 32  # rows
SHIFT = STEPS.bit_length() - 1


@dataclass(frozen=True)
class Region:
    """A rectangle in pixels, counted from the picture's corner."""

    x: float  # its middle
    y: float
    width: float
    height: float
    angle: float = 0.0  # radians, clockwise as seen

    @classmethod
    def whole(cls, rgb: ByteArray) -> Region:
        """The whole picture."""
        return cls(rgb.shape[1] / 2, rgb.shape[0] / 2, rgb.shape[1], rgb.shape[0])

    def squared(self, scale: float = 1.0) -> Region:
        """The square over the longer side, ``scale`` times as large."""
        side = scale * max(self.width, self.height)
        return Region(self.x, self.y, side, side, self.angle)

    def overlap(self, other: Region) -> float:
        """Shared area over joint area, as if neither were turned."""
        across, down = (
            max(0.0, min(a + u / 2, b + v / 2) - max(a - u / 2, b - v / 2))
            for a, u, b, v in (
                (self.x, self.width, other.x, other.width),
                (self.y, self.height, other.y, other.height),
            )
        )
        shared = across * down
        return shared / (self.width * self.height + other.width * other.height - shared)

    def outside(self, points: FloatArray) -> FloatArray:
        """``points`` [N, 2] in shares of the rectangle (0 to 1, right and down) as pixels of the picture."""
        x, y = ((points - 0.5) * np.array([self.width, self.height], points.dtype)).T
        cos, sin = np.cos(self.angle), np.sin(self.angle)
        return np.stack([cos * x - sin * y + self.x, sin * x + cos * y + self.y], -1).astype(points.dtype)

    def cut(self, rgb: ByteArray, side: int, repeat: bool) -> ByteArray:
        """The rectangle as [3, side, side]; beyond the picture its edge is repeated, or all is black."""
        if min(rgb.shape[:2]) < 2:  # every place lies between two pixels
            rgb = np.pad(rgb, ((0, rgb.shape[0] < 2), (0, rgb.shape[1] < 2), (0, 0)), mode="edge")
        rgb = np.ascontiguousarray(rgb)
        way = inverse(transform(corners(self.x, self.y, self.width, self.height, self.angle), side))
        out = np.empty((3, side, side), np.uint8)
        for first in range(0, side, AT_ONCE):  # what is small stays in the cache
            rows = np.arange(first, min(first + AT_ONCE, side))
            across, down = places(way, rows, side)
            part = _sample(rgb, across.reshape(-1), down.reshape(-1), repeat)
            out[:, rows] = part.reshape(3, len(rows), side)
        return out


def _sample(rgb: ByteArray, across: np.ndarray, down: np.ndarray, repeat: bool) -> ByteArray:
    """Colours [3, n] at places ``across``, ``down`` [n], in 32nds of a pixel."""
    height, width = rgb.shape[:2]
    column, left, right = _between(across, width, repeat)
    row, upper, lower = _between(down, height, repeat)
    row *= width
    row += column
    flat = rgb.reshape(-1, 3)
    total: np.ndarray = _line(flat, row, left, right) * upper.astype(np.uint32)
    row += width
    total += _line(flat, row, left, right) * lower.astype(np.uint32)
    total += np.uint32(STEPS * STEPS // 2)
    return (total >> np.uint32(2 * SHIFT)).astype(np.uint8)


def _line(flat: ByteArray, at: np.ndarray, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Each pixel ``at`` [n] and the one after it, weighed: [3, n]."""
    out = flat.take(at, axis=0).T.astype(np.uint16, order="C")
    beside = flat[1:].take(at, axis=0).T.astype(np.uint16, order="C")
    out *= left
    beside *= right
    out += beside
    return out.astype(np.uint32)


def _between(at: np.ndarray, size: int, repeat: bool) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """A pixel along an axis whose next one exists too, and the weights of both, `STEPS` together inside the picture."""
    first, share = at >> SHIFT, (at & (STEPS - 1)).astype(np.uint16)
    if first.min() >= 0 and first.max() <= size - 2:
        return first, STEPS - share, share
    held = first.clip(0, size - 2)
    if repeat:
        share = (at - held * STEPS).clip(0, STEPS).astype(np.uint16)
        return held, STEPS - share, share
    here, before, after = first == held, first == held - 1, first == held + 1
    return held, (STEPS - share) * here + share * before, share * here + (STEPS - share) * after
