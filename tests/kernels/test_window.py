"""Through a window: what lies behind an opening shows there and nowhere else, however near it is."""

from __future__ import annotations

import numpy as np
import pytest

from kernels.cpu import numba_kernels, scene_steps

pytestmark = pytest.mark.cpu
SIZE = 24


def square(x0: float, x1: float, z: float) -> list[list[float]]:
    return [[x0, x0, z], [x1, x0, z], [x0, x1, z], [x1, x1, z]]


def two(first: int) -> list[list[int]]:
    return [[first, first + 1, first + 2], [first + 1, first + 3, first + 2]]


VERTICES = np.array(square(-9, 60, 5) + square(6.5, 15.5, 4) + square(-9, 60, 1) + square(-9, 12.2, 9), np.float32)
TRIANGLES = np.array(two(0) + two(4) + two(8) + two(12), np.int32)  # wall, opening in it, two things behind
MAPS = np.repeat(np.arange(4, dtype=np.float32), 4)[:, None] * np.float32([1, 0, 0])


def behind(vertices: np.ndarray, seen: np.ndarray, span: tuple, depth: np.ndarray, which: np.ndarray) -> np.ndarray:
    """Draw what is behind the opening; which of the four things each pixel shows, 0 where there is nothing."""
    places, special = np.empty((2, SIZE, SIZE), np.float32), np.empty(len(TRIANGLES), np.bool_)
    view = depth, which, places, special, *np.zeros((2, 2, 2), np.uint8), np.empty(0, np.int32)
    numba_kernels.see_within(vertices, TRIANGLES[4:], MAPS, 4, seen, span, *view)
    assert view[-2].tolist() == ([[1, 0], [0, 0]] if span[0] <= span[1] else [[0, 0], [0, 0]]), "the window's tile"
    out = np.empty((SIZE, SIZE, 1), np.float32)
    numba_kernels.interpolate(vertices, TRIANGLES, MAPS, which, out)
    assert np.array_equal(out[seen == 1, 0], np.where(which >= 4, places[0], 0)[seen == 1])
    return out


def drawn() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, tuple[int, int, int, int]]:
    depth, which = np.empty((SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.int32)
    out, seen = np.empty((SIZE, SIZE, 3), np.float32), np.empty((SIZE, SIZE), np.uint8)
    numba_kernels.rasterize(VERTICES, TRIANGLES[:4], MAPS, depth, which, out)
    span = scene_steps.open_window(which, depth, 2, 4, seen)
    return depth, which, out, seen, span


def test_the_window_is_where_the_opening_was_seen() -> None:
    depth, which, _, seen, span = drawn()
    assert span == (7, 15, 7, 15)
    assert seen.sum() == 81
    assert (which[seen == 1] == -1).all()
    assert (depth[seen == 1] == numba_kernels.FAR).all()
    assert set(which[seen == 0].tolist()) <= {0, 1}


def test_what_is_behind_shows_only_there_nearest_first() -> None:
    depth, which, _, seen, span = drawn()
    out = behind(VERTICES, seen, span, depth, which)
    assert set(which[seen == 1].tolist()) <= {4, 5}, "nearer than the wall, yet only in the window"
    assert (out[seen == 1] == 2).all()
    assert (out[seen == 0] == 0).all()
    far = VERTICES.copy()
    far[8:12, 2] = 12
    depth, which, _, seen, span = drawn()
    out = behind(far, seen, span, depth, which)
    assert out[8, 8] == 3
    assert out[14, 14] == 2
    assert which[8, 8] in (6, 7)


def test_an_opening_that_is_not_seen_shows_nothing() -> None:
    hidden = VERTICES.copy()
    hidden[4:8, 2] = 7  # behind the wall
    depth, which = np.empty((SIZE, SIZE), np.float32), np.empty((SIZE, SIZE), np.int32)
    out, seen = np.empty((SIZE, SIZE, 3), np.float32), np.empty((SIZE, SIZE), np.uint8)
    numba_kernels.rasterize(hidden, TRIANGLES[:4], MAPS, depth, which, out)
    before = which.copy()
    span = scene_steps.open_window(which, depth, 2, 4, seen)
    assert span[1] < span[0]
    behind(hidden, seen, span, depth, which)
    assert np.array_equal(which, before)


def test_broken_triangles_draw_nothing_in_it() -> None:
    depth, which, _, seen, span = drawn()
    broken = VERTICES.copy()
    broken[8:] = np.nan
    behind(broken, seen, span, depth, which)
    assert (which[seen == 1] == -1).all()


def test_its_edge_is_smooth() -> None:
    """Eight points a pixel: one on the window's border shows as much of the inside as the border leaves."""
    _, which, out, _, _ = drawn()
    slots, edged, tiles = np.empty((SIZE, SIZE), np.int32), np.zeros((SIZE, 2), np.uint16), np.ones((2, 2), np.uint8)
    slots[10, 15] = 0  # the opening ends at 15.5, so a quarter of the points at 15.0 +- 0.5 ...
    slots[10, 16] = 1
    edged[10] = 1 << 15, 1
    shape = (2, numba_kernels.SAMPLES)
    fine = np.full(shape, numba_kernels.FAR, np.float32), np.full(shape, -1, np.int32)
    seen = np.ones(shape, np.uint8)
    moved = VERTICES.copy()
    moved[4:8] = square(6.5, 15.25, 4)
    spots, limits, points = np.empty((2, 4), np.int32), (0, SIZE - 1, 0, SIZE - 1), (slots, edged, tiles, seen)
    for k in range(2):
        numba_kernels.boxes(moved, TRIANGLES[4 * k : 4 * k + 4], limits, spots[k])
    numba_kernels.supersample(moved, TRIANGLES[:4], spots[0], limits, *points, 0, *fine)
    scene_steps.open_window(fine[1], fine[0], 2, 4, seen)
    numba_kernels.supersample(moved, TRIANGLES[4:], spots[1], limits, *points, 4, *fine)
    inside = (fine[1] >= 4).mean(1)
    assert inside[0] == pytest.approx(0.75)
    assert inside[1] == 0
    assert (fine[1] >= 0).all()
    assert which.shape == out.shape[:2]
