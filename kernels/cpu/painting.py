# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From what each pixel sees to its colour (numba): eight pixels at a time where the texture is shown as it is.

That is nearly everywhere. Where a surface is shaded, mixed with its mirrored place or ends, each pixel is looked at by
itself.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import LANES, SAMPLES, show


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


@compiled(inline="always")
def _shaded(r, g, t, shade, warmth):
    """A colour in shade, which in flesh is redder."""
    dark = np.float32(1.0) - shade
    return r * shade, g * shade * (1 - warmth * dark), t * shade * (1 - warmth * 1.5 * dark)


@compiled(inline="always")
def _carried(vertices, triangles, maps, f, y, x, place):
    """All that triangle ``f`` carries at a pixel centre, into ``place`` [C]."""
    a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
    x0, y0 = np.float64(vertices[a, 0]), np.float64(vertices[a, 1])
    x1, y1 = np.float64(vertices[b, 0]), np.float64(vertices[b, 1])
    x2, y2 = np.float64(vertices[c, 0]), np.float64(vertices[c, 1])
    inverse = 1.0 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
    w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
    w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
    for k in range(maps.shape[1]):
        place[k] = (1.0 - w1 - w2) * maps[a, k] + w1 * maps[b, k] + w2 * maps[c, k]


@compiled
def paint(texture, offsets, layer, seen, mesh, fine, gain, spread, warmth, rows, out):
    """Colour every pixel of some rows: texture at (x, y) + its layer's offset, times its shade, averaged on edges.

    texture [h, w, 4] uint8, offsets [L, 2] float32, layer [F] int32; ``seen`` = which, places, slots and special as
    `kernels.cpu.numba_kernels.see` and `kernels.cpu.edges.find_edges` left them; ``mesh`` = vertices, triangles, maps
    [V, 3] = texture x, y, shade, or [V, 6] with a mirrored place x, y and its share, whose colour is multiplied by
    ``gain`` [3]; ``fine`` = which and maps as `supersample` wrote them. An edge pixel whose points agree within
    ``spread`` texture pixels stays one sharp tap. What is shaded turns redder by ``warmth``, as light in flesh does.
    Uncovered pixels become black. out [H, W, 3] uint8.
    """
    which, places, slots, special = seen
    vertices, triangles, maps = mesh
    fine_which, fine_maps = fine
    width, beyond = which.shape[1], which.size
    half, top, zero = np.float32(0.5), np.float32(255.0), np.float32(0.0)
    mirrors = maps.shape[1] == 6
    place = np.empty(maps.shape[1], np.float32)
    last_u, last_v = np.float32(texture.shape[1] - 1.001), np.float32(texture.shape[0] - 1.001)
    plain = 0  # triangles of the first layer, with which pictures are filled
    while plain < len(layer) and layer[plain] == layer[0]:
        plain += 1
    most, u0, v0 = np.uint32(plain), offsets[layer[0], 0], offsets[layer[0], 1]
    for y in range(rows[0], rows[1]):
        for begin in range(0, width, LANES):
            end = min(begin + LANES, width)
            apart = end - begin < LANES
            for x in range(begin, end):
                apart |= np.uint32(which[y, x]) >= most or slots[y, x] >= 0 or special[which[y, x]]
            if not apart:
                at = y * width + begin
                show(texture, texture.shape[1], last_u, last_v, places, beyond, at, u0, v0, out)
                continue
            for x in range(begin, end):
                slot, f = slots[y, x], which[y, x]
                r = g = t = zero
                if f >= 0:
                    place[0], place[1], place[2] = places[0, y, x], places[1, y, x], np.float32(1.0)
                    if special[f]:
                        _carried(vertices, triangles, maps, f, y, x, place)
                smooth = slot < 0
                if not smooth:
                    smooth = f >= 0
                    for s in range(SAMPLES):
                        if (
                            fine_which[slot, s] < 0
                            or not smooth
                            or abs(fine_maps[slot, s, 0] - place[0]) > spread
                            or abs(fine_maps[slot, s, 1] - place[1]) > spread
                            or abs(fine_maps[slot, s, 2] - place[2]) > 0.02
                        ):
                            smooth = False
                            break
                if smooth:
                    if f >= 0:
                        at = layer[f]
                        r, g, t = _fetch(texture, place[0] + offsets[at, 0], place[1] + offsets[at, 1])
                        if mirrors and special[f] and place[5] > np.float32(0.004):
                            r, g, t = _mirror(texture, offsets[at], place, gain, r, g, t)
                        r, g, t = _shaded(r, g, t, place[2], warmth)
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
                        sr, sg, st = _shaded(sr, sg, st, fine_maps[slot, s, 2], warmth)
                        r, g, t = r + sr, g + sg, t + st
                    if covered > 0:
                        share = np.float32(1.0) / np.float32(covered)
                        r, g, t = r * share, g * share, t * share
                out[y, x, 0] = np.uint8(min(max(r + half, zero), top))
                out[y, x, 1] = np.uint8(min(max(g + half, zero), top))
                out[y, x, 2] = np.uint8(min(max(t + half, zero), top))
