"""Which pixels lie in a polygon, among triangles, on lines."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from engine.contracts import FloatArray

FINER = 4  # soft lines are drawn so many times as large


def inside(x: np.ndarray, y: np.ndarray, ring: FloatArray) -> np.ndarray:
    """Whether places [...] lie within the polygon ``ring`` [n, 2]: bool, by how many edges lie to their right."""
    out = np.zeros(np.broadcast_shapes(np.shape(x), np.shape(y)), bool)
    for (ax, ay), (bx, by) in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        if ay != by:
            crosses = (ay > y) != (by > y)
            out ^= crosses & (x < ax + (bx - ax) * (y - ay) / (by - ay))
    return out


def polygon_mask(ring: FloatArray, width: int, height: int) -> np.ndarray:
    """Pixels inside ``ring`` [n, 2], and those its outline runs through: bool [h, w]."""
    out = inside(np.arange(width)[None], np.arange(height)[:, None], ring)
    for begin, end in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        along = int(np.abs(end - begin).argmax())  # a pixel for each column of a flat edge, each row of a steep one
        low, high = np.rint(sorted((begin[along], end[along]))).astype(int)
        steps, length = np.arange(low, high + 1), end[along] - begin[along]
        share = np.clip((steps - begin[along]) / length, 0, 1) if length else np.zeros(len(steps))
        aside = np.rint(begin[1 - along] + share * (end - begin)[1 - along]).astype(int)
        x, y = (steps, aside) if along == 0 else (aside, steps)
        there = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        out[y[there], x[there]] = True
    return out


def triangles_mask(corners: FloatArray, width: int, height: int) -> np.ndarray:
    """Pixels that any of the triangles ``corners`` [T, 3, >= 2] covers, outlines included: bool [h, w]."""
    picture = Image.new("L", (width, height))
    draw = ImageDraw.Draw(picture)
    for triangle in np.round(corners[..., :2]).astype(int).reshape(-1, 6).tolist():
        draw.polygon(triangle, fill=1)
        draw.line(triangle + triangle[:2], fill=1)  # Pillow's polygons leave out some pixels of their outlines
    return np.array(picture) > 0


def soft_lines(rings: list[FloatArray], width: int, height: int, circles: FloatArray | None = None) -> FloatArray:
    """How much of each pixel [h, w] closed lines, one pixel wide, cover; ``circles`` [n, 3] are x, y and radius."""
    picture = Image.new("L", (FINER * width, FINER * height))
    draw = ImageDraw.Draw(picture)
    for ring in rings:
        places = FINER * (ring[:, :2] + 0.5)
        draw.line([*map(tuple, places.tolist()), tuple(places[0].tolist())], fill=255, width=FINER)
    for x, y, radius in [] if circles is None else FINER * (circles + 0.5):
        draw.ellipse([x - radius, y - radius, x + radius, y + radius], outline=255, width=FINER)
    return np.asarray(picture.reduce(FINER), np.float32) / 255
