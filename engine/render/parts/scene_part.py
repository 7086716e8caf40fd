"""Pieces of the scene: some vertices, where they sample the texture, and how they hang together."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray


@dataclass(frozen=True)
class Part:
    """One textured piece behind the skin."""

    points: FloatArray  # [n, 3] portrait pixels at the portrait's pose
    texture: np.ndarray  # [n, 2] texture position before the offset
    triangles: np.ndarray  # [t, 3] within the part
    offset_x: float  # from texture position to the panels' own pixels
    offset_y: float
    back: float  # pixels further away than it is: depth alone, so nothing shifts when the head turns


def grid_triangles(rows: int, columns: int) -> np.ndarray:
    """Two triangles per cell of a grid whose points run row by row."""
    first = (np.arange(rows - 1)[:, None] * columns + np.arange(columns - 1)[None]).reshape(-1)
    upper = np.stack([first, first + 1, first + columns], 1)
    lower = np.stack([first + 1, first + columns + 1, first + columns], 1)
    return np.vstack([upper, lower])
