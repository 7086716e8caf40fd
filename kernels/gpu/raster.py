# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Z-buffer rasterization in Triton, in two passes (see `kernels.rasterize` for what is computed).

Pass 1, one program per triangle, keeps the smallest key of depth and triangle per pixel (`kernels.gpu.nearest_triton`).
Pass 2, one program per block of pixels, reads the winner and interpolates. Memory traffic: 8 bytes per covered pixel
and layer in pass 1; 8 + 8 + 4 C bytes a pixel in pass 2.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.checks import Raster
from kernels.gpu.nearest_triton import NOTHING, carry, corner, keep_nearest, weights
from kernels.plain.nearest import EMPTY

PIXELS: tl.constexpr = tl.constexpr(256)


@triton.jit
def _keep_mesh(vertices, triangles, keys, n_vertices, height, width):
    """keys [B, height, width]; a triangle that names no vertex draws nothing."""
    f = tl.program_id(0).to(tl.int64)
    b = tl.program_id(1).to(tl.int64)
    v0 = tl.load(triangles + f * 3).to(tl.int64)
    v1 = tl.load(triangles + f * 3 + 1).to(tl.int64)
    v2 = tl.load(triangles + f * 3 + 2).to(tl.int64)
    named = (tl.minimum(tl.minimum(v0, v1), v2) >= 0) & (tl.maximum(tl.maximum(v0, v1), v2) < n_vertices)
    mesh = vertices + b * n_vertices * 3
    x0, y0, z0 = corner(mesh, tl.where(named, v0, 0))
    x1, y1, z1 = corner(mesh, tl.where(named, v1, 0))
    x2, y2, z2 = corner(mesh, tl.where(named, v2, 0))
    mine = keys + b * height * width
    keep_nearest(mine, mine, f, named, x0, y0, z0, x1, y1, z1, x2, y2, z2, height, width, False)


@triton.jit
def _interpolate_mesh(
    vertices, triangles, attributes, keys, out, which, depth,
    n_vertices, height, width, n_pixels, CHANNELS: tl.constexpr,
):  # fmt: skip
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    real = at < n_pixels
    key = tl.load(keys + at, mask=real, other=NOTHING)
    covered = real & (key != NOTHING)
    f = tl.where(covered, key & 0xFFFFFFFF, 0)
    plane = tl.cast(height, tl.int64) * width
    y, x = ((at % plane) // width).to(tl.float32), (at % width).to(tl.float32)
    v0, v1, v2, w0, w1, w2 = weights(vertices, triangles, f, (at // plane) * n_vertices, x, y, covered)
    tl.store(which + at, tl.where(covered, f, -1).to(tl.int32), mask=real)
    z = carry(vertices, 2, v0, v1, v2, w0, w1, w2, covered, float("inf"), 3)
    tl.store(depth + at, z, mask=real)
    for c in range(CHANNELS):
        value = carry(attributes, c, v0, v1, v2, w0, w1, w2, covered, 0.0, CHANNELS)
        tl.store(out + at * CHANNELS + c, value, mask=real)


def rasterize(vertices: Tensor, triangles: Tensor, attributes: Tensor, height: int, width: int) -> Raster:
    """See `kernels.rasterize`; the arguments were checked there."""
    batch, count = vertices.shape[:2]
    channels, device = attributes.shape[-1], vertices.device
    keys = torch.full((batch, height, width), EMPTY, dtype=torch.int64, device=device)
    out = torch.empty((batch, height, width, channels), dtype=torch.float32, device=device)
    which = torch.empty((batch, height, width), dtype=torch.int32, device=device)
    depth = torch.empty((batch, height, width), dtype=torch.float32, device=device)
    if keys.numel() == 0:
        return Raster(out, which, depth)
    points, faces, carried = vertices.contiguous(), triangles.contiguous(), attributes.contiguous()
    if len(faces):
        _keep_mesh[(len(faces), batch)](points, faces, keys, count, height, width, num_warps=2)
    blocks = triton.cdiv(keys.numel(), PIXELS.value)
    _interpolate_mesh[(blocks,)](
        points, faces, carried, keys, out, which, depth,
        count, height, width, keys.numel(), channels, num_warps=4,
    )  # fmt: skip
    return Raster(out, which, depth)
