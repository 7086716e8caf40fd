"""The residual U-Net of PoseVAE: a stretch of poses seen as a picture, frames high and coefficients wide."""

from __future__ import annotations

import torch
from torch import Tensor, nn

CHANNELS = (32, 64, 128, 256)


class ResidualConv(nn.Module):
    """Two convolutions with norms before them, beside one that skips them; ``stride`` is along time alone."""

    def __init__(self, inputs: int, outputs: int, stride: int = 1) -> None:
        super().__init__()
        self.conv_block = nn.Sequential(
            nn.BatchNorm2d(inputs),
            nn.ReLU(),
            nn.Conv2d(inputs, outputs, 3, (stride, 1), 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(),
            nn.Conv2d(outputs, outputs, 3, padding=1),
        )
        self.conv_skip = nn.Sequential(nn.Conv2d(inputs, outputs, 3, (stride, 1), 1), nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.conv_block(x) + self.conv_skip(x)
        return y


class Upsample(nn.Module):
    """Twice as many frames."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.upsample = nn.ConvTranspose2d(channels, channels, (2, 1), (2, 1))

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.upsample(x)
        return y


class PoseUNet(nn.Module):
    """[B, 1, T, P] -> [B, 1, T, P] within (0, 1), T a multiple of eight."""

    def __init__(self, channels: tuple[int, int, int, int] = CHANNELS) -> None:
        super().__init__()
        a, b, c, d = channels
        self.input_layer = nn.Sequential(
            nn.Conv2d(1, a, 3, padding=1), nn.BatchNorm2d(a), nn.ReLU(), nn.Conv2d(a, a, 3, padding=1)
        )
        self.input_skip = nn.Sequential(nn.Conv2d(1, a, 3, padding=1))
        self.residual_conv_1 = ResidualConv(a, b, 2)
        self.residual_conv_2 = ResidualConv(b, c, 2)
        self.bridge = ResidualConv(c, d, 2)
        self.upsample_1 = Upsample(d)
        self.up_residual_conv1 = ResidualConv(d + c, c)
        self.upsample_2 = Upsample(c)
        self.up_residual_conv2 = ResidualConv(c + b, b)
        self.upsample_3 = Upsample(b)
        self.up_residual_conv3 = ResidualConv(b + a, a)
        self.output_layer = nn.Sequential(nn.Conv2d(a, 1, 1), nn.Sigmoid())

    def forward(self, x: Tensor) -> Tensor:
        fine = self.input_layer(x) + self.input_skip(x)
        middle = self.residual_conv_1(fine)
        coarse = self.residual_conv_2(middle)
        y = self.upsample_1(self.bridge(coarse))
        y = self.up_residual_conv1(torch.cat([y, coarse], 1))
        y = self.up_residual_conv2(torch.cat([self.upsample_2(y), middle], 1))
        y = self.up_residual_conv3(torch.cat([self.upsample_3(y), fine], 1))
        poses: Tensor = self.output_layer(y)
        return poses
