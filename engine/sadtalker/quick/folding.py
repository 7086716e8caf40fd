"""Norms whose numbers do not change, folded into the convolutions before them; and which way a convolution is done."""

from __future__ import annotations

from collections.abc import Callable

import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.quick.winograd import TILE, WinogradConv, WinogradConv3d

# Below so many cells of a layer Winograd's larger weights cost more than its products save; below so many channels on
# either side, going to its basis and back does. A volume goes there once for three kernels. Measured on an EPYC.
SMALLEST, CHANNELS, VOLUME_CHANNELS = 64, 256, 128
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


def conv2d(weight: Tensor, bias: Tensor, side: int) -> Conv:
    """A 3 x 3 convolution of [I, side, side]."""
    if side % TILE == 0 and side * side >= SMALLEST and min(weight.shape[:2]) >= CHANNELS:
        return WinogradConv(weight, bias)
    return lambda x: F.conv2d(x[None], weight, bias, padding=1)[0]


def conv3d(weight: Tensor, bias: Tensor, side: int) -> Conv:
    """A 3 x 3 x 3 convolution of [I, D, side, side]."""
    if side % TILE == 0 and side * side >= SMALLEST and min(weight.shape[:2]) >= VOLUME_CHANNELS:
        return WinogradConv3d(weight, bias)
    return lambda x: F.conv3d(x[None], weight, bias, padding=1)[0]
