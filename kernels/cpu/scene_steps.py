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
from kernels.cpu.numba_kernels import FAR, TILE, interpolate_points, open_window, see, see_within, supersample


@compiled
def see_rows(mesh, shown, facing, plain, rows, view, tiles):
    """What is seen in some rows of a picture, all parts of a scene but those behind an opening.

    mesh = vertices, triangles, maps; shown = how many triangles are drawn, the first and the one after the last of
    those over the opening, and the first behind it; view = depth, which, places, special and odd as `see` has them,
    which are begun anew here, as are tiles [H / 16, W / 16].
    """
    vertices, triangles, maps = mesh
    depth, which, places, special, odd = view
    depth[rows[0] : rows[1]] = FAR
    which[rows[0] : rows[1]] = -1
    across = slice(rows[0] // TILE, (rows[1] - 1) // TILE + 1)
    odd[across] = 0
    tiles[across] = 0
    see(vertices, triangles[: shown[0]], facing, maps, plain, rows, depth, which, places, special, odd)


@compiled
def see_inside(mesh, shown, window, view):
    """What lies behind the opening, where that is seen; ``window`` [H, W] uint8 is this function's own."""
    vertices, triangles, maps = mesh
    depth, which, places, special, odd = view
    low, high = np.float32(which.shape[0]), np.float32(-1.0)
    for f in range(shown[1], shown[2]):
        for k in range(3):
            y = vertices[triangles[f, k], 1]
            low, high = y if y < low else low, y if y > high else high
    top, bottom = max(int(low), 0), min(int(high) + 2, which.shape[0])
    if top >= bottom:
        return
    mine = slice(top, bottom)
    first, last, left, right = open_window(which[mine], depth[mine], shown[1], shown[2], window[mine])
    if last < 0:
        return
    span = top + first, top + last, left, right
    see_within(vertices, triangles[shown[3] :], maps, shown[3], window, span, depth, which, places, special, odd)


@compiled
def refine(mesh, shown, facing, layers, jump, rows, first, limit, view, edges, fine):
    """Find where surfaces end in some rows, numbered from ``first`` to before ``limit``, and see eight points of each.

    edges = slots and tiles of `find_edges`; fine = depth, which and window [n, 8] as `supersample` has them, which are
    begun anew here, and what the points carry [n, 8, C].
    """
    vertices, triangles, maps = mesh
    slots, tiles = edges
    depth, which, window, carried = fine
    last = find_edges(view[1], view[2], layers, jump, rows, first, limit, slots, tiles)
    if last == first:
        return
    mine = slice(first, last)
    depth[mine] = FAR
    which[mine] = -1
    window[mine] = 1
    front, behind = triangles[: shown[0]], triangles[shown[3] :]
    supersample(vertices, front, facing, rows, slots, tiles, window, 0, depth, which)
    if shown[2] > shown[1]:
        open_window(which[mine], depth[mine], shown[1], shown[2], window[mine])
        either = np.zeros(len(behind), np.int8)
        supersample(vertices, behind, either, rows, slots, tiles, window, shown[3], depth, which)
    interpolate_points(vertices, triangles, maps, rows, slots, tiles, which, carried)
