"""A face drawn from a style: StyleGAN2's modulated convolution (Karras 2020, section 2.2), without its noise."""

from __future__ import annotations

from itertools import pairwise
from math import sqrt

import torch
import torch.nn.functional as F
from torch import Tensor, nn

GAIN = sqrt(2.0)  # after a leaky ReLU, so that variances stay
SLOPE = 0.2


class Affine(nn.Module):
    """A linear layer whose weights are scaled as it runs, as all of StyleGAN's are; ``bias`` is where it begins."""

    def __init__(self, before: int, after: int, bias: float = 0.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before))
        self.bias = nn.Parameter(torch.full((after,), bias))

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight / sqrt(x.shape[-1]), self.bias)


class ModulatedConv(nn.Module):
    """x [N, before, H, W], style [N, S] -> [N, after, H, W].

    Each sample's weights are scaled by its style along the input channels and, if ``demodulate``, brought back to
    length one along the output channels. Scaling what goes in and what comes out is the same, and one convolution for
    all samples.
    """

    def __init__(self, before: int, after: int, size: int, style: int, demodulate: bool = True) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(after, before, size, size))
        self.scales = Affine(style, before, 1.0)
        self.demodulate = demodulate

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        scales, weight = self.scales(style), self.weight / sqrt(self.weight[0].numel())
        out = F.conv2d(x * scales[:, :, None, None], weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return out
        lengths = scales.square() @ weight.square().sum((2, 3)).T  # [N, after] squared
        return out * torch.rsqrt(lengths + 1e-8)[:, :, None, None]


class StyledLayer(nn.Module):
    """A modulated 3 x 3 convolution, at twice the side if ``double``, a bias and a leaky ReLU."""

    def __init__(self, before: int, after: int, style: int, double: bool) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, after, 3, style)
        self.bias = nn.Parameter(torch.zeros(after, 1, 1))
        self.doubled = double

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        if self.doubled:
            x = F.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)
        return F.leaky_relu(self.conv(x, style) + self.bias, SLOPE) * GAIN


class Colours(nn.Module):
    """What a layer adds to the picture: a modulated 1 x 1 convolution to red, green, blue."""

    def __init__(self, before: int, style: int) -> None:
        super().__init__()
        self.conv = ModulatedConv(before, 3, 1, style, demodulate=False)
        self.bias = nn.Parameter(torch.zeros(3, 1, 1))

    def forward(self, x: Tensor, style: Tensor) -> Tensor:
        return self.conv(x, style) + self.bias


class Generator(nn.Module):
    """f_cat [N, S] -> pictures [N, 3, P, P] in (0, 1), P = start * 2 ** (len(channels) - 1)."""

    def __init__(self, style: int, start: int, channels: tuple[int, ...]) -> None:
        super().__init__()
        self.begin = nn.Parameter(torch.randn(1, channels[0], start, start))
        self.first = StyledLayer(channels[0], channels[0], style, double=False)
        self.colours = nn.ModuleList(Colours(width, style) for width in channels)
        self.layers = nn.ModuleList()
        for before, after in pairwise(channels):
            pair = [StyledLayer(before, after, style, True), StyledLayer(after, after, style, False)]
            self.layers.append(nn.ModuleList(pair))

    def forward(self, style: Tensor) -> Tensor:
        x = self.first(self.begin.expand(len(style), -1, -1, -1), style)
        picture = self.colours[0](x, style)
        for pair, colours in zip(self.layers, self.colours[1:], strict=True):
            for layer in pair:  # type: ignore[attr-defined]
                x = layer(x, style)
            picture = F.interpolate(picture, scale_factor=2, mode="bilinear", align_corners=False) + colours(x, style)
        return torch.sigmoid(picture)
