"""The decoder: residual blocks whose norms are told at each pixel what to draw (SPADE, Park et al. 2019)."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils import spectral_norm

from engine.sadtalker.facerender.render_shape import RenderShape

SLOPE = 0.2  # of the leaky ReLUs


class Spade(nn.Module):
    """Instance norm, whose scale and shift at each pixel come from the features that are to be drawn."""

    def __init__(self, channels: int, labels: int, hidden: int) -> None:
        super().__init__()
        self.mlp_shared = nn.Sequential(nn.Conv2d(labels, hidden, 3, padding=1), nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, channels, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, channels, 3, padding=1)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        told = self.mlp_shared(F.interpolate(features, size=x.shape[2:], mode="nearest"))
        y: Tensor = F.instance_norm(x) * (1.0 + self.mlp_gamma(told)) + self.mlp_beta(told)
        return y


class SpadeBlock(nn.Module):
    """Two convolutions with SPADE norms before them; a third past them where the number of channels changes."""

    def __init__(self, inputs: int, outputs: int, labels: int, hidden: int) -> None:
        super().__init__()
        middle = min(inputs, outputs)
        self.conv_0 = spectral_norm(nn.Conv2d(inputs, middle, 3, padding=1))
        self.conv_1 = spectral_norm(nn.Conv2d(middle, outputs, 3, padding=1))
        self.norm_0 = Spade(inputs, labels, hidden)
        self.norm_1 = Spade(middle, labels, hidden)
        self.changes = inputs != outputs
        if self.changes:
            self.conv_s = spectral_norm(nn.Conv2d(inputs, outputs, 1, bias=False))
            self.norm_s = Spade(inputs, labels, hidden)

    def forward(self, x: Tensor, features: Tensor) -> Tensor:
        past = self.conv_s(self.norm_s(x, features)) if self.changes else x
        y = self.conv_0(F.leaky_relu(self.norm_0(x, features), SLOPE))
        y = self.conv_1(F.leaky_relu(self.norm_1(y, features), SLOPE))
        out: Tensor = past + y
        return out


class SpadeDecoder(nn.Module):
    """Features [B, 4 * block, S / 4, S / 4] -> pictures [B, 3, S, S] in [0, 1]."""

    def __init__(self, shape: RenderShape) -> None:
        super().__init__()
        labels, hidden = 4 * shape.block, shape.hidden
        self.middles = shape.middles
        self.fc = nn.Conv2d(labels, 2 * labels, 3, padding=1)
        for i in range(shape.middles):
            self.add_module(f"G_middle_{i}", SpadeBlock(2 * labels, 2 * labels, labels, hidden))
        self.up_0 = SpadeBlock(2 * labels, labels, labels, hidden)
        self.up_1 = SpadeBlock(labels, shape.block, labels, hidden)
        self.conv_img = nn.Conv2d(shape.block, 3, 3, padding=1)

    def forward(self, features: Tensor) -> Tensor:
        x = self.fc(features)
        for i in range(self.middles):
            x = self.get_submodule(f"G_middle_{i}")(x, features)
        x = self.up_0(F.interpolate(x, scale_factor=2.0), features)
        x = self.up_1(F.interpolate(x, scale_factor=2.0), features)
        picture: Tensor = self.conv_img(F.leaky_relu(x, SLOPE)).sigmoid()
        return picture
