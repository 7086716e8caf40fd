"""What corrects the lips without look-ahead: it learns from streams, and nothing else of the network changes."""

from __future__ import annotations

import pytest
import torch

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.motion.facial.facial_generator import FacialConfig
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.training.hurry.hurried_trainer import HurriedPlan, think, train_hurried, with_hurried
from engine.training.lips.lip_dataset import speech_streams
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu


def test_it_learns_and_leaves_the_rest_alone() -> None:
    torch.manual_seed(0)
    model = with_hurried(FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2, context=8)), width=8)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    thoughts = think(model, speech_streams([load_recording(assets() / "speech")] * 3, seed=1))
    assert thoughts.raw.any()
    assert len(thoughts.raw) == len(thoughts.source.motion)
    first = train_hurried(model, [thoughts], [1.0], HurriedPlan(steps=1, rows=4, frames=40))
    last = train_hurried(model, [thoughts], [1.0], HurriedPlan(steps=120, rows=4, frames=40, peak_rate=1e-2))
    assert last < 0.85 * first
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed
    assert all("hurried" in name for name in changed)
