# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""`kernels.paint_scenes` in Triton: five launches and a running sum, none of which waits for the host.

1. One program per triangle keeps the smallest key (depth, triangle) at every pixel centre it covers, in one buffer for
   what is drawn and in another for what lies behind the opening; 2. the winners' maps are interpolated; 3. pixels where
   surfaces end are flagged, and numbered by a running sum; 4. as 1, at eight points of the numbered pixels; 5. every
   pixel takes its bilinear tap, numbered ones the mean of their points.

Bytes a pixel, with C maps: 16 of empty keys and 8 a covered layer (1), 8 + 4 + 4 C (2), 12 + 4 C (3, neighbours from
cache), 12 for the sum, 8 + 4 C + 12 + 3 (5); the eight points cost 128 bytes for each numbered pixel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.plain.nearest import EMPTY, INSIDE
from kernels.scenes import Look, Painted, Scenes

BOX_X: tl.constexpr = tl.constexpr(16)
BOX_Y: tl.constexpr = tl.constexpr(8)
PIXELS: tl.constexpr = tl.constexpr(128)
# Heights of the eight points, (y + 7 / 16) * 8, four bits each; they stand at x = (2 s - 7) / 16.
HEIGHTS: tl.constexpr = tl.constexpr(0x52703614)
NOTHING: tl.constexpr = tl.constexpr(EMPTY)
REACH: tl.constexpr = tl.constexpr(INSIDE)


@triton.jit
def _key(x, y, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f):
    """The key of triangle f at (x, y), and whether it covers it."""
    px, py = x - x0, y - y0
    w1 = (px * by - bx * py) * inverse
    w2 = (ax * py - px * ay) * inverse
    w0 = 1.0 - w1 - w2
    z = w0 * z0 + w1 * z1 + w2 * z2
    bits = z.to(tl.int32, bitcast=True)
    sortable = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    inside = (w0 >= -REACH) & (w1 >= -REACH) & (w2 >= -REACH) & (z == z)
    return (sortable.to(tl.int64) << 32) | f, inside


@triton.jit
def _keep(
    vertices, triangles, facing, scene, shown, slots, keys,
    n_vertices, n_triangles, size, plane, FINE: tl.constexpr,
):  # fmt: skip
    """keys [2, R, plane]: pixel centres, or with FINE eight points of the pixels numbered in slots [R, size, size]."""
    f, r = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    a = tl.load(scene + r)
    names = triangles + (a * n_triangles + f) * 3
    mesh = vertices + r * n_vertices * 3
    p0, p1 = mesh + tl.load(names).to(tl.int64) * 3, mesh + tl.load(names + 1).to(tl.int64) * 3
    p2 = mesh + tl.load(names + 2).to(tl.int64) * 3
    x0, y0, z0 = tl.load(p0), tl.load(p0 + 1), tl.load(p0 + 2)
    x1, y1, z1 = tl.load(p1), tl.load(p1 + 1), tl.load(p1 + 2)
    x2, y2, z2 = tl.load(p2), tl.load(p2 + 1), tl.load(p2 + 2)
    ax, ay, bx, by = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    area = ax * by - bx * ay
    back = tl.load(facing + a * n_triangles + f).to(tl.float32) * area > 0
    front = (f < tl.load(shown + r * 4)) & (back == 0)
    behind = (f >= tl.load(shown + r * 4 + 3)) & (tl.load(shown + r * 4 + 2) > tl.load(shown + r * 4 + 1))
    usable = (tl.abs(area) > 1e-9) & (front | behind)  # false for NaN as well
    inverse = 1.0 / tl.where(usable, area, 1.0)
    mine = keys + (tl.where(front, 0, tl.num_programs(1)).to(tl.int64) + r) * plane
    # Clamping before the cast keeps far-off vertices inside the integer's range.
    last = tl.cast(size - 1, tl.float32)
    zero = last * 0.0
    low_x, high_x = tl.minimum(tl.minimum(x0, x1), x2), tl.maximum(tl.maximum(x0, x1), x2)
    low_y, high_y = tl.minimum(tl.minimum(y0, y1), y2), tl.maximum(tl.maximum(y0, y1), y2)
    if FINE:
        left, top = tl.floor(tl.maximum(low_x, zero)).to(tl.int32), tl.floor(tl.maximum(low_y, zero)).to(tl.int32)
        right, bottom = tl.ceil(tl.minimum(high_x, last)).to(tl.int32), tl.ceil(tl.minimum(high_y, last)).to(tl.int32)
    else:
        left = tl.ceil(tl.maximum(low_x, zero) - 1e-6).to(tl.int32)
        top = tl.ceil(tl.maximum(low_y, zero) - 1e-6).to(tl.int32)
        right = tl.floor(tl.minimum(high_x, last) + 1e-6).to(tl.int32)
        bottom = tl.floor(tl.minimum(high_y, last) + 1e-6).to(tl.int32)
    right = tl.where(usable, right, left - 1)
    for y_from in range(top, bottom + 1, BOX_Y):
        y = y_from + tl.arange(0, BOX_Y)[:, None]
        for x_from in range(left, right + 1, BOX_X):
            x = x_from + tl.arange(0, BOX_X)[None, :]
            real = (x <= right) & (y <= bottom)
            at = y.to(tl.int64) * size + x.to(tl.int64)
            fx, fy = x.to(tl.float32), y.to(tl.float32)
            if FINE:
                slot = tl.load(slots + r * size * size + at, mask=real, other=-1).to(tl.int64)
                if tl.max(tl.max(slot, 1), 0) >= 0:
                    for s in range(8):
                        dx = (2 * s - 7) * 0.0625
                        dy = (((HEIGHTS >> (4 * s)) & 7) * 2 - 7) * 0.0625
                        key, inside = _key(fx + dx, fy + dy, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f)
                        tl.atomic_min(mine + slot * 8 + s, key, mask=inside & real & (slot >= 0))
            else:
                key, inside = _key(fx, fy, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f)
                tl.atomic_min(mine + at, key, mask=inside & real)


