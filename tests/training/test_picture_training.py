"""Training of the learned picture: pairs are what they say, a few are learned by heart, a cut run goes on unharmed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from training_pairs import eight

from engine.errors import VivifyError
from engine.face.morphable_model import face_model
from engine.render.learned.lip_square import LANDMARKS
from engine.render.learned.mouth_patch import corner_of, window
from engine.render.learned.picture_generator import LearnedHalf, Seen
from engine.training.picture.picture_losses import VGG, Edges, Plan, Vgg19
from engine.training.picture.picture_pairs import Pairs, from_film
from engine.training.picture.picture_trainer import Trainer
from engine.training.picture.picture_views import OPPOSITE, in_other_focus, in_other_light, mirrored, reframed

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def one_thread() -> Iterator[None]:
    """Two threads on two busy cores wait for each other at every small operation."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def test_a_still_turned_back_comes_near_the_photograph() -> None:
    seen, truth, mouth = eight().pick(list(range(8)))
    assert float((seen.painted - truth).abs().mean()) < 0.03
    assert float((seen.portrait - truth).abs().mean()) > 1.5 * float((seen.painted - truth).abs().mean())
    assert float(seen.moved.min()) == 1
    assert 0.002 < float(mouth.mean()) < 0.05


def test_pairs_are_kept_as_they_are(tmp_path: Path) -> None:
    eight().save(tmp_path / "pairs.safetensors")
    again = Pairs.load(tmp_path / "pairs.safetensors")
    assert len(again) == 8
    for one, other in zip(again.pick([3]), eight().pick([3]), strict=True):
        if isinstance(one, torch.Tensor):
            assert torch.equal(one, other)


def test_a_film_gives_pairs_that_geometry_nearly_paints(shared: Path) -> None:
    pairs = from_film(shared / "video" / "grid" / "lbax4n.mpg", references=1)
    assert len(pairs) > 70
    seen, truth, _ = pairs.pick(list(range(0, 70, 5)))
    still, driven = (seen.portrait - truth).abs(), (seen.painted - truth).abs()
    assert float(driven.mean()) < float(still.mean()) < 0.05


def test_a_file_that_is_no_film_is_told(tmp_path: Path) -> None:
    (tmp_path / "no.mp4").write_bytes(b"nothing")
    with pytest.raises(VivifyError, match="expected to be a film"):
        from_film(tmp_path / "no.mp4")


def test_eight_frames_are_learned_by_heart(tmp_path: Path) -> None:
    plan = Plan(
        steps=80, rows=8, peak_rate=1e-3, ema=0.5, matching=0.0, kl=0.0, regularity=0.0, unsure=0.0, views=False
    )
    trainer = Trainer(plan, tmp_path)
    seen, truth, _ = eight().pick(list(range(8)))
    for _ in range(60):
        trainer.train_step([eight()])
    with torch.inference_mode():
        learned = trainer.averaged().train()(seen)[0]  # all of it: strangers are shown less
    around = window(seen.lips, corner_of(seen.lips)).repeat_interleave(4, 2).repeat_interleave(4, 3)
    assert float(((learned - truth).abs() * around).mean()) < 0.8 * float(
        ((seen.painted - truth).abs() * around).mean()
    )


def test_a_killed_run_ends_as_an_unbroken_one(tmp_path: Path) -> None:
    plan = Plan(steps=4, rows=1)
    whole = Trainer(plan, tmp_path / "whole")
    for _ in range(3):
        figures = whole.train_step([eight()])
    assert set(figures) == {"pixels", "perceptual", "structure", "kl", "regular", "unsure", "matching", "real", "judge"}
    first = Trainer(plan, tmp_path / "cut")
    first.train_step([eight()])
    first.save()
    first.train_step([eight()])  # lost: killed before it was saved
    second = Trainer(plan, tmp_path / "cut")
    assert second.step == 1
    for _ in range(2):
        second.train_step([eight()])
    for mine, other in ((whole.average, second.average), (whole.judge.state_dict(), second.judge.state_dict())):
        for name, value in mine.items():
            assert torch.equal(value, other[name]), name


