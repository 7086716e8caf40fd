"""The face above the mouth: drawn by seed, streaming, kept through a barge-in, and learned from films and a prior."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streaming_proofs import prove_all
from torch import Tensor

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.motion.facial.facial_generator import FacialConfig, FacialMotionGenerator
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.upper_face import BROW, LIMIT, UNIT, normal, spread_matrices, to_shapes
from engine.paths import assets
from engine.training.lips.lip_dataset import speech_streams
from engine.training.lips.upper_face_prior import FilmedFace, accents, draw_unrest, fit_unrest, prior
from engine.training.lips.upper_face_trainer import UpperFacePlan, said_for, train_upper_face, with_upper_face
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu

SMALL = FacialConfig(features=24, dim=24, layers=2, heads=2, context=8, upper_dim=16)
AHEAD = torch.tensor([0, 2, 3])


def generator() -> FacialMotionGenerator:
    torch.manual_seed(4)
    model = FacialMotionGenerator(SMALL).eval()
    for parameter in model.upper_face.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.3 / parameter.shape[-1] ** 0.5)
    model.upper_face.follow[0] = 0.8 * torch.eye(len(UNIT))
    return model


def film(seed: int, frames: int = 120) -> FilmedFace:
    """A face whose five values wander at their own pace, and a voice."""
    rng = np.random.default_rng(seed)
    steps = np.cumsum(rng.normal(0, 0.2, (frames, len(UNIT))), 0)
    values = (steps - steps.mean(0)) / (steps.std(0) + 1e-6)
    return FilmedFace(rng.normal(0, 0.05, 640 * frames).astype(np.float32), values.astype(np.float32))


def test_it_streams_draws_included() -> None:
    model = generator()

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return model.move_upper_face(x, AHEAD, exec_mask=mask)

    prove_all(model, call, torch.randn(3, 30, 24))


def test_the_same_seed_draws_the_same_and_another_something_else() -> None:
    model, features = generator(), torch.randn(1, 40, 24).expand(3, -1, -1)
    with torch.inference_mode(), model.streaming(3):
        model.begin(torch.ones(3, dtype=torch.bool), torch.tensor([5, 5, 6]))
        a, b, c = model.move_upper_face(features, torch.tensor([2, 2, 2]))
    torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5)  # a batch's rows are not summed in one order
    assert not torch.allclose(a, c, atol=1e-3)


def test_a_barge_in_stops_the_mouth_and_not_the_brows() -> None:
    model = generator()
    features, ahead, mask = torch.randn(2, 30, 24), torch.tensor([2, 2]), torch.tensor([True, False])
    moved = []
    for forget in (False, True):
        with torch.inference_mode(), model.streaming(2):
            model.begin(torch.ones(2, dtype=torch.bool), torch.tensor([1, 2]))
            model.animate(features[:, :15], ahead)
            if forget:
                model.forget(mask)
            moved.append(model.animate(features[:, 15:], ahead))
    lips = [INDEX[name] for name in LIP]
    others = [k for k in range(len(NAMES)) if k not in lips]
    assert torch.equal(moved[0][..., others], moved[1][..., others])
    assert torch.equal(moved[0][1], moved[1][1])
    assert not torch.allclose(moved[0][0][..., lips], moved[1][0][..., lips])


def test_drawn_numbers_are_normal() -> None:
    drawn = normal(torch.full((20_000,), 9), torch.arange(20_000), 5)
    assert drawn.mean(0).abs().max() < 0.03
    assert (drawn.std(0) - 1).abs().max() < 0.03
    together = torch.corrcoef(torch.cat([drawn[1:], drawn[:-1]], 1).T) - torch.eye(10)
    assert together.abs().max() < 0.03


def test_values_become_brows_squint_cheeks_and_nose_and_nothing_else() -> None:
    shapes = to_shapes(torch.tensor([[1.0, 1, 1, 1, 1], [-1.0, -1, -1, -1, -1], [LIMIT] * 5]), *spread_matrices())
    moving = {NAMES[k] for k in shapes.amax(0).nonzero()[:, 0].tolist()}
    assert all(name.startswith(("brow", "eyeSquint", "cheekSquint", "noseSneer")) for name in moving)
    assert not moving & set(LIP)
    assert shapes[0, INDEX["browInnerUp"]] == pytest.approx(UNIT[BROW])
    assert shapes[1].nonzero()[:, 0].tolist() == sorted(INDEX[f"browDown{side}"] for side in ("Left", "Right"))
    assert 0 <= shapes.min() <= shapes.max() < 0.3


def test_unrest_moves_like_the_films_together_and_apart() -> None:
    """Films of a known process: brows and squint go together, cheeks are quicker than the rest."""
    rng, films = np.random.default_rng(1), []
    for _ in range(6):
        stray = np.zeros((600, len(UNIT)))
        for k in range(1, 600):
            chance = rng.normal(0, 1, len(UNIT))
            chance[2] = 0.8 * chance[0] + 0.6 * chance[2]
            stray[k] = np.array([0.95, 0.95, 0.95, 0.6, 0.95]) * stray[k - 1] + chance
        films.append(FilmedFace(np.zeros(0, np.float32), (stray / stray.std(0)).astype(np.float32)))
    drawn = draw_unrest(rng, 8000, *fit_unrest(films))
    assert drawn.std(0) == pytest.approx(np.ones(len(UNIT)), rel=0.15)
    assert np.corrcoef(drawn[:, 0], drawn[:, 2])[0, 1] == pytest.approx(0.8, abs=0.1)
    assert abs(np.corrcoef(drawn[:, 0], drawn[:, 4])[0, 1]) < 0.15
    follows = [np.corrcoef(drawn[1:, k], drawn[:-1, k])[0, 1] for k in range(len(UNIT))]
    assert follows == pytest.approx([0.95, 0.95, 0.95, 0.6, 0.95], abs=0.04)


def test_prosody_raises_brows() -> None:
    level = np.zeros(400, np.float32)
    for k in range(20, 380, 8):  # a syllable every third of a second, every fifth stands out
        level[k : k + 4] = 1.6 if k % 40 == 20 else 1.0
    found, strength = accents(level, np.ones(400, bool))
    settled = [k for k in found.tolist() if 80 < k < 360]
    assert settled == [21 + 40 * n for n in range(2, 9)]
    assert (strength > 0).all()
    lips, still = np.zeros((400, 9), np.float32), np.zeros((400, len(UNIT)), np.float32)
    raised = prior(level, np.ones(400, bool), lips, still)[:, BROW]
    assert np.mean([raised[k + 4] - raised[k - 6] for k in settled]) > 0.8


def test_the_branch_learns_how_far_faces_go() -> None:
    source = speech_streams([load_recording(assets() / "speech")] * 3, seed=0)
    plain = FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2))
    films = [film(seed) for seed in range(4)]
    grown = with_upper_face(plain, films)
    before = {name: value.clone() for name, value in grown.state_dict().items() if ".upper_face." not in name}
    first = train_upper_face(grown, films, [source], [1.0], UpperFacePlan(steps=1, rows=4, frames=50))
    last = train_upper_face(grown, films, [source], [1.0], UpperFacePlan(steps=60, rows=8, frames=50))
    assert last < first - 0.1
    after = grown.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    said = said_for(grown, load_recording(assets() / "speech")[0][: 640 * 60])
    assert said.shape == (60, len(UNIT))
    assert 0.3 < said.std() < 2
