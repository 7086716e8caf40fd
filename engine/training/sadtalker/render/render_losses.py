"""The losses of the face render: face-vid2vid's (Wang et al. 2021, appendix A), and SadTalker's eq. 14."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.facerender.keypoint_motion import moved_keypoints
from engine.sadtalker.facerender.mapping_net import HeadMotion, degrees
from engine.sadtalker.facerender.render_shape import RenderShape
from engine.training.picture.picture_losses import Discriminator

APART, DEPTH = 0.1, 0.33  # how far keypoints stay from each other, and how deep they lie on average


@dataclass(frozen=True)
class RenderWeights:
    """face-vid2vid's, and 20 for eq. 14."""

    perceptual: float = 10.0
    gan: float = 1.0
    matching: float = 10.0
    equivariance: float = 20.0
    prior: float = 10.0
    pose: float = 20.0
    deformation: float = 5.0
    keypoints: float = 20.0


class HeadEstimator(nn.Module):
    """Pictures [B, 3, S, S] -> how the head in them moves: what MappingNet learns to say of coefficients instead."""

    def __init__(self, shape: RenderShape, width: int = 64) -> None:
        super().__init__()
        sizes = (3, width, 2 * width, 4 * width, 4 * width)
        layers: list[nn.Module] = []
        for a, b in pairwise(sizes):
            layers += [nn.Conv2d(a, b, 4, 2, 1), nn.BatchNorm2d(b), nn.ReLU()]
        self.layers = nn.Sequential(*layers)
        wide = sizes[-1]
        self.yaw, self.pitch, self.roll = (nn.Linear(wide, shape.bins) for _ in range(3))
        self.shift, self.bend = nn.Linear(wide, 3), nn.Linear(wide, 3 * shape.keypoints)

    def forward(self, picture: Tensor) -> HeadMotion:
        y = self.layers(picture).mean((2, 3))
        return HeadMotion(self.yaw(y), self.pitch(y), self.roll(y), self.shift(y), self.bend(y).unflatten(1, (-1, 3)))


def picture_terms(
    made: Tensor, truth: Tensor, perceive: nn.Module, judge: Discriminator, weights: RenderWeights
) -> dict[str, Tensor]:
    """What is asked of pictures: perceptual likeness, to be taken for real, and for the reasons that the truth is."""
    features = [(a - b).abs().mean() for a, b in zip(perceive(made), perceive(truth), strict=True)]
    with torch.no_grad():
        wanted = judge(truth)[1]
    verdict, seen = judge(made)
    matching = torch.stack([(a - b).abs().mean() for a, b in zip(seen, wanted, strict=True)]).mean()
    return {
        "perceptual": weights.perceptual * torch.stack(features).mean(),
        "gan": weights.gan * -verdict.mean(),
        "matching": weights.matching * matching,
    }


def verdict_terms(made: Tensor, truth: Tensor, judge: Discriminator) -> dict[str, Tensor]:
    """The discriminator's side: hinge losses."""
    return {"real": F.relu(1 - judge(truth)[0]).mean(), "made": F.relu(1 + judge(made)[0]).mean()}


def keypoint_prior(keypoints: Tensor) -> Tensor:
    """Keypoints [B, K, 3] are apart from each other and lie around a fixed depth."""
    square = (keypoints[:, :, None] - keypoints[:, None]).square().sum(-1)
    others = ~torch.eye(keypoints.shape[1], dtype=torch.bool)
    crowded = F.relu(APART - square[:, others]).sum(1).mean()
    return crowded + (keypoints[..., 2].mean(1) - DEPTH).abs().mean()


def pose_distance(motion: HeadMotion, angles: Tensor) -> Tensor:
    """Estimated against tracked angles [B, 3] yaw, pitch, roll, in degrees / 90, the tracker being the judge."""
    said = torch.stack([degrees(motion.yaw), degrees(motion.pitch), degrees(motion.roll)], 1)
    return (said - angles).abs().mean() / 90


def bent(picture: Tensor) -> tuple[Tensor, Tensor]:
    """A picture seen through a random affine map, and the map [B, 2, 3]: bent(x) = picture(map x)."""
    rows = len(picture)
    linear = torch.eye(2) + 0.05 * torch.randn(rows, 2, 2)
    affine = torch.cat([linear, 0.05 * torch.randn(rows, 2, 1)], 2)
    grid = F.affine_grid(affine, list(picture.shape), align_corners=False)
    return F.grid_sample(picture, grid, padding_mode="reflection", align_corners=False), affine


def equivariance(keypoints: Tensor, of_bent: Tensor, affine: Tensor) -> Tensor:
    """Keypoints of a bent picture, brought back by its map, lie where those of the picture do; x and y alone."""
    back = of_bent[..., :2] @ affine[:, :, :2].mT + affine[:, None, :, 2]
    return (back - keypoints[..., :2]).abs().mean()


def keypoints_of(finder: nn.Module, estimator: nn.Module, picture: Tensor) -> tuple[Tensor, Tensor, HeadMotion]:
    """Canonical and moved keypoints [B, K, 3] of a picture, and its motion."""
    canonical, motion = finder(picture), estimator(picture)
    return canonical, moved_keypoints(canonical, motion), motion