def test_a_mirrored_pair_is_the_pair_of_a_mirrored_face() -> None:
    seen, truth, mouth = eight().pick([0, 1])
    turned, other_truth, other_mouth = mirrored(seen, truth, mouth, np.array([False, True]))
    assert torch.equal(turned.texture[0], seen.texture[0])
    assert torch.equal(turned.painted[1], seen.painted[1].flip(-1))
    assert torch.equal(other_truth[1], truth[1].flip(-1))
    assert torch.equal(other_mouth[1], mouth[1].flip(-1))
    code = face_model().neutral[list(LANDMARKS), 0]
    np.testing.assert_allclose(code[list(OPPOSITE)], -code, atol=1e-5)
    # the code grows from left to right in both, so that the mirrored face is a face like any other
    for which in (seen, turned):
        inside = (which.texture[1] != which.portrait[1]).any(0)
        across = torch.arange(256.0).expand(256, 256)[inside]
        assert float(torch.corrcoef(torch.stack([across, which.texture[1, 0][inside]]))[0, 1]) > 0.95
    again = mirrored(turned, other_truth, other_mouth, np.array([False, True]))
    for f in fields(Seen):
        torch.testing.assert_close(getattr(again[0], f.name), getattr(seen, f.name))


def test_a_reframed_pair_is_a_pair_in_another_frame() -> None:
    seen, truth, mouth = eight().pick([0, 1])
    painted = F.grid_sample(seen.portrait, seen.flow.permute(0, 2, 3, 1), padding_mode="border", align_corners=False)
    shown = replace(seen, painted=F.interpolate(painted, scale_factor=4, mode="bilinear"))
    turned, other_truth, other_mouth = reframed(shown, truth, mouth, np.random.default_rng(4))
    assert not torch.allclose(turned.lips, seen.lips, atol=0.02)
    centre = slice(16, 48)  # beyond it the new frame shows what was outside the old one
    flow = turned.flow[:, :, centre, centre].permute(0, 2, 3, 1)
    again = F.grid_sample(turned.portrait, flow, padding_mode="border", align_corners=False)
    there = F.interpolate(turned.painted, scale_factor=0.25, mode="area")[:, :, centre, centre]
    before = F.interpolate(shown.painted, scale_factor=0.25, mode="area")[:, :, centre, centre]
    assert (again - there).abs().mean() < 0.3 * (before - there).abs().mean(), "the flow leads to the new portrait"
    for row in range(2):
        at = (other_mouth[row, 0] > 0.5).nonzero().flip(1).float().mean(0)
        middle = (turned.lips[row].mean(0) + 1) * 128 - 0.5
        assert (at - middle).norm() < 6, "the mouth's mask is where the lips are"
    assert other_truth.shape == truth.shape


def test_light_and_focus_change_all_pictures_alike() -> None:
    seen, _, _ = eight().pick([0, 1])
    outside = (seen.texture == seen.portrait).all(1, keepdim=True).expand_as(seen.portrait)
    for change in (in_other_light, in_other_focus):
        changed, truth = change(seen, seen.portrait, np.random.default_rng(1))
        assert torch.equal(truth, changed.portrait)
        assert not torch.allclose(changed.portrait, seen.portrait, atol=0.01)
        assert torch.equal(changed.texture[outside], changed.portrait[outside])
        assert torch.equal(changed.texture[~outside], seen.texture[~outside])


def test_the_stand_in_for_vgg_sees_edges_and_vgg_needs_its_weights(tmp_path: Path) -> None:
    flat, edge = torch.zeros(1, 3, 32, 32), torch.zeros(1, 3, 32, 32)
    edge[..., 16:] = 1
    apart = [float((a - b).abs().mean()) for a, b in zip(Edges()(flat), Edges()(edge), strict=True)]
    assert len(apart) == 8
    assert min(apart) > 0
    (tmp_path / "no.safetensors").write_bytes(b"nothing")
    with pytest.raises(VivifyError, match=r"VGG-19's weights as safetensors"):
        Vgg19(tmp_path / "no.safetensors")
    rng, channels, tensors, at = np.random.default_rng(0), 3, {}, 0
    for width in VGG:
        if width:
            tensors[f"features.{at}.weight"] = torch.from_numpy(
                rng.normal(0, 0.02, (width, channels, 3, 3)).astype(np.float32)
            )
            tensors[f"features.{at}.bias"] = torch.zeros(width)
            channels = width
        at += 2 if width else 1
    save_file(tensors, str(tmp_path / "vgg.safetensors"))
    features = Vgg19(tmp_path / "vgg.safetensors")(torch.rand(1, 3, 32, 32))
    assert [f.shape[1] for f in features] == [64, 128, 256, 512, 512]


def test_untrained_networks_and_their_average_are_geometry(tmp_path: Path) -> None:
    seen, _, _ = eight().pick([0])
    with torch.inference_mode():
        torch.testing.assert_close(Trainer(Plan(), tmp_path).averaged()(seen)[0], seen.painted, atol=1e-4, rtol=0)
        assert isinstance(LearnedHalf(lips=False)(seen)[0], torch.Tensor)
