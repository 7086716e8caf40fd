"""The mark laid into the luma of a batch of I420 pictures, in plain torch: the twin of the Triton kernel."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.plain.marking_reference import Strengths


def add_mark(planes: Tensor, patterns: Tensor, by: Strengths) -> None:
    """See `kernels.gpu.mark_triton.add_mark`."""
    size = planes.shape[2]
    grey = planes[:, :size].float()
    right = F.pad(grey.diff(dim=2).abs(), (1, 0))
    below = F.pad(grey.diff(dim=1).abs(), (0, 0, 1, 0))
    detail = F.avg_pool2d((right + below)[:, None], by.cell)
    level = (by.base + by.gain * detail).clamp(max=by.top)
    level = torch.minimum(level, (by.top - by.fall * (detail - by.knee)).clamp(min=by.low))
    level = level * (by.loudest / level.square().mean((2, 3), keepdim=True).sqrt()).clamp(max=1.0)
    strength = F.interpolate(level, (size, size), mode="bilinear", align_corners=False)[:, 0]
    marked = (grey + strength * patterns.float() / 127.0 + 0.5).floor().clamp(16, 235)
    planes[:, :size] = marked.to(torch.uint8)
