"""The 3DMM network: 257 coefficients of an aligned face (Deng et al. 2019), by a ResNet-50 (He et al. 2016)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

SIZE = 224  # pixels of an aligned face
PARTS = (80, 64, 80, 3, 27, 2, 1)  # identity, expression, texture, angles, light, translation x and y, z
EXPRESSION, ANGLES, TRANSLATION = slice(80, 144), slice(224, 227), slice(254, 257)


class Bottleneck(nn.Module):
    """1 x 1, 3 x 3 with the stride, 1 x 1 to four times the width."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        outputs = 4 * width
        self.conv1 = nn.Conv2d(inputs, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, outputs, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(outputs)
        self.downsample = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))
            if stride != 1 or inputs != outputs
            else None
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn1(self.conv1(x)).relu()
        y = self.bn2(self.conv2(y)).relu()
        y = self.bn3(self.conv3(y))
        out: Tensor = (y + (self.downsample(x) if self.downsample is not None else x)).relu()
        return out


class ResNet(nn.Module):
    """[B, 3, H, W] in [0, 1] -> [B, 32 * width, 1, 1]; the depths of a ResNet-50."""

    def __init__(self, width: int = 64, depths: tuple[int, int, int, int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, width, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.maxpool = nn.MaxPool2d(3, 2, 1)
        inputs = width
        for i, depth in enumerate(depths):
            wide = width * 2**i
            blocks = [Bottleneck(inputs if j == 0 else 4 * wide, wide, 2 if i and j == 0 else 1) for j in range(depth)]
            self.add_module(f"layer{i + 1}", nn.Sequential(*blocks))
            inputs = 4 * wide

    def forward(self, x: Tensor) -> Tensor:
        y = self.maxpool(self.bn1(self.conv1(x)).relu())
        for i in range(4):
            y = self.get_submodule(f"layer{i + 1}")(y)
        out: Tensor = y.mean((2, 3), keepdim=True)
        return out


class CoefficientNetwork(nn.Module):
    """Aligned faces [B, 3, 224, 224] in [0, 1] -> coefficients [B, 257]; angles in radians."""

    def __init__(self, width: int = 64, depths: tuple[int, int, int, int] = (3, 4, 6, 3)) -> None:
        super().__init__()
        self.backbone = ResNet(width, depths)
        self.final_layers = nn.ModuleList(nn.Conv2d(32 * width, part, 1) for part in PARTS)

    def forward(self, faces: Tensor) -> Tensor:
        y = self.backbone(faces)
        return torch.cat([layer(y) for layer in self.final_layers], 1).flatten(1)


def motion_of(coefficients: Tensor) -> Tensor:
    """The 70 of 257 that move a face [B, 70]: expression, angles, translation."""
    return torch.cat([coefficients[:, part] for part in (EXPRESSION, ANGLES, TRANSLATION)], 1)
