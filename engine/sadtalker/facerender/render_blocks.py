"""Blocks of face-vid2vid's networks: a convolution, batch norm and ReLU, in two or three dimensions."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class SameBlock2d(nn.Module):
    """As large as before; ``leaky`` with a slope of .01 below zero."""

    def __init__(self, inputs: int, outputs: int, leaky: bool = False) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)
        self.slope = 0.01 if leaky else 0.0

    def forward(self, x: Tensor) -> Tensor:
        return F.leaky_relu(self.norm(self.conv(x)), self.slope)


class DownBlock2d(nn.Module):
    """Half as high and wide."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm2d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(self.norm(self.conv(x)).relu(), 2)


class DownBlock3d(nn.Module):
    """Half as high and wide, as deep as before."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.avg_pool3d(self.norm(self.conv(x)).relu(), (1, 2, 2))


class UpBlock3d(nn.Module):
    """Twice as high and wide, as deep as before."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = nn.Conv3d(inputs, outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(outputs)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.norm(self.conv(F.interpolate(x, scale_factor=(1, 2, 2)))).relu()
        return y


class ResBlock3d(nn.Module):
    """Norms and ReLUs before two convolutions, the input added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv3d(channels, channels, 3, padding=1)
        self.conv2 = nn.Conv3d(channels, channels, 3, padding=1)
        self.norm1 = nn.BatchNorm3d(channels)
        self.norm2 = nn.BatchNorm3d(channels)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv1(self.norm1(x).relu())
        y = self.conv2(self.norm2(y).relu())
        out: Tensor = y + x
        return out


def widths(block: int, most: int, blocks: int) -> list[int]:
    """Channels of an hourglass from its finest to its coarsest level: doubled at each, never above ``most``."""
    return [min(most, block * 2**i) for i in range(blocks + 1)]
