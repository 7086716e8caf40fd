"""The losses of ExpNet (SadTalker B.3, eq. 3-10)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from engine.training.sadtalker.coefficient_space import EYE, CoefficientSpace
from engine.training.sadtalker.expression_clips import ExpressionBatch

_LEFT, _RIGHT = ((36, 39), (37, 38), (40, 41)), ((42, 45), (43, 44), (46, 47))  # corners, upper lid, lower lid


@dataclass(frozen=True)
class ExpWeights:
    """The paper's, eq. 8 and 10."""

    distill: float = 2.0
    read: float = 0.01
    landmarks: float = 0.01
    eye: float = 200.0


class LipReader(Protocol):
    """What eq. 9 asks: how far what is read off two mouths differs."""

    def __call__(self, said: Tensor, target: Tensor) -> Tensor:
        """Cross entropy of the letters read off expressions [B, T, E] against those read off the target's."""


def eye_ratio(landmarks: Tensor) -> Tensor:
    """R = E_h / E_w (eq. 4-6) of landmarks [..., 68, 2]; both eyes' heights are added there, their widths averaged."""

    def apart(a: Tensor, b: Tensor) -> Tensor:
        return (a - b).norm(dim=-1)

    width = sum(apart(landmarks[..., c[1], :], landmarks[..., c[0], :]) for c, _, _ in (_LEFT, _RIGHT)) / 2
    height = sum(
        apart(landmarks[..., up, :].sum(-2), landmarks[..., low, :].sum(-2)) / 2
        for up, low in ((list(e[1]), list(e[2])) for e in (_LEFT, _RIGHT))
    )
    return torch.as_tensor(height) / torch.as_tensor(width)


def exp_losses(
    said: Tensor,
    batch: ExpressionBatch,
    space: CoefficientSpace,
    weights: ExpWeights,
    reader: LipReader | None = None,
) -> dict[str, Tensor]:
    """The weighted terms of eq. 10 for expressions ``said`` [B, T, E].

    The blink of eq. 7 is 1 for shut eyes, as at inference: the ratio it asks for is that of the face at rest, so much
    smaller. Numbers that the blink alone moves are not distilled.
    """
    trusted = batch.trusted[..., None].float()
    heard = torch.ones(space.expression)
    heard[list(space.lids)] = 0
    share = trusted * heard
    distill = (share * (said - batch.target).square()).sum() / (trusted.expand_as(said) * heard).sum().clamp(min=1)
    terms = {"distill": weights.distill * distill}
    if space.landmarks is not None:
        points, wanted = space.project(said), space.project(batch.target)
        rest = torch.as_tensor(space.landmarks, dtype=said.dtype)
        asked = (1 - batch.blink) * eye_ratio(rest)
        eye = (eye_ratio(points) - asked).abs().sum(1).mean()
        others = [k for k in range(68) if k not in EYE]
        apart = (points - wanted)[..., others, :].square().sum(-1) * batch.trusted[..., None]
        terms["eye"] = weights.landmarks * weights.eye * eye
        terms["landmarks"] = weights.landmarks * apart.mean()
    if reader is not None:
        terms["read"] = weights.read * reader(said, batch.target)
    return terms
