"""A signed picture laid on a mesh: every pixel once, bilinear, held to a byte, back sides left out."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cpu.laying import lay_on

pytestmark = pytest.mark.cpu


def laid(vertices: np.ndarray, picture: np.ndarray, start: int = 100) -> np.ndarray:
    """A square of two triangles over a grey picture of 20 pixels."""
    places = np.array([[0, 0], [7, 0], [7, 7], [0, 7]], np.float32)
    triangles = np.array([[0, 2, 1], [0, 3, 2]], np.int32)
    out = np.full((20, 20, 3), start, np.uint8)
    lay_on(vertices.astype(np.float32), triangles, places, picture, np.zeros((20, 20), np.int32), 1, out)
    return out


SQUARE = np.array([[4, 4, 0], [11, 4, 0], [11, 11, 0], [4, 11, 0]])


def test_it_is_added_where_the_mesh_lies_and_once() -> None:
    picture = np.random.default_rng(0).normal(0, 20, (8, 8, 3)).astype(np.float32)
    out = laid(SQUARE, picture)
    wanted = np.full((20, 20, 3), 100.0)
    wanted[4:12, 4:12] += picture
    assert np.abs(out - wanted)[4:11, 4:11].max() <= 0.51, "to the nearest grey level, also on the shared edge"
    out[4:12, 4:12] = 100
    assert (out == 100).all(), "and nowhere else"


def test_it_is_held_to_bytes_and_seen_from_the_front_alone() -> None:
    assert laid(SQUARE, np.full((8, 8, 3), 900, np.float32)).max() == 255
    assert laid(SQUARE, np.full((8, 8, 3), -900, np.float32)).min() == 0
    assert (laid(SQUARE[::-1], np.full((8, 8, 3), 50, np.float32)) == 100).all()
    assert (laid(SQUARE - 200, np.full((8, 8, 3), 50, np.float32)) == 100).all(), "beyond the picture nothing happens"
