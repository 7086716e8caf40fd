"""The face render learns eight pictures by heart, goes on after a kill, and reaches all."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from rich.console import Console
from safetensors.torch import load_file

from engine.sadtalker.facerender.render_shape import RenderShape
from engine.training.sadtalker.render import render_clips, render_losses
from engine.training.sadtalker.render.render_clips import RenderClips
from engine.training.sadtalker.render.render_stage import FaceStage, MappingStage, RenderPlan
from engine.training.sadtalker.stage_trainer import reached

pytestmark = pytest.mark.cpu

QUIET = Console(quiet=True)
SHAPE = RenderShape(
    keypoints=3, bins=66, block=4, flat=8, depth=2, residuals=1, compressed=2, motion_block=4, motion_most=8,
    motion_blocks=1, finder_block=4, finder_most=8, finder_blocks=1, middles=1, hidden=4, descriptor=8,
)  # fmt: skip


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


def clips() -> RenderClips:
    rng = np.random.default_rng(1)
    y, x = np.mgrid[:32, :32]
    pictures = []
    for k in range(8):
        pictures.append(np.stack([128 + 90 * np.sin((x + 2 * k) / 5), 4 * y + 60, 128 + 0 * x], 2))
    motions = [rng.normal(0, 0.2, (4, 58)).astype(np.float32) for _ in range(2)]
    angles = [rng.normal(0, 5, (4, 3)).astype(np.float32) for _ in range(2)]
    shown = np.clip(np.stack(pictures), 0, 255).astype(np.uint8)
    return RenderClips(shown, np.repeat([0, 1], 4), np.tile(np.arange(4), 2), motions, angles)


def face(folder: Path, steps: int = 4, rate: float = 1e-3, rows: int = 2) -> FaceStage:
    plan = RenderPlan(steps=steps, rate=rate, rows=rows, every=2)
    return FaceStage(plan, clips(), folder, SHAPE, estimator_width=2, judge_width=4)


def mapping(folder: Path, first: FaceStage, steps: int = 4, rate: float = 1e-3) -> MappingStage:
    return MappingStage(RenderPlan(steps=steps, rate=rate, rows=2, every=2), clips(), first, folder, SHAPE)


def test_it_learns_eight_pictures_by_heart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = render_clips.draw
    monkeypatch.setattr(
        "engine.training.sadtalker.render.render_stage.draw", lambda _, *given: draw(np.random.default_rng(0), *given)
    )
    first = face(tmp_path, rate=1e-2, rows=4)
    told = [first.train_step()["perceptual"] for _ in range(12)]
    assert told[-1] < 0.85 * told[0]
    second = mapping(tmp_path, first, rate=1e-2)
    told = [second.train_step()["keypoints"] for _ in range(12)]
    assert told[-1] < 0.75 * told[0]


def test_every_parameter_is_reached_and_the_second_step_moves_nothing_of_the_first(tmp_path: Path) -> None:
    first = face(tmp_path)
    with torch.no_grad():
        first.judge.last.weight *= 50  # beyond the hinges, within which both sides of its bias cancel
    first.train_step()
    for side in first.sides:
        assert not reached(side.module)
    before = {k: v.clone() for side in first.sides for k, v in side.module.state_dict().items()}
    second = mapping(tmp_path, first)
    second.train_step()
    assert not reached(second.net)
    for side in first.sides:
        for name, value in side.module.state_dict().items():
            assert torch.equal(value, before[name]), name


def test_both_steps_go_on_bit_equal(tmp_path: Path) -> None:
    whole, stopped = tmp_path / "whole", tmp_path / "stopped"
    for folder in (whole, stopped):
        folder.mkdir()
    first = face(whole)
    first.run(QUIET)
    mapping(whole, first).run(QUIET)
    begun = face(stopped)
    for _ in range(3):  # the third is lost
        begun.train_step()
        if begun.step == 2:
            begun.save()
    again = face(stopped)
    assert again.step == 2
    again.run(QUIET)
    lost = mapping(stopped, again)
    for _ in range(3):
        lost.train_step()
        if lost.step == 2:
            lost.save()
    mapping(stopped, again).run(QUIET)
    for name in ("face", "mapping"):
        one, other = (load_file(folder / f"{name}.safetensors") for folder in (whole, stopped))
        for key, value in one.items():
            assert torch.equal(value, other[key]), key


def test_equivariance_is_nothing_for_keypoints_that_move_along() -> None:
    torch.manual_seed(0)
    _, affine = render_losses.bent(torch.rand(2, 3, 16, 16))
    points = torch.rand(2, 3, 3) - 0.5
    inverse = torch.linalg.inv(affine[:, :, :2])
    moved = (points[..., :2] - affine[:, None, :, 2]) @ inverse.mT
    along = torch.cat([moved, points[..., 2:]], 2)
    assert render_losses.equivariance(points, along, affine) < 1e-6
    assert render_losses.equivariance(points, points, affine) > 1e-3
