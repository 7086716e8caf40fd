"""Which quality is drawn: refusals, the machine's own choice, and a change of mind without a jump."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from engine.config import EngineConfig
from engine.contracts import Motion
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.paths import assets
from engine.quality import PATIENCE, SEEN, SHORT, TOO_LONG, Governor, Painters
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.learned.picture_weights import save_learned
from engine.render.renderer import Renderer

pytestmark = pytest.mark.cpu


def feed(governor: Governor, step_ms: float, steps: int = SEEN) -> None:
    for _ in range(steps):
        governor.observe(step_ms)


def test_networks_go_before_the_frame_is_full_and_one_slow_step_is_none() -> None:
    governor = Governor()
    feed(governor, SHORT)
    governor.observe(10 * TOO_LONG)
    assert governor.learned
    feed(governor, TOO_LONG + 1)
    assert not governor.learned
    assert TOO_LONG < 40


def test_networks_come_back_when_there_is_room_and_later_each_time() -> None:
    governor = Governor()
    feed(governor, 40)
    feed(governor, 20)  # twice as long with the networks, the machine still busy with other things
    feed(governor, 13, 2 * PATIENCE)
    assert not governor.learned
    feed(governor, 0.45 * SHORT, PATIENCE + SEEN)
    assert governor.learned
    feed(governor, 40)
    feed(governor, 20)
    feed(governor, 0.45 * SHORT, PATIENCE + SEEN)
    assert not governor.learned  # a second try waits longer
    feed(governor, 0.45 * SHORT, PATIENCE)
    assert governor.learned


def test_learned_is_refused_without_weights_and_auto_draws_geometry(tmp_path: Path) -> None:
    missing = tmp_path / "picture.safetensors"
    with pytest.raises(VivifyError, match="train them with scripts/train_picture"):
        Painters("learned", 256, missing)
    for quality in ("auto", "geometry"):
        painters = Painters(quality, 256, missing)
        assert not painters.learned
        assert type(painters.renderer(Avatar.load(assets() / "avatars" / "astronaut"))) is Renderer
    with pytest.raises(VivifyError, match="must be one of geometry, learned, auto"):
        EngineConfig(quality="best")  # type: ignore[arg-type]


def test_a_change_of_mind_is_faded_and_ends_in_exactly_geometry(tmp_path: Path) -> None:
    torch.manual_seed(0)
    model = LearnedHalf()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    save_learned(model, tmp_path / "picture.safetensors")
    painters = Painters("auto", 256, tmp_path / "picture.safetensors")
    avatar = Avatar.load(assets() / "avatars" / "astronaut")
    beta = np.zeros(len(NAMES), np.float32)
    beta[INDEX["jawOpen"]] = 0.4
    motion = Motion(0, beta, np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
    renderer = painters.renderer(avatar)
    assert isinstance(renderer, LearnedRenderer)
    geometry = Renderer(avatar, 256).render(motion).astype(float)
    learned = np.abs(painters.paint(renderer, motion, False) - geometry).mean()
    for _ in range(SEEN):
        painters.observe(100.0)
    assert not painters.learned
    away = [np.abs(painters.paint(renderer, motion, False) - geometry).mean() for _ in range(5)]
    assert learned > away[0] > away[1] > away[2] > away[3] == 0
    assert painters.renderer(avatar).share == 0  # type: ignore[attr-defined]
