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
def _parted(f, g, alike, across, down, jump):
    """Whether surfaces end between two pixels that see triangles f and g, their texture places so far apart."""
    if f < 0 or g < 0:
        return f >= 0 or g >= 0
    return not alike or abs(across) > jump or abs(down) > jump


@compiled
def find_edges(which, places, layer, jump, ending, rows, first, limit, slots, edged, tiles):
    """Number the pixels where surfaces end, from rows[0] to before rows[1]. Returns the number after the last.

    which [H, W] int32 and places [2, H, W] as `kernels.cpu.numba_kernels.see` left them, layer [F] int32; a pixel is on
    an edge when the layer of one of its four neighbours differs or its texture position is further than ``jump``.
    ending [H / 16, W / 16] uint8 tells which tiles have such neighbours at all; a tile's last pixels may be the first.
    Numbers go from ``first`` to before ``limit``; what does not fit stays as it is. Written: slots [H, W] int32 where a
    pixel is numbered; edged [H, W / 16] uint16, which were 0 before: a bit for each of them in its row of a tile; tiles
    [H / 16, W / 16] uint8, too, 1 where a tile holds any.
    """
    height, width = which.shape
    plain = 0  # triangles of the first layer, with which pictures are filled
    while plain < len(layer) and layer[plain] == layer[0]:
        plain += 1
    count = first
    for y in range(max(rows[0] - 1, 0), rows[1]):
        down = width if y + 1 < height else 0
        upper, lower = y // TILE, min(y + 1, height - 1) // TILE
        for begin in range(0, width, LANES):
            end = min(begin + LANES, width)
            here, beside = begin // TILE, min(end, width - 1) // TILE
            if ending[upper, here] == 0 and ending[lower, here] == 0 and ending[upper, beside] == 0:
                continue
            if begin + LANES <= width:
                given = which.size, down, end == width, np.int32(plain), np.float32(jump)
                if ends(which, places, y * width + begin, *given) == 0:
                    continue
            for x in range(begin, end):
                f, u, v, right, below = which[y, x], places[0, y, x], places[1, y, x], False, False
                if x + 1 < width:
                    g = which[y, x + 1]
                    away = u - places[0, y, x + 1], v - places[1, y, x + 1]
                    right = _parted(f, g, layer[f] == layer[g], away[0], away[1], jump)
                if down > 0:
                    g = which[y + 1, x]
                    away = u - places[0, y + 1, x], v - places[1, y + 1, x]
                    below = _parted(f, g, layer[f] == layer[g], away[0], away[1], jump)
                for k in range(3):  # this pixel, the one to its right, the one below it
                    j, i = y + k // 2, x + k % 2
                    edge = right if k == 1 else below if k == 2 else right or below
                    if not edge or count == limit or j < rows[0] or j == rows[1]:
                        continue
                    bit = np.uint16(1 << (i % TILE))
                    if edged[j, i // TILE] & bit == 0:
                        edged[j, i // TILE] |= bit
                        tiles[j // TILE, i // TILE] = 1
                        slots[j, i] = count
                        count += 1
    return count
