# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From what each pixel sees to its colour (numba): eight pixels at a time where the texture is shown as it is.

That is nearly everywhere. Where a surface is shaded, mixed with its mirrored place or ends, each pixel is looked at by
itself. Pictures that go to an encoder are painted as the planes it takes, without a detour by RGB: the texture is
brightness and colour differences already, and the latter are looked up once for four pixels.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import LANES, SAMPLES
from kernels.cpu.numba_kernels import TILE
from kernels.cpu.texture_lanes import fetch, show, show_chroma, show_luma


@compiled(inline="always")
def _fetch(texture, u, v):
    """The bilinear colour of a texture [h, w, 4] at (u, v), edges repeated."""
    height, width = texture.shape[0], texture.shape[1]
    return fetch(texture, width, np.float32(width - 1.001), np.float32(height - 1.001), u, v)


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


@compiled(inline="always")
def _colour(
    texture, offsets, layer, which, places, slots, special, vertices, triangles, maps, fine_which, fine_maps,
    gain, spread, warmth, on_edge, y, x, place,
):  # fmt: skip
    """Red, green and blue of one pixel, 0 to 255; ``on_edge``: whether it was numbered. Writes ``place`` [C].

    Arrays by themselves: out of a tuple each would be counted anew for every pixel, which takes longer than the rest.
    """
    zero = np.float32(0.0)
    f = which[y, x]
    r = g = t = zero
    if f >= 0:
        place[0], place[1], place[2] = places[0, y, x], places[1, y, x], np.float32(1.0)
        if special[f]:
            _carried(vertices, triangles, maps, f, y, x, place)
    smooth, slot = True, np.int32(0)
    if on_edge:
        smooth, slot = f >= 0, slots[y, x]
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
            if maps.shape[1] == 6 and special[f] and place[5] > np.float32(0.004):
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
            sr, sg, st = _fetch(texture, fine_maps[slot, s, 0] + offsets[at, 0], fine_maps[slot, s, 1] + offsets[at, 1])
            if maps.shape[1] == 6 and fine_maps[slot, s, 5] > np.float32(0.004):
                sr, sg, st = _mirror(texture, offsets[at], fine_maps[slot, s], gain, sr, sg, st)
            sr, sg, st = _shaded(sr, sg, st, fine_maps[slot, s, 2], warmth)
            r, g, t = r + sr, g + sg, t + st
        if covered > 0:
            share = np.float32(1.0) / np.float32(covered)
            r, g, t = r * share, g * share, t * share
    top = np.float32(255.0)
    return min(max(r, zero), top), min(max(g, zero), top), min(max(t, zero), top)


@compiled(inline="always")
def _plain(layer):
    """How many triangles are of the first layer before any other: those with which pictures are filled."""
    plain = 0
    while plain < len(layer) and layer[plain] == layer[0]:
        plain += 1
    return np.uint32(plain)


