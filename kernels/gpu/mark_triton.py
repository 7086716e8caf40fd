# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""The invisible mark laid into the luma of a batch of I420 pictures, in Triton.

`kernels.plain.marking_reference` defines it. One program of the first kernel measures the detail of a cell of 8 x 8
pixels, one of the second handles a run of pixels. Between them torch holds each picture to its loudest strength,
without reading anything back.
"""

from __future__ import annotations

import torch
import triton
import triton.language as tl
from torch import Tensor

from kernels.plain.marking_reference import Strengths

PIXELS: tl.constexpr = tl.constexpr(256)


@triton.jit
def _measure(planes, levels, size, base, gain, top, knee, fall, low, CELL: tl.constexpr):
    b = tl.program_id(1).to(tl.int64)
    cells = size // CELL
    cell = tl.program_id(0)
    k = tl.arange(0, CELL * CELL)
    y, x = (cell // cells) * CELL + k // CELL, (cell % cells) * CELL + k % CELL
    picture = planes + b * (size * 3 // 2) * size
    here = tl.load(picture + y * size + x).to(tl.float32)
    left = tl.load(picture + y * size + tl.maximum(x - 1, 0)).to(tl.float32)
    upper = tl.load(picture + tl.maximum(y - 1, 0) * size + x).to(tl.float32)
    detail = tl.sum(tl.abs(here - left) + tl.abs(here - upper)) / (CELL * CELL)
    level = tl.minimum(base + gain * detail, top)
    level = tl.minimum(level, tl.maximum(top - fall * (detail - knee), low))
    tl.store(levels + b * cells * cells + cell, level)


@triton.jit
def _lay(planes, levels, patterns, size, CELL: tl.constexpr):
    b = tl.program_id(1).to(tl.int64)
    at = tl.program_id(0) * PIXELS + tl.arange(0, PIXELS)
    real = at < size * size
    cells = size // CELL
    y, x = at // size, at % size
    down = tl.minimum(tl.maximum((y + 0.5) / CELL - 0.5, 0.0), cells - 1.0)
    right = tl.minimum(tl.maximum((x + 0.5) / CELL - 0.5, 0.0), cells - 1.0)
    j, i = down.to(tl.int32), right.to(tl.int32)
    dy, dx = down - j, right - i
    next_j, next_i = tl.minimum(j + 1, cells - 1), tl.minimum(i + 1, cells - 1)
    table = levels + b * cells * cells
    upper = tl.load(table + j * cells + i, mask=real) * (1 - dx) + tl.load(table + j * cells + next_i, mask=real) * dx
    lower = tl.load(table + next_j * cells + i, mask=real) * (1 - dx)
    lower += tl.load(table + next_j * cells + next_i, mask=real) * dx
    sign = tl.load(patterns + b * size * size + at, mask=real, other=0).to(tl.float32)
    place = planes + b * (size * 3 // 2) * size + at
    value = tl.load(place, mask=real, other=0).to(tl.float32) + (upper * (1 - dy) + lower * dy) * sign + 0.5
    tl.store(place, tl.minimum(tl.maximum(value, 16.0), 235.0).to(tl.uint8), mask=real)


def add_mark(planes: Tensor, patterns: Tensor, by: Strengths) -> None:
    """Lay ``patterns`` int8 [B, S, S] into the luma of ``planes`` uint8 [B, S * 3 // 2, S], contiguous, in place."""
    count, size = len(planes), planes.shape[2]
    if not count:
        return
    cells = size // by.cell
    levels = torch.empty((count, cells, cells), dtype=torch.float32, device=planes.device)
    shape = by.base, by.gain, by.top, by.knee, by.fall, by.low
    _measure[(cells * cells, count)](planes, levels, size, *shape, CELL=by.cell, num_warps=1)
    loudness = levels.square().mean((1, 2), keepdim=True).sqrt()
    levels *= (by.loudest / loudness).clamp(max=1.0) / 127.0
    _lay[(triton.cdiv(size * size, PIXELS.value), count)](planes, levels, patterns, size, CELL=by.cell, num_warps=4)
