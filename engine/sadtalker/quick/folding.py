"""Norms whose numbers do not change, folded into the convolutions before them; and which way a convolution is done."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.quick.winograd import TILE, WinogradConv3d

# Below so many cells of a layer Winograd's larger weights cost more than its products save; below so many channels on
# either side, going to its basis and back does. Measured on an EPYC.
SMALLEST, CHANNELS = 64, 128
Conv = Callable[[Tensor], Tensor]


def folded(conv: nn.Conv2d | nn.Conv3d, norm: nn.BatchNorm2d | nn.BatchNorm3d) -> tuple[Tensor, Tensor]:
    """Weight and bias of a convolution followed by batch norm in eval."""
    assert norm.running_var is not None
    assert norm.running_mean is not None
    assert conv.bias is not None
    gain = norm.weight / (norm.running_var + norm.eps).sqrt()
    weight = conv.weight * gain.view(-1, *[1] * (conv.weight.dim() - 1))
    return weight.detach(), (norm.bias + (conv.bias - norm.running_mean) * gain).detach()


def spectral(conv: nn.Module) -> Tensor:
    """The weight of a convolution under spectral norm, by the vectors that it has stored."""
    weight: Tensor = conv.get_parameter("weight_orig").detach()
    sigma = conv.get_buffer("weight_u") @ (weight.flatten(1) @ conv.get_buffer("weight_v"))
    return weight / sigma


def conv3d(weight: Tensor, bias: Tensor, side: int) -> Conv:
    """A 3 x 3 x 3 convolution of [I, D, side, side]."""
    if side % TILE == 0 and side * side >= SMALLEST and min(weight.shape[:2]) >= CHANNELS:
        return WinogradConv3d(weight, bias)
    return lambda x: F.conv3d(x[None], weight, bias, padding=1)[0]


def grown_conv3d(weight: Tensor, bias: Tensor, side: int) -> Conv:
    """A 3 x 3 x 3 convolution of [I, D, side / 2, side / 2] made twice as high and wide by repeating its cells."""
    if side % TILE == 0 and side * side >= SMALLEST and min(weight.shape[:2]) >= CHANNELS:
        large = WinogradConv3d(weight, bias)
        return lambda x: large(F.interpolate(x[None], scale_factor=(1, 2, 2))[0])
    # Of repeated cells each of four outputs sees but four: kernels of 3 x 2 x 2, of summed weights.
    sums = torch.tensor([[[1.0, 0, 0], [0, 1, 1]], [[1, 1, 0], [0, 0, 1]]])  # [which output, tap, weight]
    kernels = torch.einsum("pij,qkl,ocdjl->pqocdik", sums, sums, weight)

    def grow(x: Tensor) -> Tensor:
        depth, high, wide = x.shape[1:]
        padded = F.pad(x, (1, 1, 1, 1, 1, 1))[None]
        out = x.new_empty(len(weight), depth, high, 2, wide, 2)
        for p in (0, 1):
            for q in (0, 1):
                seen = padded[..., p : p + high + 1, q : q + wide + 1]
                out[:, :, :, p, :, q] = F.conv3d(seen, kernels[p, q], bias)[0]
        return out.view(len(weight), depth, 2 * high, 2 * wide)

    return grow