@compiled
def paint(texture, offsets, layer, seen, mesh, fine, edged, odd, look, rows, out):
    """Colour every pixel of some rows: texture at (x, y) + its layer's offset, times its shade, averaged on edges.

    texture [h, w, 4] uint8, offsets [L, 2] float32, layer [F] int32; ``seen`` = which, places, slots and special as
    `kernels.cpu.numba_kernels.see` and `kernels.cpu.edges.find_edges` left them; ``mesh`` = vertices, triangles, maps
    [V, 3] = texture x, y, shade, or [V, 6] with a mirrored place x, y and its share, whose colour is multiplied by
    ``gain`` [3]; ``fine`` = which and maps as `supersample` wrote them; ``edged`` and ``odd`` tell which pixels are
    on edges, and which tiles have any that does not show its texture as it is. ``look`` = gain, spread, warmth: an edge
    pixel whose points agree within ``spread`` texture pixels stays one sharp tap; what is shaded turns redder by
    ``warmth``, as light in flesh does. Uncovered pixels become black. out [H, W, 3] uint8.
    """
    which, places, slots, special = seen
    vertices, triangles, maps = mesh
    fine_which, fine_maps = fine
    gain, spread, warmth = look
    width, beyond = which.shape[1], which.size
    half = np.float32(0.5)
    place = np.empty(maps.shape[1], np.float32)
    last_u, last_v = np.float32(texture.shape[1] - 1.001), np.float32(texture.shape[0] - 1.001)
    most, u0, v0 = _plain(layer), offsets[layer[0], 0], offsets[layer[0], 1]
    for y in range(rows[0], rows[1]):
        for begin in range(0, width, LANES):
            end = min(begin + LANES, width)
            near = edged[y, begin // TILE] >> (begin % TILE)
            apart = end - begin < LANES or near & 255 != 0
            if odd[y // TILE, begin // TILE] != 0:
                for x in range(begin, end):
                    apart |= np.uint32(which[y, x]) >= most or special[which[y, x]]
            elif which[y, begin] < 0:  # then so is the whole tile
                apart = True
            if not apart:
                at = y * width + begin
                show(texture, texture.shape[1], last_u, last_v, places, beyond, at, u0, v0, out)
                continue
            for x in range(begin, end):
                r, g, t = _colour(
                    texture, offsets, layer, which, places, slots, special, vertices, triangles, maps,
                    fine_which, fine_maps, gain, spread, warmth, (near >> (x - begin)) & 1 != 0, y, x, place,
                )  # fmt: skip
                out[y, x, 0], out[y, x, 1], out[y, x, 2] = np.uint8(r + half), np.uint8(g + half), np.uint8(t + half)


@compiled
def paint_planes(texture, bright, tinted, offsets, layer, seen, mesh, fine, edged, odd, look, rows, planes):
    """`paint` into planar I420, BT.601 in its limited range: what `kernels.rgb_to_i420` would make of the picture.

    bright [h, w] and tinted [h, w, 2] uint8 are ``texture`` in these terms: `kernels.cpu.pixel_kernels.texture_planes`.
    planes = luma [H, W], and of each colour difference [H / 2, W / 2] uint8. H, W and the rows' ends are even.
    """
    which, places, slots, special = seen
    vertices, triangles, maps = mesh
    fine_which, fine_maps = fine
    gain, spread, warmth = look
    luma, blue, red = planes
    width, beyond, wide = which.shape[1], which.size, bright.shape[1]
    place = np.empty(maps.shape[1], np.float32)
    last_u, last_v = np.float32(wide - 1.001), np.float32(bright.shape[0] - 1.001)
    most, u0, v0 = _plain(layer), offsets[layer[0], 0], offsets[layer[0], 1]
    for y in range(rows[0], rows[1], 2):
        for begin in range(0, width, TILE):
            end = min(begin + TILE, width)
            near = edged[y, begin // TILE], edged[y + 1, begin // TILE]
            unlike = odd[y // TILE, begin // TILE] != 0 or which[y, begin] < 0
            whole = end - begin == TILE
            if whole:
                given = wide, last_u, last_v, places, beyond
                for at in (y * width + begin, (y + 1) * width + begin):
                    show_luma(bright, *given, at, u0, v0, luma, at)
                    show_luma(bright, *given, at + LANES, u0, v0, luma, at + LANES)
                to = (y // 2 * width + begin) // 2
                show_chroma(tinted, *given, y * width + begin, width, u0, v0, blue, red, to)
                if not unlike and near[0] | near[1] == 0:
                    continue
            for x in range(begin, end, 2):
                apart = not whole or ((near[0] | near[1]) >> (x - begin)) & 3 != 0
                if unlike and not apart:
                    for k in range(4):
                        f = which[y + k // 2, x + k % 2]
                        apart |= np.uint32(f) >= most or special[f]
                if not apart:
                    continue
                r_sum = g_sum = t_sum = np.float32(0.0)
                for k in range(4):
                    j, i = y + k // 2, x + k % 2
                    on_edge = (near[k // 2] >> (i - begin)) & 1 != 0
                    r, g, t = _colour(
                        texture, offsets, layer, which, places, slots, special, vertices, triangles, maps,
                        fine_which, fine_maps, gain, spread, warmth, on_edge, j, i, place,
                    )  # fmt: skip
                    r_sum, g_sum, t_sum = r_sum + r, g_sum + g, t_sum + t
                    luma[j, i] = np.uint8(16.5 + (65.481 * r + 128.553 * g + 24.966 * t) / 255.0)
                u = 128.5 + (-37.797 * r_sum - 74.203 * g_sum + 112.0 * t_sum) / 1020.0
                v = 128.5 + (112.0 * r_sum - 93.786 * g_sum - 18.214 * t_sum) / 1020.0
                blue[y // 2, x // 2], red[y // 2, x // 2] = np.uint8(u), np.uint8(v)
