"""`scripts/train_sadtalker render`: face-vid2vid on films, then MappingNet with all else frozen (SadTalker 3.3)."""

from __future__ import annotations

import json
from argparse import Namespace
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from torch import nn

from engine.sadtalker.facerender.canonical_keypoints import KeypointFinder
from engine.sadtalker.facerender.face_generator import FaceGenerator
from engine.sadtalker.facerender.keypoint_motion import moved_keypoints
from engine.sadtalker.facerender.mapping_net import MappingNet
from engine.sadtalker.facerender.render_shape import RenderShape
from engine.training.picture.picture_losses import Discriminator, Edges, Vgg19
from engine.training.sadtalker.render import render_losses as losses
from engine.training.sadtalker.render.render_clips import RenderClips, draw, filmed_pictures
from engine.training.sadtalker.render.render_losses import HeadEstimator, RenderWeights
from engine.training.sadtalker.stage_data import tracks_of
from engine.training.sadtalker.stage_trainer import Plan, Side, StageTrainer, Terms


@dataclass(frozen=True)
class RenderPlan(Plan):
    """The paper's rate; it gives no number of steps or rows."""

    steps: int = 100_000
    rate: float = 2e-4
    rows: int = 4


class FaceStage(StageTrainer):
    """First step: keypoints, an estimator of motion and the generator, self-supervised on pairs of pictures."""

    def __init__(
        self,
        plan: RenderPlan,
        clips: RenderClips,
        folder: Path,
        shape: RenderShape | None = None,
        perceive: nn.Module | None = None,
        estimator_width: int = 64,
        judge_width: int = 32,
    ) -> None:
        torch.manual_seed(plan.seed)
        shape = shape or RenderShape()
        self.finder, self.generator = KeypointFinder(shape), FaceGenerator(shape)
        self.estimator, self.judge = HeadEstimator(shape, estimator_width), Discriminator(judge_width)
        self._clips, self._rows, self._weights = clips, plan.rows, RenderWeights()
        self.perceive = perceive or Edges()
        net = nn.ModuleDict({"finder": self.finder, "generator": self.generator, "estimator": self.estimator})
        sides = [Side("net", net, self._losses), Side("judge", self.judge, self._verdicts)]
        super().__init__("face", plan, sides, folder)

    def _losses(self, rng: np.random.Generator) -> Terms:
        batch, weights = draw(rng, self._clips, self._rows), self._weights
        canonical, source, motion = losses.keypoints_of(self.finder, self.estimator, batch.source)
        other = self.estimator(batch.driving)
        driving = moved_keypoints(canonical, other)
        made = self.generator(batch.source, source, driving)
        picture, affine = losses.bent(batch.driving)
        seen = losses.keypoints_of(self.finder, self.estimator, batch.driving)[1]
        of_bent = losses.keypoints_of(self.finder, self.estimator, picture)[1]
        pose = losses.pose_distance(motion, batch.angles[0]) + losses.pose_distance(other, batch.angles[1])
        terms = losses.picture_terms(made, batch.driving, self.perceive, self.judge, weights)
        return terms | {
            "equivariance": weights.equivariance * losses.equivariance(seen, of_bent, affine),
            "prior": weights.prior * losses.keypoint_prior(driving),
            "pose": weights.pose * pose,
            "deformation": weights.deformation * other.expression.abs().mean(),
        }

    def _verdicts(self, rng: np.random.Generator) -> Terms:
        batch = draw(rng, self._clips, self._rows)
        with torch.no_grad():
            canonical, source, _ = losses.keypoints_of(self.finder, self.estimator, batch.source)
            made = self.generator(batch.source, source, moved_keypoints(canonical, self.estimator(batch.driving)))
        return losses.verdict_terms(made, batch.driving, self.judge)


class MappingStage(StageTrainer):
    """Second step: MappingNet says of coefficients what the estimator sees in pictures; all else stays as ``face``."""

    def __init__(
        self, plan: RenderPlan, clips: RenderClips, face: FaceStage, folder: Path, shape: RenderShape | None = None
    ) -> None:
        torch.manual_seed(plan.seed)
        self.net = MappingNet(clips.motions[0].shape[1], shape)
        self._face, self._clips, self._rows, self._weights = face, clips, plan.rows, RenderWeights()
        for side in face.sides:
            side.module.eval().requires_grad_(False)
        self._perceive = face.perceive
        super().__init__("mapping", plan, [Side("net", self.net, self._losses)], folder)

    def _losses(self, rng: np.random.Generator) -> Terms:
        batch, face = draw(rng, self._clips, self._rows), self._face
        with torch.no_grad():
            canonical = face.finder(batch.source)
            truths = [moved_keypoints(canonical, face.estimator(p)) for p in (batch.source, batch.driving)]
        said = [moved_keypoints(canonical, self.net(window)) for window in batch.windows]
        made = face.generator(batch.source, said[0], said[1])
        terms = losses.picture_terms(made, batch.driving, self._perceive, face.judge, self._weights)
        apart = torch.stack([(a - b).abs().sum(2).mean() for a, b in zip(said, truths, strict=True)]).mean()
        return terms | {"keypoints": self._weights.keypoints * apart}


def train_both(given: Namespace, console: Console) -> StageTrainer:
    """Both steps, each from where it was."""
    tracks = tracks_of(given, console)
    folder = given.tracks or given.work / "tracks"
    starts = {}
    for note in folder.glob("*.json"):
        for shot in json.loads(note.read_text()).get("shots", []):
            starts[shot["file"].removesuffix(".safetensors")] = shot["start_s"]
    clips = filmed_pictures(given.films, tracks, starts, given.size)
    console.print(f"{len(clips.pictures)} pictures of {len(clips.motions)} shots")
    if given.vgg is None:
        console.print("the perceptual loss compares edges at four scales: it needs --vgg for VGG-19's features")
    named = {name: getattr(given, name) for name in ("rate", "rows", "every", "decay") if getattr(given, name)}
    steps = {"steps": given.steps} if given.steps else {}
    perceive = Vgg19(given.vgg) if given.vgg else Edges()
    face = FaceStage(RenderPlan(seed=given.seed, **named, **steps), clips, given.work, perceive=perceive)
    face.run(console)
    mapping = MappingStage(RenderPlan(given.mapping_steps, seed=given.seed, **named), clips, face, given.work)
    mapping.run(console)
    return mapping
