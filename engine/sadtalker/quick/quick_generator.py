"""The generator for one portrait after another on a CPU: what `FaceGenerator` draws, within 1e-3, for a fraction."""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.quick.folding import conv2d, folded
from engine.sadtalker.quick.quick_decoder import QuickDecoder
from engine.sadtalker.quick.quick_motion import QuickMotion, Still


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
        self._third = conv2d(*folded(network.third.conv, network.third.norm), side)
        self._slope = network.third.slope
        self._decoder = QuickDecoder(network.decoder, side)

    def portrait(self, picture: Tensor, source: Tensor) -> QuickPortrait:
        """``picture`` [1, 3, S, S] in [0, 1], ``source`` [1, K, 3] the keypoints in it."""
        seen = self._network.seen(picture)
        return QuickPortrait(seen.volume, Still(seen.compressed[0], source[0]))

    def draw(self, portrait: QuickPortrait, driving: Tensor) -> Tensor:
        """The picture [3, S, S] in [0, 1] of keypoints [K, 3]."""
        where, visible = self._motion(portrait.still, driving)
        volume = F.grid_sample(portrait.volume, where[None], align_corners=False)[0]
        y = F.leaky_relu_(self._third(volume.flatten(0, 1)), self._slope)
        return self._decoder(self._network.fourth(y[None])[0].mul_(visible))
