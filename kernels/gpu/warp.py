# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Backward grid warp in Triton: upsample the grid, sample, occlude and composite in one pass.

out(x, y) = o(x, y) * image(g(x, y)) + (1 - o(x, y)) * background(x, y), with g and o upsampled bilinearly.
Bytes moved per output pixel and channel: up to 16 read (4 taps) + 4 background + 4 written; the coarse grid stays in
cache.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

PIXELS: tl.constexpr = tl.constexpr(256)


@triton.jit
def _tap(image, y, x, sy, sx, mask):
    return tl.load(image + y.to(tl.int64) * sy + x.to(tl.int64) * sx, mask=mask, other=0.0)


@triton.jit
def _mix(base, step, p00, p01, p10, p11, at00, at01, at10, at11, mask):
    value = p00 * tl.load(base + at00 * step, mask=mask, other=0.0)
    value += p01 * tl.load(base + at01 * step, mask=mask, other=0.0)
    value += p10 * tl.load(base + at10 * step, mask=mask, other=0.0)
    return value + p11 * tl.load(base + at11 * step, mask=mask, other=0.0)


@triton.jit
def _warp(
    image, grid, occlusion, background, out,
    ih, iw, gh, gw, height, width, step_y, step_x,
    ib, ic, iy, ix, bb, bc, by, bx, ob, oc, oy, ox,
    CHANNELS: tl.constexpr, HAS_OCCLUSION: tl.constexpr, HAS_BACKGROUND: tl.constexpr,
):  # fmt: skip
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    real = at < tl.cast(height, tl.int64) * width
    y, x = at // width, at % width
    gy, gx = y.to(tl.float32) * step_y, x.to(tl.float32) * step_x
    j, i = tl.minimum(gy.to(tl.int64), gh - 1), tl.minimum(gx.to(tl.int64), gw - 1)
    j1, i1 = tl.minimum(j + 1, gh - 1), tl.minimum(i + 1, gw - 1)
    fy, fx = gy - j.to(tl.float32), gx - i.to(tl.float32)
    p00, p01, p10, p11 = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
    at00, at01, at10, at11 = j * gw + i, j * gw + i1, j1 * gw + i, j1 * gw + i1
    cells = grid + b * gh * gw * 2
    u = _mix(cells, 2, p00, p01, p10, p11, at00, at01, at10, at11, real)
    v = _mix(cells + 1, 2, p00, p01, p10, p11, at00, at01, at10, at11, real)
    u = tl.minimum(tl.maximum(u, 0.0), tl.cast(iw - 1, tl.float32))
    v = tl.minimum(tl.maximum(v, 0.0), tl.cast(ih - 1, tl.float32))
    x0, y0 = u.to(tl.int64), v.to(tl.int64)
    x1, y1 = tl.minimum(x0 + 1, iw - 1), tl.minimum(y0 + 1, ih - 1)
    a, c = u - x0.to(tl.float32), v - y0.to(tl.float32)
    if HAS_OCCLUSION:
        share = _mix(occlusion + b * gh * gw, 1, p00, p01, p10, p11, at00, at01, at10, at11, real)
    for k in range(CHANNELS):
        plane = image + b * ib + k * ic
        value = (1 - a) * (1 - c) * _tap(plane, y0, x0, iy, ix, real) + a * (1 - c) * _tap(plane, y0, x1, iy, ix, real)
        value += (1 - a) * c * _tap(plane, y1, x0, iy, ix, real) + a * c * _tap(plane, y1, x1, iy, ix, real)
        if HAS_OCCLUSION:
            value = value * share
            if HAS_BACKGROUND:
                value += (1 - share) * _tap(background + b * bb + k * bc, y, x, by, bx, real)
        tl.store(out + b * ob + k * oc + y * oy + x * ox, value, mask=real)


def warp_grid(
    image: Tensor,
    grid: Tensor,
    height: int,
    width: int,
    occlusion: Tensor | None,
    background: Tensor | None,
    channels_last: bool,
) -> Tensor:
    """See `kernels.warp_grid`; the arguments were checked there."""

    def strides(t: Tensor) -> tuple[int, int, int, int]:
        b, *rest = t.stride()
        return (b, rest[2], rest[0], rest[1]) if channels_last else (b, *rest)  # batch, channel, row, column

    batch = len(image)
    channels, ih, iw = (image.shape[i] for i in ((3, 1, 2) if channels_last else (1, 2, 3)))
    shape = (batch, height, width, channels) if channels_last else (batch, channels, height, width)
    out = torch.empty(shape, dtype=torch.float32, device=image.device)
    cells = grid.contiguous()
    gh, gw = cells.shape[1:3]
    share = cells if occlusion is None else occlusion.contiguous()
    behind = out if background is None else background
    _warp[(triton.cdiv(height * width, PIXELS.value), batch)](
        image, cells, share, behind, out, ih, iw, gh, gw, height, width,
        (gh - 1) / (height - 1) if height > 1 else 0.0, (gw - 1) / (width - 1) if width > 1 else 0.0,
        *strides(image), *strides(behind), *strides(out),
        channels, occlusion is not None, background is not None, num_warps=4,
    )  # fmt: skip
    return out
