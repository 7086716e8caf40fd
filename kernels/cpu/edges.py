# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Anti-aliasing only where surfaces end: which pixels those are (numba).

Almost every pixel is one bilinear tap. Where neighbouring pixels belong to different layers, or come from far apart in
the texture, the pixel is rasterized again at eight points and averaged: full supersampling at a fiftieth of its cost.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import LANES, ends
from kernels.cpu.numba_kernels import TILE


@compiled(inline="always")
def _parted(which, places, layer, jump, y, x, ny, nx):
    """Whether surfaces end between two pixels."""
    here, there = which[y, x], which[ny, nx]
    if here < 0 or there < 0:
        return here >= 0 or there >= 0
    far = abs(places[0, y, x] - places[0, ny, nx]) > jump or abs(places[1, y, x] - places[1, ny, nx]) > jump
    return far or layer[here] != layer[there]


@compiled(inline="always")
def _number(edge, y, x, count, limit, slots, tiles):
    """Give a pixel on an edge the next number, if it has none and there is one; the number after it."""
    if edge and count < limit:
        j, i = y // TILE, x // TILE
        if tiles[j, i] == 0:
            tiles[j, i] = 1
            for row in range(j * TILE, min(j * TILE + TILE, slots.shape[0])):
                for column in range(i * TILE, min(i * TILE + TILE, slots.shape[1])):
                    slots[row, column] = -1
        if slots[y, x] < 0:
            slots[y, x] = count
            count += 1
    return count


@compiled
def find_edges(which, places, layer, jump, rows, first, limit, slots, tiles):
    """Number the pixels where surfaces end, from rows[0] to before rows[1]. Returns the number after the last.

    which [H, W] int32 and places [2, H, W] as `kernels.cpu.numba_kernels.see` left them, layer [F] int32; a pixel is on
    an edge when the layer of one of its four neighbours differs or its texture position is further than ``jump``.
    Numbers go from ``first`` to before ``limit``; what does not fit stays as it is. Written: tiles [H / 16, W / 16]
    uint8, which were 0 before (1 where a tile holds any); slots [H, W] int32 of such tiles (number or -1), the others'
    are left alone.
    """
    height, width = which.shape
    plain = 0  # triangles of the first layer, with which pictures are filled
    while plain < len(layer) and layer[plain] == layer[0]:
        plain += 1
    count = first
    for y in range(max(rows[0] - 1, 0), rows[1]):
        down = width if y + 1 < height else 0
        for begin in range(0, width, LANES):
            end = min(begin + LANES, width)
            if begin + LANES <= width:
                given = which.size, down, end == width, np.int32(plain), np.float32(jump)
                if ends(which, places, y * width + begin, *given) == 0:
                    continue
            for x in range(begin, end):
                beside = x + 1 < width and _parted(which, places, layer, jump, y, x, y, x + 1)
                below = down > 0 and _parted(which, places, layer, jump, y, x, y + 1, x)
                if y >= rows[0]:
                    count = _number(beside or below, y, x, count, limit, slots, tiles)
                    count = _number(beside, y, x + 1, count, limit, slots, tiles)
                if y + 1 < rows[1]:
                    count = _number(below, y + 1, x, count, limit, slots, tiles)
    return count
