"""Pictures of one portrait for coefficients: mapping, keypoints, generator; what the portrait decides is made once."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.contracts import ByteArray
from engine.errors import VivifyError
from engine.sadtalker.facerender.canonical_keypoints import KeypointFinder
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.facerender.keypoint_motion import moved_keypoints
from engine.sadtalker.facerender.mapping_net import RADIUS, MappingNet
from engine.sadtalker.quick.quick_generator import QuickGenerator
from engine.sadtalker.weights.weight_file import Weights


class DrawingNetworks:
    """The networks that draw, read once and shared by all portraits."""

    def __init__(self, weights: Weights, full: bool = False) -> None:
        mode = "full" if full else "crop"
        if mode not in weights.modes:
            raise VivifyError(
                f"{weights.path.name} holds no mapping network for '{mode}' pictures, only for "
                f"'{weights.modes[0]}': import a release that has it."
            )
        self.full = full
        self.mapping = weights.network(f"mapping_{mode}", MappingNet)
        self.keypoints = weights.network("keypoints", KeypointFinder)
        self.generator = QuickGenerator(weights.network("generator", FaceGenerator), weights.pixels)


class FacePainter:
    """One portrait. ``picture`` [1, 3, S, S] in [0, 1]; ``source`` [73] its coefficients."""

    def __init__(self, networks: DrawingNetworks, picture: Tensor, source: Tensor) -> None:
        self._networks = networks
        own = source[: networks.mapping.coefficients]
        with torch.inference_mode():
            self.canonical = networks.keypoints(picture)  # [1, K, 3]
            still = networks.mapping(own[None, :, None].expand(-1, -1, 2 * RADIUS + 1))
            self.source = moved_keypoints(self.canonical, still)
            self._portrait = networks.generator.portrait(picture, self.source)

    def keypoints(self, window: Tensor) -> Tensor:
        """Keypoints [1, K, 3] of a window of coefficients [C, 27]."""
        with torch.inference_mode():
            return moved_keypoints(self.canonical, self._networks.mapping(window[None]))

    def draw(self, keypoints: Tensor) -> ByteArray:
        """The picture [S, S, 3] of keypoints [1, K, 3]."""
        with torch.inference_mode():
            picture = self._networks.generator.draw(self._portrait, keypoints[0])
            whole = (255.0 * picture).round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray(whole.permute(1, 2, 0).numpy())
