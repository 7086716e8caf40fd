# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From a rasterized mesh to its picture, with anti-aliasing only where surfaces end (numba).

Almost every pixel is one bilinear tap. Where neighbouring pixels belong to different layers, or come from far apart in
the texture, the pixel is rasterized again at eight points and averaged: full supersampling at a fiftieth of its cost.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.numba_kernels import SAMPLES, TILE


@compiled
def find_edges(which, maps, layer, jump, slots, tiles, limit):
    """Number the pixels where surfaces end. Returns how many (at most ``limit``).

    which [H, W] int32, maps [H, W, C] with texture x, y first, layer [F] int32; a pixel is on an edge when a
    neighbour's layer differs or its texture position is further than ``jump``. Written: slots [H, W] int32 (number or
    -1), tiles [H / 16, W / 16] uint8 (1 where a tile holds any).
    """
    height, width = which.shape
    slots[:] = -1
    tiles[:] = 0
    count = 0
    for y in range(height):
        for x in range(width):
            here = which[y, x]
            for step in range(2):
                nx, ny = (x + 1, y) if step == 0 else (x, y + 1)
                if nx >= width or ny >= height:
                    continue
                there = which[ny, nx]
                if here >= 0 and there >= 0 and layer[here] == layer[there]:
                    du = abs(maps[y, x, 0] - maps[ny, nx, 0])
                    dv = abs(maps[y, x, 1] - maps[ny, nx, 1])
                    if du <= jump and dv <= jump:
                        continue
                elif here < 0 and there < 0:
                    continue
                if slots[y, x] < 0 and count < limit:
                    slots[y, x] = count
                    tiles[y // TILE, x // TILE] = 1
                    count += 1
                if slots[ny, nx] < 0 and count < limit:
                    slots[ny, nx] = count
                    tiles[ny // TILE, nx // TILE] = 1
                    count += 1
    return count


@compiled(inline="always")
def _fetch(texture, u, v):
    """The bilinear colour of an RGB texture at (u, v), edges repeated."""
    height, width = texture.shape[0], texture.shape[1]
    u = min(max(u, np.float32(0.0)), np.float32(width - 1.001))
    v = min(max(v, np.float32(0.0)), np.float32(height - 1.001))
    i, j = int(u), int(v)
    a, b = u - np.float32(i), v - np.float32(j)
    one = np.float32(1.0)
    p00, p01, p10, p11 = (one - a) * (one - b), a * (one - b), (one - a) * b, a * b
    r = (
        texture[j, i, 0] * p00
        + texture[j, i + 1, 0] * p01
        + texture[j + 1, i, 0] * p10
        + texture[j + 1, i + 1, 0] * p11
    )
    g = (
        texture[j, i, 1] * p00
        + texture[j, i + 1, 1] * p01
        + texture[j + 1, i, 1] * p10
        + texture[j + 1, i + 1, 1] * p11
    )
    t = (
        texture[j, i, 2] * p00
        + texture[j, i + 1, 2] * p01
        + texture[j + 1, i, 2] * p10
        + texture[j + 1, i + 1, 2] * p11
    )
    return r, g, t


@compiled(inline="always")
def _mirror(texture, offset, place, gain, r, g, t):
    """A colour mixed with the one of its mirrored place: ``place`` = (x, y, shade, mirrored x, mirrored y, share)."""
    share = place[5]
    mr, mg, mt = _fetch(texture, place[3] + offset[0], place[4] + offset[1])
    r += share * (mr * gain[0] - r)
    g += share * (mg * gain[1] - g)
    t += share * (mt * gain[2] - t)
    return r, g, t


@compiled
def paint(texture, offsets, layer, which, maps, slots, fine_which, fine_maps, gain, spread, warmth, out):
    """Colour every pixel: texture at (x, y) + its layer's offset, times the third map, averaged on edges.

    texture [h, w, 3] uint8 or float32, offsets [L, 2] float32, layer [F] int32, maps [H, W, 3] = texture x, y, shade,
    or [H, W, 6] with a second place x, y and its share, whose colour is multiplied by ``gain`` [3]; fine_* as
    `supersample` wrote them; an edge pixel whose points agree within ``spread`` texture pixels stays one sharp tap.
    What is shaded turns redder by ``warmth``, as light in flesh does. Uncovered pixels become black. out [H, W, 3]
    uint8.
    """
    height, width = which.shape
    half = np.float32(0.5)
    top = np.float32(255.0)
    mirrors = maps.shape[2] == 6
    for y in range(height):
        for x in range(width):
            slot = slots[y, x]
            f = which[y, x]
            r = g = t = np.float32(0.0)
            smooth = slot < 0
            if not smooth:
                smooth = f >= 0
                for s in range(SAMPLES):
                    ff = fine_which[slot, s]
                    if (
                        ff < 0
                        or abs(fine_maps[slot, s, 0] - maps[y, x, 0]) > spread
                        or abs(fine_maps[slot, s, 1] - maps[y, x, 1]) > spread
                        or abs(fine_maps[slot, s, 2] - maps[y, x, 2]) > 0.02
                    ):
                        smooth = False
                        break
            if smooth:
                if f >= 0:
                    at = layer[f]
                    r, g, t = _fetch(texture, maps[y, x, 0] + offsets[at, 0], maps[y, x, 1] + offsets[at, 1])
                    if mirrors and maps[y, x, 5] > np.float32(0.004):
                        r, g, t = _mirror(texture, offsets[at], maps[y, x], gain, r, g, t)
                    shade = maps[y, x, 2]
                    dark = np.float32(1.0) - shade
                    r, g, t = r * shade, g * shade * (1 - warmth * dark), t * shade * (1 - warmth * 1.5 * dark)
            else:
                covered = 0
                for s in range(SAMPLES):
                    ff = fine_which[slot, s]
                    if ff < 0:
                        continue
                    covered += 1
                    at = layer[ff]
                    sr, sg, st = _fetch(
                        texture, fine_maps[slot, s, 0] + offsets[at, 0], fine_maps[slot, s, 1] + offsets[at, 1]
                    )
                    if mirrors and fine_maps[slot, s, 5] > np.float32(0.004):
                        sr, sg, st = _mirror(texture, offsets[at], fine_maps[slot, s], gain, sr, sg, st)
                    shade = fine_maps[slot, s, 2]
                    dark = np.float32(1.0) - shade
                    r += sr * shade
                    g += sg * shade * (1 - warmth * dark)
                    t += st * shade * (1 - warmth * 1.5 * dark)
                if covered > 0:
                    share = np.float32(1.0) / np.float32(covered)
                    r, g, t = r * share, g * share, t * share
            out[y, x, 0] = np.uint8(min(max(r + half, np.float32(0.0)), top))
            out[y, x, 1] = np.uint8(min(max(g + half, np.float32(0.0)), top))
            out[y, x, 2] = np.uint8(min(max(t + half, np.float32(0.0)), top))
