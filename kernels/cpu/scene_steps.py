# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""The steps of a picture strung together (numba): between two of them nothing has to be asked of Python.

Every call from Python waits for its lock, which other threads may hold; and a picture has eight steps for each share of
its rows. Whoever changes a step deletes this file's cache (`*.nbi`): numba looks at a caller's own file only.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.edges import find_edges
from kernels.cpu.lanes import SAMPLES
from kernels.cpu.numba_kernels import FAR, TILE, boxes, interpolate_points, see, see_within, supersample


@compiled
def see_rows(mesh, shown, facing, plain, wary, jump, rows, view, edged, tiles):
    """What is seen in some rows of a picture, all parts of a scene but those behind an opening.

    mesh = vertices, triangles, maps; shown = how many triangles are drawn, the first and the one after the last of
    those over the opening, and the first behind it; view = depth, which, places, special, odd, ending and spots as
    `see` has them, which are begun anew here, as are edged and tiles of `find_edges`.
    """
    vertices, triangles, maps = mesh
    depth, which, _, _, odd, ending, _ = view
    for y in range(rows[0], rows[1]):
        for x in range(depth.shape[1]):
            depth[y, x], which[y, x] = FAR, -1
        for tx in range(odd.shape[1]):
            odd[y // TILE, tx] = ending[y // TILE, tx] = tiles[y // TILE, tx] = 0
            edged[y, tx] = 0
    see(vertices, triangles[: shown[0]], facing, maps, plain, wary, jump, rows, *view)


@compiled
def open_window(which, depth, first, last, window):
    """Take away triangles ``first`` to ``last`` (exclusive) of a drawn mesh, and everything behind them.

    which [H, W] int32 and depth [H, W] float32 as `rasterize` left them are emptied where such a triangle is nearest;
    written: window [H, W] uint8, 1 there. Returns the rows and columns that it spans: top, bottom, left, right,
    inclusive, with bottom < top where nothing was seen.
    """
    top, bottom, left, right = which.shape[0], -1, which.shape[1], -1
    for y in range(which.shape[0]):
        for x in range(which.shape[1]):
            seen = first <= which[y, x] < last
            window[y, x] = seen
            if seen:
                which[y, x] = -1
                depth[y, x] = FAR
                top, bottom = min(top, y), max(bottom, y)
                left, right = min(left, x), max(right, x)
    return top, bottom, left, right


@compiled
def _opening(vertices, triangles, shown, height, width):
    """Rows and columns of the pixels that the triangles over the opening may touch, to before the last of each."""
    low_x, high_x, low_y, high_y = np.float32(width), np.float32(-1.0), np.float32(height), np.float32(-1.0)
    for f in range(shown[1], shown[2]):
        for k in range(3):
            x, y = vertices[triangles[f, k], 0], vertices[triangles[f, k], 1]
            low_x, high_x = x if x < low_x else low_x, x if x > high_x else high_x
            low_y, high_y = y if y < low_y else low_y, y if y > high_y else high_y
    top, left = max(int(low_y) - 1, 0), max(int(low_x) - 1, 0)
    return top, min(int(high_y) + 3, height), left, min(int(high_x) + 3, width)


@compiled
def see_inside(mesh, shown, window, view):
    """What lies behind the opening, where that is seen; ``window`` [H, W] uint8 is this function's own."""
    vertices, triangles, maps = mesh
    depth, which = view[:2]
    top, bottom, _, _ = _opening(vertices, triangles, shown, which.shape[0], which.shape[1])
    if top >= bottom:
        return
    mine = slice(top, bottom)
    first, last, left, right = open_window(which[mine], depth[mine], shown[1], shown[2], window[mine])
    if last < 0:
        return
    span = top + first, top + last, left, right
    see_within(vertices, triangles[shown[3] :], maps, shown[3], window, span, *view)


@compiled
def refine(mesh, shown, layers, jump, rows, first, limit, view, edges, fine):
    """Find where surfaces end in some rows, numbered from ``first`` to before ``limit``, and see eight points of each.

    edges = slots, edged and tiles of `find_edges`; fine = depth, which and window [n, 8] as `supersample` has them,
    which are begun anew here, and what the points carry [n, 8, C].
    """
    vertices, triangles, maps = mesh
    slots, edged, _ = edges
    depth, which, window, carried = fine
    last = find_edges(view[1], view[2], layers, jump, view[5], rows, first, limit, *edges)
    if last == first:
        return
    for n in range(first, last):
        for s in range(SAMPLES):
            depth[n, s], which[n, s], window[n, s] = FAR, -1, 1
    limits = rows[0], rows[1] - 1, 0, slots.shape[1] - 1
    supersample(vertices, triangles[: shown[0]], view[6], limits, *edges, window, 0, depth, which)
    if shown[2] > shown[1]:
        open_window(which[first:last], depth[first:last], shown[1], shown[2], window[first:last])
        top, bottom, left, right = _opening(vertices, triangles, shown, slots.shape[0], slots.shape[1])
        near = max(top, rows[0]), min(bottom, rows[1]) - 1, left, right - 1
        behind = triangles[shown[3] :]
        spots = np.empty(len(behind), np.int32)
        boxes(vertices, behind, near, spots)
        supersample(vertices, behind, spots, near, *edges, window, shown[3], depth, which)
    interpolate_points(vertices, triangles, maps, rows, slots, edged, which, carried)
