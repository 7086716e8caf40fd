"""The generator for one portrait after another on a CPU: what `FaceGenerator` draws, within 1e-3, for a fraction."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.quick.folding import folded
from engine.sadtalker.quick.quick_decoder import QuickDecoder
from engine.sadtalker.quick.quick_motion import QuickMotion, Still
from engine.sadtalker.quick.tiled_conv import Product, TiledConv, picture_of, wide


@dataclass(frozen=True)
class QuickPortrait:
    """What depends on the portrait alone."""

    volume: Tensor  # [1, C, D, H, W]
    still: Still


class QuickGenerator:
    """For pictures of one size. Its weights take twice to four times the network's memory."""

    def __init__(self, network: FaceGenerator, pixels: int) -> None:
        side = pixels // 4
        self._network = network
        self._motion = QuickMotion(network.dense_motion_network, side)
        weight, bias = folded(network.third.conv, network.third.norm)
        self._third, self._slope = TiledConv(wide(weight, 0, 1), wide(bias, 0)), network.third.slope
        assert network.fourth.bias is not None
        self._fourth = Product(wide(network.fourth.weight[:, :, 0, 0], 0, 1))
        self._bias = wide(network.fourth.bias.detach(), 0)
        self._decoder = QuickDecoder(network.decoder)

    def portrait(self, picture: Tensor, source: Tensor) -> QuickPortrait:
        """``picture`` [1, 3, S, S] in [0, 1], ``source`` [1, K, 3] the keypoints in it."""
        seen = self._network.seen(picture)
        return QuickPortrait(seen.volume, Still(seen.compressed[0], source[0]))

    def draw(self, portrait: QuickPortrait, driving: Tensor) -> Tensor:
        """The picture [3, S, S] in [0, 1] of keypoints [K, 3]."""
        where, visible = self._motion(portrait.still, driving)
        volume = F.grid_sample(portrait.volume, where[None], align_corners=False)[0]
        features = self._third(picture_of(volume.flatten(0, 1)), self._slope)
        inside = features[1:-1, 1:-1]
        mixed = self._fourth(inside.flatten(0, 1)).add_(self._bias).view_as(inside)
        inside.copy_(mixed.mul_(visible[0, :, :, None]))
        return self._decoder(features)
