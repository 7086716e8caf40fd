"""The networks of the picture as functions of tensors: one look at a portrait, one change of a frame."""

from __future__ import annotations

from torch import Tensor, nn

from engine.cuda.network_export import Core
from engine.render.learned.picture_generator import LearnedHalf


class LookStep(nn.Module):
    """portrait [1, 3, 256, 256], lips [1, 20, 2] -> features [1, 24, 64, 64], light [1, 3, 1, 1]."""

    outputs = ("features", "light")

    def __init__(self, model: LearnedHalf) -> None:
        super().__init__()
        self.model = model

    def forward(self, portrait: Tensor, lips_reference: Tensor) -> tuple[Tensor, Tensor]:
        look = self.model.look(portrait, lips_reference)
        return look.features, look.light


class ChangeStep(Core):
    """`engine.cuda.network_export.Core`, of one picture."""

    outputs = ("residual", "added")
