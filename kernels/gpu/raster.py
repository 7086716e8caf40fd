# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Z-buffer rasterization in Triton, in two passes (see `kernels.rasterize` for what is computed).

Pass 1, one program per triangle, walks the triangle's bounding box and keeps, per pixel, the smallest 64-bit key:
depth (as an integer that sorts like the float) above, triangle number below. So equal depths go to the earlier triangle
and the result does not depend on the order of execution. Pass 2, one program per block of pixels, reads the winner and
interpolates. Memory traffic: 8 bytes per covered pixel and layer in pass 1; 8 + 8 + 4 C bytes a pixel in pass 2.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl

from kernels.checks import Raster

BOX_X: tl.constexpr = tl.constexpr(16)
BOX_Y: tl.constexpr = tl.constexpr(8)
PIXELS: tl.constexpr = tl.constexpr(256)
NOTHING = 2**63 - 1  # key of an empty pixel


@triton.jit
def _keep_nearest(vertices, triangles, keys, n_vertices, n_triangles, height, width, INSIDE: tl.constexpr):
    f = tl.program_id(0).to(tl.int64)
    b = tl.program_id(1).to(tl.int64)
    mesh = vertices + b * n_vertices * 3
    v0 = tl.load(triangles + f * 3).to(tl.int64)
    v1 = tl.load(triangles + f * 3 + 1).to(tl.int64)
    v2 = tl.load(triangles + f * 3 + 2).to(tl.int64)
    named = (tl.minimum(tl.minimum(v0, v1), v2) >= 0) & (tl.maximum(tl.maximum(v0, v1), v2) < n_vertices)
    p0, p1, p2 = mesh + tl.where(named, v0, 0) * 3, mesh + tl.where(named, v1, 0) * 3, mesh + tl.where(named, v2, 0) * 3
    x0, y0, z0 = tl.load(p0), tl.load(p0 + 1), tl.load(p0 + 2)
    x1, y1, z1 = tl.load(p1), tl.load(p1 + 1), tl.load(p1 + 2)
    x2, y2, z2 = tl.load(p2), tl.load(p2 + 1), tl.load(p2 + 2)
    ax, ay, bx, by = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    area = ax * by - bx * ay
    usable = named & (tl.abs(area) > 1e-9)  # false for NaN as well
    inverse = 1.0 / tl.where(usable, area, 1.0)
    # Clamping before the cast keeps far-off vertices inside the integer's range.
    last_x, last_y = tl.cast(width - 1, tl.float32), tl.cast(height - 1, tl.float32)
    zero = last_x * 0.0
    left = tl.ceil(tl.maximum(tl.minimum(tl.minimum(x0, x1), x2), zero) - 1e-6).to(tl.int32)
    right = tl.floor(tl.minimum(tl.maximum(tl.maximum(x0, x1), x2), last_x) + 1e-6).to(tl.int32)
    top = tl.ceil(tl.maximum(tl.minimum(tl.minimum(y0, y1), y2), zero) - 1e-6).to(tl.int32)
    bottom = tl.floor(tl.minimum(tl.maximum(tl.maximum(y0, y1), y2), last_y) + 1e-6).to(tl.int32)
    right = tl.where(usable, right, left - 1)
    for y_from in range(top, bottom + 1, BOX_Y):
        y = y_from + tl.arange(0, BOX_Y)[:, None]
        for x_from in range(left, right + 1, BOX_X):
            x = x_from + tl.arange(0, BOX_X)[None, :]
            px, py = x.to(tl.float32) - x0, y.to(tl.float32) - y0
            w1 = (px * by - bx * py) * inverse
            w2 = (ax * py - px * ay) * inverse
            w0 = 1.0 - w1 - w2
            inside = (w0 >= -INSIDE) & (w1 >= -INSIDE) & (w2 >= -INSIDE) & (x <= right) & (y <= bottom)
            z = w0 * z0 + w1 * z1 + w2 * z2
            bits = z.to(tl.int32, bitcast=True)
            sortable = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
            key = (sortable.to(tl.int64) << 32) | f
            at = (b * height + y.to(tl.int64)) * width + x.to(tl.int64)
            tl.atomic_min(keys + at, key, mask=inside & (z == z))


