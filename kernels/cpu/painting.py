# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""From what each pixel sees to its colour (numba): eight pixels at a time where the texture is shown as it is.

That is nearly everywhere. Where a surface is shaded, mixed with its mirrored place or ends, each pixel is looked at by
itself, afterwards and all in one loop: arrays handed on for every pixel have their references counted, which takes
longer than its colour.

Pictures that go to an encoder are painted as the planes it takes, without a detour by RGB: the texture is brightness
and colour differences already, and the latter are looked up once for four pixels.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import LANES, SAMPLES
from kernels.cpu.numba_kernels import TILE
from kernels.cpu.texture_lanes import fetch, show, show_chroma, show_luma


@compiled(inline="always")
def _shaded(r, g, t, shade, warmth):
    """A colour in shade, which in flesh is redder."""
    dark = np.float32(1.0) - shade
    return r * shade, g * shade * (1 - warmth * dark), t * shade * (1 - warmth * 1.5 * dark)


@compiled(inline="always")
def _plain(layer):
    """How many triangles are of the first layer before any other: those with which pictures are filled."""
    plain = 0
    while plain < len(layer) and layer[plain] == layer[0]:
        plain += 1
    return np.uint32(plain)


@compiled
def colours(pixels, texture, offsets, layer, seen, mesh, fine, edged, look, out):
    """What single pixels show, red, green and blue in 0 to 255: pixels [n] int32, numbered row by row -> out [n, 3].

    All else is as in `paint`.
    """
    which, places, slots, special = seen
    vertices, triangles, maps = mesh
    fine_which, fine_maps = fine
    gain, spread, warmth = look
    width, mirrors, wide = which.shape[1], maps.shape[1] == 6, texture.shape[1]
    last_u, last_v = np.float32(wide - 1.001), np.float32(texture.shape[0] - 1.001)
    zero, one, top, faint = np.float32(0.0), np.float32(1.0), np.float32(255.0), np.float32(0.004)
    place = np.empty(maps.shape[1], np.float32)
    for n in range(pixels.shape[0]):
        y, x = pixels[n] // width, pixels[n] % width
        f, slot = which[y, x], np.int32(-1)
        if edged[y, x // TILE] >> (x % TILE) & 1 != 0:
            slot = slots[y, x]
        if f >= 0:
            place[0], place[1], place[2] = places[0, y, x], places[1, y, x], one
            if special[f]:  # all that the triangle carries here
                a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
                x0, y0 = np.float64(vertices[a, 0]), np.float64(vertices[a, 1])
                x1, y1 = np.float64(vertices[b, 0]), np.float64(vertices[b, 1])
                x2, y2 = np.float64(vertices[c, 0]), np.float64(vertices[c, 1])
                inverse = 1.0 / ((x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0))
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
                for k in range(maps.shape[1]):
                    place[k] = (1.0 - w1 - w2) * maps[a, k] + w1 * maps[b, k] + w2 * maps[c, k]
        smooth = slot < 0
        if not smooth:
            smooth = f >= 0
            for s in range(SAMPLES):
                smooth = (
                    smooth
                    and fine_which[slot, s] >= 0
                    and abs(fine_maps[slot, s, 0] - place[0]) <= spread
                    and abs(fine_maps[slot, s, 1] - place[1]) <= spread
                    and abs(fine_maps[slot, s, 2] - place[2]) <= 0.02
                )
        r = g = t = zero
        covered = 0
        for s in range(1 if smooth else SAMPLES):
            ff = f if smooth else fine_which[slot, s]
            if ff < 0:
                continue
            covered += 1
            u, v, shade = place[0], place[1], place[2]
            if not smooth:
                u, v, shade = fine_maps[slot, s, 0], fine_maps[slot, s, 1], fine_maps[slot, s, 2]
            du, dv = offsets[layer[ff], 0], offsets[layer[ff], 1]
            sr, sg, st = fetch(texture, wide, last_u, last_v, u + du, v + dv)
            if mirrors and (special[ff] or not smooth):
                mu, mv, share = place[3], place[4], place[5]
                if not smooth:
                    mu, mv, share = fine_maps[slot, s, 3], fine_maps[slot, s, 4], fine_maps[slot, s, 5]
                if share > faint:
                    mr, mg, mt = fetch(texture, wide, last_u, last_v, mu + du, mv + dv)
                    sr, sg = sr + share * (mr * gain[0] - sr), sg + share * (mg * gain[1] - sg)
                    st += share * (mt * gain[2] - st)
            sr, sg, st = _shaded(sr, sg, st, shade, warmth)
            r, g, t = r + sr, g + sg, t + st
        if covered > 1:
            part = one / np.float32(covered)
            r, g, t = r * part, g * part, t * part
        out[n, 0], out[n, 1], out[n, 2] = min(max(r, zero), top), min(max(g, zero), top), min(max(t, zero), top)


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
    which, places, _, special = seen
    width, beyond, count = which.shape[1], which.size, 0
    last_u, last_v = np.float32(texture.shape[1] - 1.001), np.float32(texture.shape[0] - 1.001)
    most, u0, v0 = _plain(layer), offsets[layer[0], 0], offsets[layer[0], 1]
    apart = np.empty((rows[1] - rows[0]) * width, np.int32)
    for y in range(rows[0], rows[1]):
        for begin in range(0, width, LANES):
            end, at = min(begin + LANES, width), y * width + begin
            near = edged[y, begin // TILE] >> (begin % TILE) & 255
            whole = end - begin == LANES
            if whole:
                show(texture, texture.shape[1], last_u, last_v, places, beyond, at, u0, v0, out)
            unlike = odd[y // TILE, begin // TILE] != 0 or which[y, begin] < 0
            if whole and near == 0 and not unlike:
                continue
            for x in range(begin, end):
                f = which[y, x]
                if not whole or near >> (x - begin) & 1 != 0 or np.uint32(f) >= most or special[f]:
                    apart[count] = y * width + x
                    count += 1
    found = np.empty((count, 3), np.float32)
    colours(apart[:count], texture, offsets, layer, seen, mesh, fine, edged, look, found)
    half, flat = np.float32(0.5), out.reshape(-1, 3)
    for n in range(count):
        for k in range(3):
            flat[apart[n], k] = np.uint8(found[n, k] + half)


@compiled
def paint_planes(texture, bright, tinted, offsets, layer, seen, mesh, fine, edged, odd, look, rows, planes):
    """`paint` into planar I420, BT.601 in its limited range: what `kernels.rgb_to_i420` would make of the picture.

    bright [h, w] and tinted [h, w, 2] uint8 are ``texture`` in these terms: `kernels.cpu.pixel_kernels.texture_planes`.
    planes = luma [H, W], and of each colour difference [H / 2, W / 2] uint8. H, W and the rows' ends are even.
    """
    which, places, _, special = seen
    luma, blue, red = planes
    width, beyond, wide, count = which.shape[1], which.size, bright.shape[1], 0
    last_u, last_v = np.float32(wide - 1.001), np.float32(bright.shape[0] - 1.001)
    most, u0, v0 = _plain(layer), offsets[layer[0], 0], offsets[layer[0], 1]
    apart = np.empty((rows[1] - rows[0]) * width, np.int32)  # four after four
    for y in range(rows[0], rows[1], 2):
        for begin in range(0, width, TILE):
            end = min(begin + TILE, width)
            near = edged[y, begin // TILE] | edged[y + 1, begin // TILE]
            unlike = odd[y // TILE, begin // TILE] != 0 or which[y, begin] < 0
            whole = end - begin == TILE
            if whole:
                given = wide, last_u, last_v, places, beyond
                for at in (y * width + begin, (y + 1) * width + begin):
                    show_luma(bright, *given, at, u0, v0, luma, at)
                    show_luma(bright, *given, at + LANES, u0, v0, luma, at + LANES)
                to = (y // 2 * width + begin) // 2
                show_chroma(tinted, *given, y * width + begin, width, u0, v0, blue, red, to)
                if not unlike and near == 0:
                    continue
            for x in range(begin, end, 2):
                alone = not whole or near >> (x - begin) & 3 != 0
                if unlike and not alone:
                    for k in range(4):
                        f = which[y + k // 2, x + k % 2]
                        alone |= np.uint32(f) >= most or special[f]
                if alone:
                    for k in range(4):
                        apart[count] = (y + k // 2) * width + x + k % 2
                        count += 1
    found = np.empty((count, 3), np.float32)
    colours(apart[:count], texture, offsets, layer, seen, mesh, fine, edged, look, found)
    for n in range(0, count, 4):
        r_sum = g_sum = t_sum = np.float32(0.0)
        for k in range(n, n + 4):
            r, g, t = found[k, 0], found[k, 1], found[k, 2]
            r_sum, g_sum, t_sum = r_sum + r, g_sum + g, t_sum + t
            luma[apart[k] // width, apart[k] % width] = np.uint8(16.5 + (65.481 * r + 128.553 * g + 24.966 * t) / 255.0)
        j, i = apart[n] // width // 2, apart[n] % width // 2
        blue[j, i] = np.uint8(128.5 + (-37.797 * r_sum - 74.203 * g_sum + 112.0 * t_sum) / 1020.0)
        red[j, i] = np.uint8(128.5 + (112.0 * r_sum - 93.786 * g_sum - 18.214 * t_sum) / 1020.0)
