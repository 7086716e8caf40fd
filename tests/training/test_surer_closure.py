"""A better score of closures is learned from what the branch thinks, for one look-ahead, and nothing else changes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.motion.facial.articulators import CLOSE
from engine.motion.facial.closure import THRESHOLD
from engine.motion.facial.facial_generator import FacialConfig, read_lips
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.surer_closure import said_of_closure
from engine.paths import assets
from engine.training.hurry.hurried_trainer import think
from engine.training.hurry.surer_closure_fit import MET, fit_surer_closure, reading_thoughts
from engine.training.lips.lip_dataset import speech_streams
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu


def test_it_learns_where_lips_meet_and_leaves_the_rest_alone() -> None:
    torch.manual_seed(0)
    plain = FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2, context=8)).eval().requires_grad_(False)
    model = reading_thoughts(plain)
    assert reading_thoughts(model) is model
    before = {name: value.clone() for name, value in model.state_dict().items()}
    thoughts = think(model, speech_streams([load_recording(assets() / "speech")] * 3, seed=1), look_ahead=2)
    loss = fit_surer_closure(model, 2, [thoughts] * 3)
    assert loss < 0.3
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {f"generator.surer_closure.{name}" for name in ("weight", "bias", "believed")}
    assert model.generator.surer_closure.believed.tolist() == [0, 0, 0.5, 0]

    lips = read_lips(torch.from_numpy(thoughts.raw[None].astype(np.float32)))
    labial = torch.softmax(lips.phones, -1)[..., model.generator.bilabial].sum(-1)
    said = said_of_closure(lips.articulators[..., CLOSE], labial, lips.next_close, lips.next_labial)
    heard = torch.from_numpy(thoughts.thought[None].astype(np.float32))
    score = model.generator.surer_closure(heard, said, labial, torch.tensor([2]))[0].numpy()
    met = thoughts.source.motion[:, CLOSE].astype(np.float32) > MET
    assert score[met].mean() > 2 * score[~met].mean()
    assert (score[met] > THRESHOLD[2]).mean() > 0.6
    with pytest.raises(ValueError, match="look-ahead of 0"):
        fit_surer_closure(model, 0, [thoughts])
