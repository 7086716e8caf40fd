"""The networks of the picture as functions of tensors: one look at a portrait; one frame's motion and paint."""

from __future__ import annotations

from torch import Tensor, nn

from engine.render.learned.picture_generator import LearnedHalf


class LookStep(nn.Module):
    """portrait, PT_ref [1, 3, 256, 256], lips [1, 20, 2] -> features [1, 24, 64, 64], light [1, 3, 1, 1], met."""

    outputs = ("features", "light", "met")

    def __init__(self, model: LearnedHalf) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, portrait: Tensor, texture_reference: Tensor, lips_reference: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        look = self.model.look(portrait, lips_reference)
        return look.features, look.light, self.model.motion.face.meet(texture_reference)


class MoveStep(nn.Module):
    """What of PT_ref was met, PT_d, lips -> residual motion [1, 2, 32, 32], gated; occlusion [1, 1, 32, 32]."""

    outputs = ("residual", "occlusion")

    def __init__(self, model: LearnedHalf) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, met: Tensor, texture: Tensor, lips_reference: Tensor, lips: Tensor, gate: Tensor
    ) -> tuple[Tensor, Tensor]:
        dense = self.model.motion.move(met, texture, lips_reference, lips)
        return dense.motion * gate.view(-1, 1, 1, 1), dense.occlusion


class AddStep(nn.Module):
    """What the generator adds [1, 3, 128, 128], gated, to the square ``warped``; between the two steps numba warps."""

    outputs = ("added",)

    def __init__(self, model: LearnedHalf) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, warped: Tensor, square: Tensor, occlusion: Tensor, followed: Tensor, light: Tensor, gate: Tensor
    ) -> Tensor:
        return gate.view(-1, 1, 1, 1) * self.model.add(warped, square, occlusion, followed, light)
