"""The lip-vertex branch: it streams, leaves the lips' gap alone, and learns what tracked films say of real lips."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streaming_proofs import prove_all
from torch import Tensor

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.face.topology import LIP_INNER, LIP_VERTICES
from engine.motion.facial.facial_generator import VERTEX_LIMIT, FacialConfig
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.training.lips.lip_dataset import speech_streams
from engine.training.lips.lip_vertex_trainer import VertexPlan, train_vertices, with_vertices
from engine.training.lips.lip_vertices import (
    FULLER,
    FilmedMotion,
    _spread,
    explained,
    filmed_motion,
    fit_map,
    lip_basis,
)
from engine.training.lips.teacher import articulators
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu

PHONES = [("pau", 0.0, 0.4), ("b", 0.4, 0.5), ("aa", 0.5, 0.9), ("w", 0.9, 1.0), ("iy", 1.0, 1.4), ("f", 1.4, 1.5)]
SMALL = FacialConfig(features=24, dim=24, layers=1, heads=2, context=8, vertex_modes=3, vertex_dim=16)


def spoken(seed: int, frames: int = 120) -> np.ndarray:
    """Articulators of the phones above, each time at another pace."""
    rng = np.random.default_rng(seed)
    parts: list[np.ndarray] = []
    while sum(len(part) for part in parts) < frames:
        pace = rng.uniform(0.7, 1.4)
        times = [(p, s * pace, e * pace) for p, s, e in PHONES]
        parts.append(articulators(times, int(25 * times[-1][2])))
    return np.concatenate(parts)[:frames]


def films(count: int, gain: float, noise: float = 0.002) -> list[FilmedMotion]:
    """People whose mouths widen and part as blendshapes say, and protrude with every pucker, as none says."""
    rng = np.random.default_rng(0)
    out = []
    for seed in range(count):
        said = spoken(seed)
        lips = gain * _spread(said).reshape(len(said), -1, 3)
        lips[:, :, 2] -= gain * 0.2 * said[:, 2:3]
        out.append(FilmedMotion(said, (lips + rng.normal(0, noise, lips.shape)).astype(np.float32)))
    return out


def test_the_branch_streams_with_its_own_past() -> None:
    torch.manual_seed(0)
    model = FacialMotion(SMALL).generator.eval()
    for parameter in model.vertices.parameters():
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=1.2 / parameter.shape[-1] ** 0.5)
    model.vertex_modes.normal_()
    ahead = torch.tensor([0, 2, 3])

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return model.offset_lips(x, ahead, exec_mask=mask).flatten(2)

    prove_all(model, call, torch.randn(3, 40, 24))
    with torch.inference_mode():
        wild = model.offset_lips(1e4 * torch.randn(1, 20, 24), ahead[:1])
    assert wild.shape == (1, 20, len(LIP_VERTICES), 3)
    assert wild.abs().max() <= VERTEX_LIMIT * model.vertex_modes.abs().sum(0).max()


def test_weights_without_the_branch_say_no_offsets() -> None:
    model = FacialMotion(FacialConfig(features=24, dim=24, heads=2)).eval()
    with torch.inference_mode():
        assert model.offset_lips(torch.randn(2, 5, 24), torch.tensor([0, 2])).shape == (2, 5, 0, 3)


def test_the_map_finds_what_blendshapes_leave_out() -> None:
    seen, unseen = films(4, 0.4), films(6, 0.4)[4:]
    vertices = fit_map(seen, strength=0.1)
    assert explained(unseen, None) < 0.9
    assert explained(unseen, vertices) > explained(unseen, None) + 0.05
    quiet = vertices(np.zeros((5, 9), np.float32)) @ vertices.modes
    assert not quiet.any(), "a mouth at rest is left at rest"
    often = fit_map(seen * 3, strength=0.1)
    np.testing.assert_allclose(often(spoken(9)) @ often.modes, vertices(spoken(9)) @ vertices.modes, atol=1e-4)


def test_lips_grow_less_full_than_films_say() -> None:
    rows = []
    for film in films(3, 0.4):
        lips, outer = film.lips.copy(), len(LIP_INNER)
        lips[:, outer + outer // 2 :, 1] -= 0.1 * film.articulators[:, 2:3]  # lower rims sink with every pucker
        rows.append(FilmedMotion(film.articulators, lips))
    vertices = fit_map(rows, strength=0.1)
    offsets = (vertices(spoken(9)) @ vertices.modes).reshape(-1, len(LIP_VERTICES), 3)
    rims = offsets[:, len(LIP_INNER) :, 1] - offsets[:, : len(LIP_INNER), 1]
    most = float(np.abs(rims[:, len(LIP_INNER) // 2 + 2 : -1].mean(1)).max() / spoken(9)[:, 2].max())
    assert 0.5 * FULLER < most / 0.1 * 0.4 < 2 * FULLER, "people move .4 as far, which is divided out"


def test_offsets_leave_the_gap_and_the_symmetry_alone() -> None:
    vertices = fit_map(films(3, 0.3, noise=0.02))
    offsets = (vertices(spoken(9)) @ vertices.modes).reshape(-1, len(LIP_VERTICES), 3)
    inner = len(LIP_INNER)
    for upper in range(1, inner // 2):
        np.testing.assert_allclose(offsets[:, upper, 1], offsets[:, inner - upper, 1], atol=1e-5)
    left, right = offsets[:, 0], offsets[:, inner // 2]
    np.testing.assert_allclose(left[:, 0], -right[:, 0], atol=2e-3)
    np.testing.assert_allclose(left[:, 1], right[:, 1], atol=2e-3)


def test_a_track_is_read_as_lip_movement() -> None:
    shapes = np.zeros((20, 52), np.float32)
    shapes[10:, 25] = 0.3
    offsets = np.zeros((20, len(LIP_VERTICES), 3), np.float32)
    film = filmed_motion(shapes, offsets, spoken(0, 20))
    np.testing.assert_allclose((film.lips[15] - film.lips[5]).reshape(-1), 0.3 * lip_basis()[25], atol=1e-5)


def test_the_branch_learns_and_the_lips_stay_as_they_are() -> None:
    source = speech_streams([load_recording(assets() / "speech")] * 3, seed=0)
    vertices = fit_map(films(3, 0.4))
    lips = FacialMotion.load(assets() / "weights" / "facial.safetensors")
    grown = with_vertices(lips, vertices)
    before = {name: value.clone() for name, value in grown.state_dict().items() if ".vertices." not in name}
    first = train_vertices(grown, vertices, [source], [1.0], VertexPlan(steps=1, rows=4, frames=50))
    last = train_vertices(grown, vertices, [source], [1.0], VertexPlan(steps=50, rows=4, frames=50))
    assert last < 0.85 * first
    after = grown.state_dict()
    assert all(torch.equal(after[name], value) for name, value in before.items())
    with torch.inference_mode():
        features, ahead = grown.encode(0.1 * torch.randn(1, 6400)), torch.tensor([2])
        assert torch.equal(grown.animate(features, ahead), lips.animate(features, ahead))