@triton.jit
def _seen(keys, at, r, plane, rows, shown, real):
    """The triangle seen at place ``at`` of row r, and whether there is one: through the opening what lies inside."""
    key = tl.load(keys + r * plane + at, mask=real, other=NOTHING)
    f = key & 0xFFFFFFFF
    opened = (key != NOTHING) & (f >= tl.load(shown + r * 4 + 1)) & (f < tl.load(shown + r * 4 + 2))
    inner = tl.load(keys + (rows + r) * plane + at, mask=real & opened, other=NOTHING)
    key = tl.where(opened, inner, key)
    covered = real & (key != NOTHING)
    return tl.where(covered, key & 0xFFFFFFFF, 0), covered


@triton.jit
def _weights(vertices, names, r, n_vertices, x, y, covered):
    """The corners' rows and the weights of (x, y) in the triangles at ``names``."""
    v0 = r * n_vertices + tl.load(names, mask=covered, other=0).to(tl.int64)
    v1 = r * n_vertices + tl.load(names + 1, mask=covered, other=0).to(tl.int64)
    v2 = r * n_vertices + tl.load(names + 2, mask=covered, other=0).to(tl.int64)
    x0 = tl.load(vertices + v0 * 3, mask=covered, other=0.0)
    y0 = tl.load(vertices + v0 * 3 + 1, mask=covered, other=0.0)
    ax = tl.load(vertices + v1 * 3, mask=covered, other=1.0) - x0
    ay = tl.load(vertices + v1 * 3 + 1, mask=covered, other=0.0) - y0
    bx = tl.load(vertices + v2 * 3, mask=covered, other=0.0) - x0
    by = tl.load(vertices + v2 * 3 + 1, mask=covered, other=1.0) - y0
    inverse = 1.0 / (ax * by - bx * ay)
    px, py = x - x0, y - y0
    w1 = (px * by - bx * py) * inverse
    w2 = (ax * py - px * ay) * inverse
    return v0, v1, v2, 1.0 - w1 - w2, w1, w2


