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
from torch import Tensor

from kernels.gpu.nearest_triton import NOTHING, carry, corner, keep_nearest, point, weights
from kernels.gpu.texture_triton import colour
from kernels.plain.nearest import EMPTY
from kernels.plain.scene_reference import SAME_SHADE
from kernels.scenes import Look, Painted, Scenes

PIXELS: tl.constexpr = tl.constexpr(128)
SHADE: tl.constexpr = tl.constexpr(SAME_SHADE)


@triton.jit
def _keep_scene(
    vertices, triangles, facing, scene, shown, slots, keys,
    n_vertices, n_triangles, size, plane, FINE: tl.constexpr,
):  # fmt: skip
    """keys [2, R, plane]: pixel centres, or with FINE eight points of the pixels numbered in slots [R, size, size]."""
    f, r = tl.program_id(0).to(tl.int64), tl.program_id(1).to(tl.int64)
    a = tl.load(scene + r)
    names = triangles + (a * n_triangles + f) * 3
    mesh = vertices + r * n_vertices * 3
    x0, y0, z0 = corner(mesh, tl.load(names).to(tl.int64))
    x1, y1, z1 = corner(mesh, tl.load(names + 1).to(tl.int64))
    x2, y2, z2 = corner(mesh, tl.load(names + 2).to(tl.int64))
    area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
    back = tl.load(facing + a * n_triangles + f).to(tl.float32) * area > 0
    front = (f < tl.load(shown + r * 4)) & (back == 0)
    behind = (f >= tl.load(shown + r * 4 + 3)) & (tl.load(shown + r * 4 + 2) > tl.load(shown + r * 4 + 1))
    mine = keys + (tl.where(front, 0, tl.num_programs(1)).to(tl.int64) + r) * plane
    numbers = slots + r * size * size
    keep_nearest(mine, numbers, f, front | behind, x0, y0, z0, x1, y1, z1, x2, y2, z2, size, size, FINE)


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
def _interpolate_scene(
    vertices, maps, triangles, scene, shown, keys, which, places,
    n_vertices, n_triangles, size, rows, CHANNELS: tl.constexpr,
):  # fmt: skip
    r = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    plane = tl.cast(size, tl.int64) * size
    real = at < plane
    f, covered = _seen(keys, at, r, plane, rows, shown, real)
    y, x = (at // size).to(tl.float32), (at % size).to(tl.float32)
    faces = triangles + tl.load(scene + r) * n_triangles * 3
    v0, v1, v2, w0, w1, w2 = weights(vertices, faces, f, r * n_vertices, x, y, covered)
    tl.store(which + r * plane + at, tl.where(covered, f, -1).to(tl.int32), mask=real)
    for c in range(CHANNELS):
        value = carry(maps, c, v0, v1, v2, w0, w1, w2, covered, 0.0, CHANNELS)
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
    faces = triangles + a * n_triangles * 3
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
    red, green, blue = colour(
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
            dx, dy = point(s)
            g, hit = _seen(fine, slot * 8 + s, r, most * 8, rows, shown, edge)
            v0, v1, v2, w0, w1, w2 = weights(vertices, faces, g, r * n_vertices, x + dx, y + dy, hit)
            fu = carry(maps, 0, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
            fv = carry(maps, 1, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
            fs = carry(maps, 2, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
            fmu, fmv, fshare = fu, fv, fs * 0.0
            if CHANNELS == 6:
                fmu = carry(maps, 3, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
                fmv = carry(maps, 4, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
                fshare = carry(maps, 5, v0, v1, v2, w0, w1, w2, hit, 0.0, CHANNELS)
            part = tl.load(layers + a * n_triangles + g, mask=hit, other=0)
            fr, fg, fb = colour(
                picture, shift, tone, fu, fv, fs, fmu, fmv, fshare, part, atlas_columns, last_x, last_y, warmth, hit,
                CHANNELS == 6,
            )  # fmt: skip
            r_sum, g_sum, b_sum, count = r_sum + fr, g_sum + fg, b_sum + fb, count + hit.to(tl.float32)
            smooth &= hit & (tl.abs(fu - u) <= spread) & (tl.abs(fv - v) <= spread) & (tl.abs(fs - shade) <= SHADE)
        mean = edge & (smooth == 0)
        divisor = tl.maximum(count, 1.0)
        red, green = tl.where(mean, r_sum / divisor, red), tl.where(mean, g_sum / divisor, green)
        blue = tl.where(mean, b_sum / divisor, blue)
    tl.store(out + here * 3, tl.minimum(tl.maximum(red + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)
    tl.store(out + here * 3 + 1, tl.minimum(tl.maximum(green + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)
    tl.store(out + here * 3 + 2, tl.minimum(tl.maximum(blue + 0.5, 0.0), 255.0).to(tl.uint8), mask=real)


def paint_scenes(
    vertices: Tensor, maps: Tensor, scene: Tensor, shown: Tensor, tables: Scenes, size: int, look: Look
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
    _keep_scene[(faces, rows)](points, *drawn, which, keys, count, faces, size, plane, False, num_warps=2)
    mesh = points, carried, table.triangles
    found = scene, shown, keys, which, places
    _interpolate_scene[blocks](*mesh, *found, count, faces, size, rows, channels, num_warps=4)
    flags = torch.empty((rows, plane), dtype=torch.int32, device=device)
    _flag[blocks](which, places, table.layers, scene, flags, faces, size, look.jump, channels, num_warps=4)
    number = torch.cumsum(flags, 1, dtype=torch.int32) - 1
    slots = torch.where((flags > 0) & (number < look.most), number, -1)
    fine = torch.full((2, rows, look.most * 8), EMPTY, dtype=torch.int64, device=device)
    _keep_scene[(faces, rows)](points, *drawn, slots, fine, count, faces, size, look.most * 8, True, num_warps=2)
    _paint[blocks](
        *mesh, table.layers, table.offsets, table.atlas, table.extent, table.gain, scene, shown,
        which, places, slots, fine, rgb,
        count, faces, table.offsets.shape[1], *table.atlas.shape[1:3], size, rows, look.most, look.spread, look.warmth,
        channels, num_warps=4,
    )  # fmt: skip
    return Painted(rgb, which, places)
