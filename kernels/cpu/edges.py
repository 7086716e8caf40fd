# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From a rasterized mesh to its picture, with anti-aliasing only where surfaces end (numba).

Almost every pixel is one bilinear tap. Where neighbouring pixels belong to different layers, or come from far apart in
the texture, the pixel is rasterized again at eight points and averaged: full supersampling at a fiftieth of its cost.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.numba_kernels import INSIDE

SAMPLES = 8
TILE = 16
# Eight points of a pixel, no two in one row or column (offsets from its centre).
SAMPLE_X = (np.array([-7, -5, -3, -1, 1, 3, 5, 7]) / 16).astype(np.float64)
SAMPLE_Y = (np.array([1, -5, 5, -1, -7, 7, -3, 3]) / 16).astype(np.float64)


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


@compiled
def supersample(vertices, triangles, attributes, slots, tiles, window, first, depth, which, out):
    """Rasterize the numbered pixels at `SAMPLES` points each, wherever ``window`` [n, 8] uint8 is 1.

    Triangles are numbered from ``first``. depth [n, 8] float32 (`FAR`), which [n, 8] int32 (-1) and out [n, 8, C]
    float32 of the n numbered pixels go on from where they are, so a mesh may be drawn in several calls.
    """
    height, width = slots.shape
    channels = attributes.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = np.float64(vertices[a, 0]), np.float64(vertices[a, 1])
        x1, y1 = np.float64(vertices[b, 0]), np.float64(vertices[b, 1])
        x2, y2 = np.float64(vertices[c, 0]), np.float64(vertices[c, 1])
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if not abs(area) > 1e-9:
            continue
        left = int(max(np.floor(min(x0, x1, x2)), 0.0))
        right = int(min(np.ceil(max(x0, x1, x2)), width - 1.0))
        top = int(max(np.floor(min(y0, y1, y2)), 0.0))
        bottom = int(min(np.ceil(max(y0, y1, y2)), height - 1.0))
        if right < left or bottom < top:
            continue
        touched = False
        for ty in range(top // TILE, bottom // TILE + 1):
            for tx in range(left // TILE, right // TILE + 1):
                touched = touched or tiles[ty, tx] != 0
        if not touched:
            continue
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                slot = slots[y, x]
                if slot < 0:
                    continue
                for s in range(SAMPLES):
                    if window[slot, s] == 0:
                        continue
                    px, py = x + SAMPLE_X[s] - x0, y + SAMPLE_Y[s] - y0
                    w1 = (px * (y2 - y0) - (x2 - x0) * py) * inverse
                    w2 = ((x1 - x0) * py - px * (y1 - y0)) * inverse
                    w0 = 1.0 - w1 - w2
                    if w0 < -INSIDE or w1 < -INSIDE or w2 < -INSIDE:
                        continue
                    z = np.float32(w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2])
                    if z < depth[slot, s]:
                        depth[slot, s] = z
                        which[slot, s] = first + f
                        for k in range(channels):
                            out[slot, s, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]


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
