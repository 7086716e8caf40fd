"""MappingNet: from a window of coefficients to what moves canonical keypoints (SadTalker 3.3)."""

from __future__ import annotations

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.facerender.render_shape import RenderShape

RADIUS = 13  # frames to each side of the one that is mapped; the paper says 2
CROP, FULL = 70, 73  # coefficients: expression 64, angles 3, translation 3, and the alignment's scale and shift


class HeadMotion(NamedTuple):
    """How a head moves, of a batch: what face-vid2vid's estimator would see in a picture."""

    yaw: Tensor  # [B, bins] unnormalised
    pitch: Tensor
    roll: Tensor
    translation: Tensor  # [B, 3]
    expression: Tensor  # [B, K, 3]


class MappingNet(nn.Module):
    """Coefficients [B, C, 2 * RADIUS + 1] -> the motion of the frame in the middle."""

    def __init__(self, coefficients: int = CROP, shape: RenderShape | None = None) -> None:
        super().__init__()
        shape = shape or RenderShape()
        wide = shape.descriptor
        self.coefficients = coefficients
        self.first = nn.Sequential(nn.Conv1d(coefficients, wide, 7))
        for i in range(3):
            self.add_module(f"encoder{i}", nn.Sequential(nn.LeakyReLU(0.1), nn.Conv1d(wide, wide, 3, dilation=3)))
        self.fc_roll = nn.Linear(wide, shape.bins)
        self.fc_pitch = nn.Linear(wide, shape.bins)
        self.fc_yaw = nn.Linear(wide, shape.bins)
        self.fc_t = nn.Linear(wide, 3)
        self.fc_exp = nn.Linear(wide, 3 * shape.keypoints)

    def forward(self, window: Tensor) -> HeadMotion:
        if window.dim() != 3 or tuple(window.shape[1:]) != (self.coefficients, 2 * RADIUS + 1):
            raise ValueError(
                f"MappingNet expects windows [B, {self.coefficients}, {2 * RADIUS + 1}], got {tuple(window.shape)}."
            )
        y = self.first(window)
        for i in range(3):
            y = self.get_submodule(f"encoder{i}")(y) + y[..., 3:-3]
        y = y.mean(2)
        expression = self.fc_exp(y).unflatten(1, (-1, 3))
        return HeadMotion(self.fc_yaw(y), self.fc_pitch(y), self.fc_roll(y), self.fc_t(y), expression)


def coefficient_windows(coefficients: Tensor) -> Tensor:
    """[T, C] of a whole film -> windows [T, C, 27], the outermost frames repeated beyond both ends."""
    frames = torch.arange(len(coefficients))[:, None] + torch.arange(-RADIUS, RADIUS + 1)
    return coefficients[frames.clamp(0, len(coefficients) - 1)].transpose(1, 2)


def degrees(bins: Tensor) -> Tensor:
    """The mean of 66 bins [B, bins] as degrees [B], three a bin from -99 on."""
    return (F.softmax(bins, 1) * torch.arange(bins.shape[1]).to(bins)).sum(1) * 3.0 - 99.0