@triton.jit
def _interpolate(
    vertices, triangles, attributes, keys, out, which, depth,
    n_vertices, height, width, n_pixels, EMPTY: tl.constexpr, CHANNELS: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    real = at < n_pixels
    key = tl.load(keys + at, mask=real, other=EMPTY)
    covered = real & (key != EMPTY)
    f = tl.where(covered, key & 0xFFFFFFFF, 0)
    plane = tl.cast(height, tl.int64) * width
    b = at // plane
    y, x = ((at % plane) // width).to(tl.float32), (at % width).to(tl.float32)
    v0 = b * n_vertices + tl.load(triangles + f * 3, mask=covered, other=0).to(tl.int64)
    v1 = b * n_vertices + tl.load(triangles + f * 3 + 1, mask=covered, other=0).to(tl.int64)
    v2 = b * n_vertices + tl.load(triangles + f * 3 + 2, mask=covered, other=0).to(tl.int64)
    x0, y0 = (
        tl.load(vertices + v0 * 3, mask=covered, other=0.0),
        tl.load(vertices + v0 * 3 + 1, mask=covered, other=0.0),
    )
    ax = tl.load(vertices + v1 * 3, mask=covered, other=1.0) - x0
    ay = tl.load(vertices + v1 * 3 + 1, mask=covered, other=0.0) - y0
    bx = tl.load(vertices + v2 * 3, mask=covered, other=0.0) - x0
    by = tl.load(vertices + v2 * 3 + 1, mask=covered, other=1.0) - y0
    inverse = 1.0 / (ax * by - bx * ay)
    px, py = x - x0, y - y0
    w1 = (px * by - bx * py) * inverse
    w2 = (ax * py - px * ay) * inverse
    w0 = 1.0 - w1 - w2
    z = w0 * tl.load(vertices + v0 * 3 + 2, mask=covered, other=0.0)
    z += w1 * tl.load(vertices + v1 * 3 + 2, mask=covered, other=0.0)
    z += w2 * tl.load(vertices + v2 * 3 + 2, mask=covered, other=0.0)
    tl.store(which + at, tl.where(covered, f, -1).to(tl.int32), mask=real)
    tl.store(depth + at, tl.where(covered, z, float("inf")), mask=real)
    for c in range(CHANNELS):
        value = w0 * tl.load(attributes + v0 * CHANNELS + c, mask=covered, other=0.0)
        value += w1 * tl.load(attributes + v1 * CHANNELS + c, mask=covered, other=0.0)
        value += w2 * tl.load(attributes + v2 * CHANNELS + c, mask=covered, other=0.0)
        tl.store(out + at * CHANNELS + c, tl.where(covered, value, 0.0), mask=real)


def rasterize(
    vertices: torch.Tensor, triangles: torch.Tensor, attributes: torch.Tensor, height: int, width: int
) -> Raster:
    """See `kernels.rasterize`; the arguments were checked there."""
    batch, count = vertices.shape[:2]
    channels, device = attributes.shape[-1], vertices.device
    keys = torch.full((batch, height, width), NOTHING, dtype=torch.int64, device=device)
    out = torch.empty((batch, height, width, channels), dtype=torch.float32, device=device)
    which = torch.empty((batch, height, width), dtype=torch.int32, device=device)
    depth = torch.empty((batch, height, width), dtype=torch.float32, device=device)
    if keys.numel() == 0:
        return Raster(out, which, depth)
    points, faces, carried = vertices.contiguous(), triangles.contiguous(), attributes.contiguous()
    if len(faces):
        _keep_nearest[(len(faces), batch)](points, faces, keys, count, len(faces), height, width, 1e-5, num_warps=2)
    blocks = triton.cdiv(keys.numel(), PIXELS.value)
    _interpolate[(blocks,)](
        points, faces, carried, keys, out, which, depth,
        count, height, width, keys.numel(), NOTHING, channels, num_warps=4,
    )  # fmt: skip
    return Raster(out, which, depth)
