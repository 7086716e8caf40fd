# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""A picture's bytes in Triton.

I420: Y = 16 + M0 rgb, U and V = 128 + M1, M2 of the mean over 2 x 2 pixels (BT.601 limited). One program handles a
run of 2 x 2 blocks: 12 values read, 4 + 1 + 1 bytes written per block. RGB24: 255 p + 1/2, three planes read, 3 bytes
written per pixel.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

BLOCKS: tl.constexpr = tl.constexpr(256)
PIXELS: tl.constexpr = tl.constexpr(256)


@triton.jit
def _to_byte(value, low: tl.constexpr, high: tl.constexpr):
    return tl.minimum(tl.maximum(value, low), high).to(tl.uint8)


@triton.jit
def _convert(rgb, out, height, width):
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * BLOCKS + tl.arange(0, BLOCKS)
    half = width // 2
    count = tl.cast(height // 2, tl.int64) * half
    real = at < count
    y, x = (at // half) * 2, (at % half) * 2
    picture = rgb + b * height * width * 3
    planes = out + b * (height * 3 // 2) * width
    r_mean, g_mean, b_mean = at.to(tl.float32) * 0, at.to(tl.float32) * 0, at.to(tl.float32) * 0
    for corner in range(4):
        place = (y + corner // 2) * width + x + corner % 2
        r = tl.load(picture + place * 3, mask=real, other=0).to(tl.float32)
        g = tl.load(picture + place * 3 + 1, mask=real, other=0).to(tl.float32)
        t = tl.load(picture + place * 3 + 2, mask=real, other=0).to(tl.float32)
        luma = 16.5 + (65.481 * r + 128.553 * g + 24.966 * t) / 255.0
        tl.store(planes + place, _to_byte(luma, 16.0, 235.0), mask=real)
        r_mean, g_mean, b_mean = r_mean + r * 0.25, g_mean + g * 0.25, b_mean + t * 0.25
    u = 128.5 + (-37.797 * r_mean - 74.203 * g_mean + 112.0 * b_mean) / 255.0
    v = 128.5 + (112.0 * r_mean - 93.786 * g_mean - 18.214 * b_mean) / 255.0
    chroma = planes + tl.cast(height, tl.int64) * width
    tl.store(chroma + at, _to_byte(u, 16.0, 240.0), mask=real)
    tl.store(chroma + count + at, _to_byte(v, 16.0, 240.0), mask=real)


def rgb_to_i420(rgb: Tensor) -> Tensor:
    """See `kernels.rgb_to_i420`; the argument was checked there."""
    height, width = rgb.shape[-3:-1]
    pixels = rgb.detach().reshape(-1, height, width, 3).contiguous()
    out = torch.empty((len(pixels), height * 3 // 2, width), dtype=torch.uint8, device=rgb.device)
    if len(pixels):
        _convert[(triton.cdiv(height * width // 4, BLOCKS.value), len(pixels))](pixels, out, height, width, num_warps=4)
    return out.reshape(*rgb.shape[:-3], height * 3 // 2, width)


@triton.jit
def _pack(picture, out, count):
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0).to(tl.int64) * PIXELS + tl.arange(0, PIXELS)
    real = at < count
    for k in range(3):
        value = tl.load(picture + (b * 3 + k) * count + at, mask=real, other=0.0).to(tl.float32) * 255.0 + 0.5
        value = tl.where(value > 0.0, value, 0.0)  # also NaN
        tl.store(out + (b * count + at) * 3 + k, tl.minimum(value, 255.0).to(tl.uint8), mask=real)


def to_rgb24(picture: Tensor) -> Tensor:
    """See `kernels.to_rgb24`; the argument was checked there."""
    height, width = picture.shape[-2:]
    planes = picture.detach().reshape(-1, 3, height, width).contiguous()
    out = torch.empty((len(planes), height, width, 3), dtype=torch.uint8, device=picture.device)
    count = height * width
    _pack[(triton.cdiv(count, PIXELS.value), len(planes))](planes, out, count, num_warps=4)
    return out.reshape(*picture.shape[:-3], height, width, 3)
