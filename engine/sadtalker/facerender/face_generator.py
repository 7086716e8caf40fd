"""The generator: a portrait's volume, warped by keypoints and decoded into a picture (SadTalker 3.3)."""

from __future__ import annotations

from collections import OrderedDict
from typing import NamedTuple

import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.facerender.dense_motion_network import DenseMotion
from engine.sadtalker.facerender.render_blocks import DownBlock2d, ResBlock3d, SameBlock2d
from engine.sadtalker.facerender.render_shape import RenderShape
from engine.sadtalker.facerender.spade import SpadeDecoder


class PortraitVolume(NamedTuple):
    """All that a picture needs of the portrait: computed once."""

    volume: Tensor  # [B, C, D, S / 4, S / 4]
    compressed: Tensor  # [B, c, D, S / 4, S / 4]


class FaceGenerator(nn.Module):
    """Portraits [B, 3, S, S] in [0, 1] and keypoints [B, K, 3], the portrait's and the wished -> pictures alike."""

    def __init__(self, shape: RenderShape | None = None) -> None:
        super().__init__()
        shape = shape or RenderShape()
        self.shape = shape
        block = shape.block
        self.dense_motion_network = DenseMotion(shape)
        self.first = SameBlock2d(3, block)
        self.down_blocks = nn.ModuleList([DownBlock2d(block, 2 * block), DownBlock2d(2 * block, 4 * block)])
        self.second = nn.Conv2d(4 * block, shape.flat, 1)
        self.resblocks_3d = nn.Sequential(
            OrderedDict((f"3dr{i}", ResBlock3d(shape.volume)) for i in range(shape.residuals))
        )
        self.third = SameBlock2d(shape.flat, 4 * block, leaky=True)
        self.fourth = nn.Conv2d(4 * block, 4 * block, 1)
        self.decoder = SpadeDecoder(shape)

    def seen(self, portrait: Tensor) -> PortraitVolume:
        """What depends on the portrait alone."""
        y = self.first(portrait)
        for down in self.down_blocks:
            y = down(y)
        volume = self.resblocks_3d(self.second(y).unflatten(1, (self.shape.volume, self.shape.depth)))
        return PortraitVolume(volume, self.dense_motion_network.compressed(volume))

    def warped(self, seen: PortraitVolume, source: Tensor, driving: Tensor) -> Tensor:
        """The features of a picture [B, 4 * block, S / 4, S / 4]."""
        where, visible = self.dense_motion_network(seen.compressed, source, driving)
        volume = F.grid_sample(seen.volume, where, align_corners=False)
        features: Tensor = self.fourth(self.third(volume.flatten(1, 2))) * visible
        return features

    def forward(self, portrait: Tensor, source: Tensor, driving: Tensor) -> Tensor:
        picture: Tensor = self.decoder(self.warped(self.seen(portrait), source, driving))
        return picture