@triton.jit
def _carry(maps, c, v0, v1, v2, w0, w1, w2, covered, CHANNELS: tl.constexpr):
    """Channel c of the maps at those weights."""
    value = w0 * tl.load(maps + v0 * CHANNELS + c, mask=covered, other=0.0)
    value += w1 * tl.load(maps + v1 * CHANNELS + c, mask=covered, other=0.0)
    value += w2 * tl.load(maps + v2 * CHANNELS + c, mask=covered, other=0.0)
    return tl.where(covered, value, 0.0)


@triton.jit
def _interpolate(
    vertices, maps, triangles, scene, shown, keys, which, places,
    n_vertices, n_triangles, size, rows, CHANNELS: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    plane = tl.cast(size, tl.int64) * size
    real = at < plane
    f, covered = _seen(keys, at, r, plane, rows, shown, real)
    y, x = (at // size).to(tl.float32), (at % size).to(tl.float32)
    names = triangles + (tl.load(scene + r) * n_triangles + f) * 3
    v0, v1, v2, w0, w1, w2 = _weights(vertices, names, r, n_vertices, x, y, covered)
    tl.store(which + r * plane + at, tl.where(covered, f, -1).to(tl.int32), mask=real)
    for c in range(CHANNELS):
        value = _carry(maps, c, v0, v1, v2, w0, w1, w2, covered, CHANNELS)
        tl.store(places + (r * plane + at) * CHANNELS + c, value, mask=real)


@triton.jit
def _differs(which, places, layers, here, there, layer, u, v, f, base, jump, real, CHANNELS: tl.constexpr):
    """Whether a surface ends between a pixel and its neighbour ``there``."""
    g = tl.load(which + there, mask=real, other=-1)
    other = tl.load(layers + base + tl.maximum(g, 0), mask=real & (g >= 0), other=-1)
    du = tl.abs(u - tl.load(places + there * CHANNELS, mask=real, other=0.0))
    dv = tl.abs(v - tl.load(places + there * CHANNELS + 1, mask=real, other=0.0))
    alike = (f >= 0) & (g >= 0) & (layer == other)
    return real & tl.where(alike, (du > jump) | (dv > jump), (f >= 0) | (g >= 0))


@triton.jit
def _flag(which, places, layers, scene, flags, n_triangles, size, jump, CHANNELS: tl.constexpr):
    r = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    plane = tl.cast(size, tl.int64) * size
    real = at < plane
    here = r * plane + at
    y, x = at // size, at % size
    base = tl.load(scene + r) * n_triangles
    f = tl.load(which + here, mask=real, other=-1)
    layer = tl.load(layers + base + tl.maximum(f, 0), mask=real & (f >= 0), other=-1)
    u = tl.load(places + here * CHANNELS, mask=real, other=0.0)
    v = tl.load(places + here * CHANNELS + 1, mask=real, other=0.0)
    edge = _differs(which, places, layers, here, here + 1, layer, u, v, f, base, jump, real & (x + 1 < size), CHANNELS)
    edge |= _differs(which, places, layers, here, here - 1, layer, u, v, f, base, jump, real & (x > 0), CHANNELS)
    below, above = real & (y + 1 < size), real & (y > 0)
    edge |= _differs(which, places, layers, here, here + size, layer, u, v, f, base, jump, below, CHANNELS)
    edge |= _differs(which, places, layers, here, here - size, layer, u, v, f, base, jump, above, CHANNELS)
    tl.store(flags + here, edge.to(tl.int32), mask=real)


@triton.jit
def _tap(atlas, c, j, i, a, b, width, mask):
    """Channel c of the atlas between rows j, j + 1 and columns i, i + 1."""
    at = atlas + (j * width + i) * 3 + c
    upper = tl.load(at, mask=mask, other=0).to(tl.float32) * (1 - a)
    upper += tl.load(at + 3, mask=mask, other=0).to(tl.float32) * a
    lower = tl.load(at + width * 3, mask=mask, other=0).to(tl.float32) * (1 - a)
    lower += tl.load(at + width * 3 + 3, mask=mask, other=0).to(tl.float32) * a
    return upper * (1 - b) + lower * b


@triton.jit
def _colour(
    atlas, offsets, gain, u, v, shade, mu, mv, share, layer, width, last_x, last_y, warmth, mask,
    MIRRORS: tl.constexpr,
):  # fmt: skip
    """Red, green and blue at texture place (u, v) of a layer, mirrored colours mixed in, shaded."""
    ox, oy = tl.load(offsets + layer * 2, mask=mask, other=0.0), tl.load(offsets + layer * 2 + 1, mask=mask, other=0.0)
    x, y = tl.minimum(tl.maximum(u + ox, 0.0), last_x), tl.minimum(tl.maximum(v + oy, 0.0), last_y)
    i, j = x.to(tl.int64), y.to(tl.int64)
    a, b = x - i.to(tl.float32), y - j.to(tl.float32)
    red, green = _tap(atlas, 0, j, i, a, b, width, mask), _tap(atlas, 1, j, i, a, b, width, mask)
    blue = _tap(atlas, 2, j, i, a, b, width, mask)
    if MIRRORS:
        twin = mask & (share > 0.004)
        share = tl.where(twin, share, 0.0)
        x, y = tl.minimum(tl.maximum(mu + ox, 0.0), last_x), tl.minimum(tl.maximum(mv + oy, 0.0), last_y)
        i, j = x.to(tl.int64), y.to(tl.int64)
        a, b = x - i.to(tl.float32), y - j.to(tl.float32)
        red += share * (_tap(atlas, 0, j, i, a, b, width, twin) * tl.load(gain) - red)
        green += share * (_tap(atlas, 1, j, i, a, b, width, twin) * tl.load(gain + 1) - green)
        blue += share * (_tap(atlas, 2, j, i, a, b, width, twin) * tl.load(gain + 2) - blue)
    dark = warmth * (1 - shade)
    zero = shade * 0.0
    return (
        tl.where(mask, red * shade, zero),
        tl.where(mask, green * shade * (1 - dark), zero),
        tl.where(mask, blue * shade * (1 - 1.5 * dark), zero),
    )


@triton.jit
def _paint(
    vertices, maps, triangles, layers, offsets, atlas, extent, gain, scene, shown, which, places, slots, fine, out,
    n_vertices, n_triangles, n_layers, atlas_rows, atlas_columns, size, rows, most, spread, warmth,
    CHANNELS: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    plane = tl.cast(size, tl.int64) * size
    real = at < plane
    here = r * plane + at
    a = tl.load(scene + r)
    picture, shift, tone = atlas + a * atlas_rows * atlas_columns * 3, offsets + a * n_layers * 2, gain + a * 3
    last_y = tl.load(extent + a * 2).to(tl.float32) - 1.001
    last_x = tl.load(extent + a * 2 + 1).to(tl.float32) - 1.001
    f = tl.load(which + here, mask=real, other=-1)
    covered = real & (f >= 0)
    layer = tl.load(layers + a * n_triangles + tl.maximum(f, 0), mask=covered, other=0)
    cell = places + here * CHANNELS
    u, v = tl.load(cell, mask=covered, other=0.0), tl.load(cell + 1, mask=covered, other=0.0)
    shade = tl.load(cell + 2, mask=covered, other=0.0)
    mu, mv, share = u, v, shade * 0.0
    if CHANNELS == 6:
        mu, mv = tl.load(cell + 3, mask=covered, other=0.0), tl.load(cell + 4, mask=covered, other=0.0)
        share = tl.load(cell + 5, mask=covered, other=0.0)
    red, green, blue = _colour(
        picture, shift, tone, u, v, shade, mu, mv, share, layer, atlas_columns, last_x, last_y, warmth, covered,
        CHANNELS == 6,
    )  # fmt: skip
    slot = tl.load(slots + here, mask=real, other=-1).to(tl.int64)
    if tl.max(slot, 0) >= 0:
        y, x = (at // size).to(tl.float32), (at % size).to(tl.float32)
        edge = real & (slot >= 0)
        smooth = edge & (f >= 0)
        count = shade * 0.0
        r_sum, g_sum, b_sum = count, count, count
        for s in range(8):
            dx = (2 * s - 7) * 0.0625
            dy = (((HEIGHTS >> (4 * s)) & 7) * 2 - 7) * 0.0625
            g, hit = _seen(fine, slot * 8 + s, r, most * 8, rows, shown, edge)
            names = triangles + (a * n_triangles + g) * 3
            v0, v1, v2, w0, w1, w2 = _weights(vertices, names, r, n_vertices, x + dx, y + dy, hit)
            fu = _carry(maps, 0, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
            fv = _carry(maps, 1, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
            fs = _carry(maps, 2, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
            fmu, fmv, fshare = fu, fv, fs * 0.0
            if CHANNELS == 6:
                fmu = _carry(maps, 3, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
                fmv = _carry(maps, 4, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
                fshare = _carry(maps, 5, v0, v1, v2, w0, w1, w2, hit, CHANNELS)
            part = tl.load(layers + a * n_triangles + g, mask=hit, other=0)
            fr, fg, fb = _colour(
                picture, shift, tone, fu, fv, fs, fmu, fmv, fshare, part, atlas_columns, last_x, last_y, warmth, hit,
                CHANNELS == 6,
            )  # fmt: skip
            r_sum, g_sum, b_sum, count = r_sum + fr, g_sum + fg, b_sum + fb, count + hit.to(tl.float32)
            smooth &= hit & (tl.abs(fu - u) <= spread) & (tl.abs(fv - v) <= spread) & (tl.abs(fs - shade) <= 0.02)
        mean = edge & (smooth == 0)
        divisor = tl.maximum(count, 1.0)
        red, green = tl.where(mean, r_sum / divisor, red), tl.where(mean, g_sum / divisor, green)
        blue = tl.where(mean, b_sum / divisor, blue)
    tl.store(out + here * 3, tl.minimum(tl.maximum(red + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)
    tl.store(out + here * 3 + 1, tl.minimum(tl.maximum(green + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)
    tl.store(out + here * 3 + 2, tl.minimum(tl.maximum(blue + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)


def paint_scenes(
    vertices: torch.Tensor,
    maps: torch.Tensor,
    scene: torch.Tensor,
    shown: torch.Tensor,
    tables: Scenes,
    size: int,
    look: Look,
) -> Painted:
    """See `kernels.paint_scenes`; the arguments were checked there."""
    points, carried, scene, shown = vertices.contiguous(), maps.contiguous(), scene.contiguous(), shown.contiguous()
    rows, count, channels = carried.shape
    faces, plane, device = tables.triangles.shape[1], size * size, vertices.device
    which = torch.empty((rows, size, size), dtype=torch.int32, device=device)
    places = torch.empty((rows, size, size, channels), dtype=torch.float32, device=device)
    rgb = torch.empty((rows, size, size, 3), dtype=torch.uint8, device=device)
    if rows == 0:
        return Painted(rgb, which, places)
    table = Scenes(*(t.contiguous() for t in tables))
    drawn = table.triangles, table.facing, scene, shown
    blocks = (triton.cdiv(plane, PIXELS.value), rows)
    keys = torch.full((2, rows, plane), EMPTY, dtype=torch.int64, device=device)
    _keep[(faces, rows)](points, *drawn, which, keys, count, faces, size, plane, False, num_warps=2)
    mesh = points, carried, table.triangles
    _interpolate[blocks](*mesh, scene, shown, keys, which, places, count, faces, size, rows, channels, num_warps=4)
    flags = torch.empty((rows, plane), dtype=torch.int32, device=device)
    _flag[blocks](which, places, table.layers, scene, flags, faces, size, look.jump, channels, num_warps=4)
    number = torch.cumsum(flags, 1, dtype=torch.int32) - 1
    slots = torch.where((flags > 0) & (number < look.most), number, -1)
    fine = torch.full((2, rows, look.most * 8), EMPTY, dtype=torch.int64, device=device)
    _keep[(faces, rows)](points, *drawn, slots, fine, count, faces, size, look.most * 8, True, num_warps=2)
    _paint[blocks](
        *mesh, table.layers, table.offsets, table.atlas, table.extent, table.gain, scene, shown,
        which, places, slots, fine, rgb,
        count, faces, table.offsets.shape[1], *table.atlas.shape[1:3], size, rows, look.most, look.spread, look.warmth,
        channels, num_warps=4,
    )  # fmt: skip
    return Painted(rgb, which, places)
