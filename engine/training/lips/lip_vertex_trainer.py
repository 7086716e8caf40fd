"""Train the lip-vertex branch (VividTalk eq. 3) beside lips that are already trained and stay as they are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import torch.nn.functional as F
from rich.progress import track
from torch import Tensor

from engine.face.topology import LIP_VERTICES
from engine.motion.facial.facial_generator import VERTEX_LIMIT, FacialConfig
from engine.motion.facial.facial_motion import FacialMotion
from engine.training.lips.lip_dataset import Batch, Streams, draw
from engine.training.lips.lip_trainer import bundled_encoder, mask_features
from engine.training.lips.lip_vertices import VertexMap


@dataclass(frozen=True)
class VertexPlan:
    """How long and how hard to train."""

    steps: int = 1200
    rows: int = 24
    frames: int = 100
    peak_rate: float = 3e-3
    seed: int = 0


def with_vertices(model: FacialMotion, vertices: VertexMap) -> FacialMotion:
    """A copy of ``model`` that has an untrained lip-vertex branch for the modes of ``vertices``."""
    sizes = {**vars(model.config), "vertex_modes": len(vertices.modes)}
    grown = FacialMotion(FacialConfig(**sizes), model.encoder)
    others = {k: v for k, v in model.generator.state_dict().items() if not k.startswith("vert")}
    grown.generator.load_state_dict(others, strict=False)
    modes = torch.from_numpy(vertices.modes).view(len(vertices.modes), len(LIP_VERTICES), 3)
    grown.generator.vertex_modes.copy_(modes)
    return grown


def vertex_targets(motion: Tensor, vertices: VertexMap) -> Tensor:
    """What the branch should say for the teacher's motion [B, T, 9]: mode values [B, T, K]."""
    before = torch.cat([motion[:, :1], motion[:, :-1]], 1)
    values = torch.cat([motion, motion - before], -1) @ torch.from_numpy(vertices.weights)
    return values.clamp(-VERTEX_LIMIT, VERTEX_LIMIT)


def _loss(said: Tensor, want: Tensor, batch: Batch) -> Tensor:
    """Distance of the offsets (eq. 11's vertex term, in modes) and of their speed, over trusted frames."""
    valid = batch.valid[..., None]
    near = F.smooth_l1_loss(said, want, beta=0.3, reduction="none") * valid
    jump = (said.diff(dim=1) - want.diff(dim=1)).abs() * valid[:, 1:]
    return (near.sum() + 0.5 * jump.sum()) / valid.sum().clamp(min=1)


def train_vertices(
    model: FacialMotion, vertices: VertexMap, sources: list[Streams], shares: list[float], plan: VertexPlan
) -> float:
    """Train the branch of ``model`` (from `with_vertices`) in place; nothing else changes. Returns the last loss.

    As with the lips, the branch's past is the truth with noise in some rows, nothing in some, and increasingly what the
    branch itself says.
    """
    torch.manual_seed(plan.seed)
    branch, encoder = model.generator.vertices, bundled_encoder(model)
    model.eval().requires_grad_(False)
    branch.train().requires_grad_(True)
    optimiser = torch.optim.AdamW(branch.parameters(), plan.peak_rate, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, plan.peak_rate, plan.steps, pct_start=0.1)
    smooth = 0.0
    for step in track(range(plan.steps), "Lip vertices"):
        rng = np.random.default_rng((plan.seed, step))
        batch = draw(rng, sources, shares, plan.rows, plan.frames)
        want = vertex_targets(batch.motion[:, :-1], vertices)
        with torch.no_grad():
            features = encoder.from_mel(mask_features(batch.mel, rng))
            style = features.new_zeros(len(features), features.shape[2])
            past = F.pad((want + 0.2 * torch.randn(want.shape))[:, :-1], (0, 0, 1, 0))
            kind = torch.from_numpy(rng.random(len(want))).view(-1, 1, 1)
            past = past * (kind > 0.2)
            said = torch.zeros_like(past)
            for _ in range(2):
                said = F.pad(branch(features, said, batch.look_ahead, style)[:, :-1], (0, 0, 1, 0))
            own = said.clamp(-VERTEX_LIMIT, VERTEX_LIMIT)
            past = torch.where((kind > 0.2) & (kind < 0.2 + 0.8 * min(0.85, 1.5 * step / plan.steps)), own, past)
        loss = _loss(branch(features, past, batch.look_ahead, style), want, batch)
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(branch.parameters(), 1.0)
        optimiser.step()
        schedule.step()
        smooth = float(loss.detach()) if step == 0 else 0.9 * smooth + 0.1 * float(loss.detach())
    model.eval()
    return smooth
