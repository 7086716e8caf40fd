"""The facial motion generator: streaming with its own past and closure decoder, look-ahead, and its weights' errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from streaming_proofs import prove_all
from torch import Tensor

from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.motion.facial.articulators import CLOSE, JAW, LOWER_DOWN, PUCKER, ROLL, STRETCH, TONGUE, aperture, coupled
from engine.motion.facial.branch import MotionBranch
from engine.motion.facial.closure import ClosureDecoder
from engine.motion.facial.facial_generator import FacialConfig, FacialMotionGenerator, fed_back, read_lips
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.facial.inertia import SLOWNESS, WIDTH_SLOWNESS, Inertia

pytestmark = pytest.mark.cpu

SMALL = FacialConfig(features=24, dim=24, layers=2, heads=2, context=8)


def lively(module: torch.nn.Module) -> None:
    """Random weights large enough that outputs move and lips close now and then."""
    torch.manual_seed(3)
    for name, parameter in module.named_parameters():
        if parameter.dim() > 1 and "style" not in name:
            torch.nn.init.normal_(parameter, std=1.6 / parameter.shape[-1] ** 0.5)


def generator() -> FacialMotionGenerator:
    model = FacialMotionGenerator(SMALL).eval()
    lively(model)
    return model


def small_model() -> FacialMotion:
    model = FacialMotion(SMALL).eval()
    lively(model.generator)
    return model


def test_generator_streams_with_its_own_past_beyond_the_cache() -> None:
    model = generator()
    ahead = torch.tensor([0, 2, 3])

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return model.animate(x, ahead, exec_mask=mask)

    features = torch.randn(3, 30, 24)
    prove_all(model, call, features)
    with torch.inference_mode():
        closure = model.articulate(features, ahead)[..., 1]
    assert (closure == 1).any(), "the proof should include closures"
    assert (closure < 1).any()


def test_whole_model_streams_from_samples() -> None:
    model = small_model()
    ahead = torch.tensor([1, 2])

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return model.animate(model.encode(x, mask), ahead, exec_mask=mask)

    prove_all(model, call, 0.3 * torch.randn(2, 640 * 24), unit=640)


def test_closure_decoder_streams() -> None:
    decoder = ClosureDecoder()
    ahead = torch.tensor([0, 1, 3])

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return decoder(x[..., 0], x[..., 1], x[..., 2], ahead, mask, x[..., 3], x[..., 4])

    prove_all(decoder, call, torch.rand(3, 40, 5))


def test_inertia_streams_slows_the_jaw_and_not_what_is_an_event() -> None:
    inertia, step, ahead = Inertia(), torch.ones(2, 12, 9), torch.tensor([0, 2])
    prove_all(inertia, lambda x, mask: inertia(x, torch.tensor([0, 1, 3]), mask), torch.rand(3, 30, 9))
    shown = inertia(step, ahead)
    for row, look_ahead in enumerate(ahead.tolist()):
        assert torch.allclose(shown[row, :, JAW], 1 - SLOWNESS[look_ahead] ** torch.arange(1, 13))
        assert torch.allclose(shown[row, :, PUCKER], 1 - WIDTH_SLOWNESS[look_ahead] ** torch.arange(1, 13))
    events = [CLOSE, ROLL, TONGUE]
    assert torch.equal(shown[..., events], step[..., events])


def test_a_rounded_mouth_opens_less_and_a_parted_one_is_wider() -> None:
    y = torch.zeros(4, 9)
    y[:, JAW] = torch.tensor([0.5, 0.5, 0.3, 0.2])
    y[1:, PUCKER] = torch.tensor([0.5, 0.9, 1.0])
    y[0, LOWER_DOWN] = 0.5
    moved = coupled(y)
    assert moved[1, JAW] < 0.6 * y[1, JAW]
    assert (aperture(moved)[1:] > 0.05).all(), "rounded lips stay apart"
    assert moved[0, STRETCH] > y[0, STRETCH]
    assert torch.equal(moved[0, JAW], y[0, JAW])
    others = [CLOSE, PUCKER, LOWER_DOWN, ROLL, TONGUE]
    assert torch.equal(moved[:, others], y[:, others])


def test_closure_is_full_at_peaks_only() -> None:
    score = torch.tensor([[0.0, 0.3, 0.5, 0.4, 0.1, 0.2, 0.6, 0.6, 0.0]])
    following = torch.cat([score[:, 1:], torch.zeros(1, 1)], 1)
    closed = ClosureDecoder()(0.4 * torch.ones_like(score), score, following, torch.tensor([2]))
    assert closed[0].tolist() == [0, 0, 1, 0, 0, 0, 1, 1, 0]


def test_lips_narrow_for_f_and_v_and_a_surer_score_decides_where_they_meet() -> None:
    nothing, ahead = torch.zeros(2, 3), torch.tensor([0, 2])
    plain, surer = torch.tensor([[0.1, 0.9, 0.1]] * 2), torch.tensor([[0.9, 0.1, 0.1]] * 2)
    tucked = torch.tensor([[0.0, 0.0, 1.0]] * 2)
    closed = ClosureDecoder()(nothing, plain, nothing, ahead, tucked=tucked, surer=surer)
    assert closed[:, :2].tolist() == [[1, 0]] * 2
    assert ((closed[:, 2] > 0.4) & (closed[:, 2] < 1)).all()


def test_less_look_ahead_wants_a_surer_peak() -> None:
    score, following = torch.tensor([[0.2], [0.2], [0.4], [0.4]]), torch.zeros(4, 1)
    closed = ClosureDecoder()(torch.zeros(4, 1), score, following, torch.tensor([0, 2, 0, 2]))
    assert closed[:, 0].tolist() == [0, 1, 1, 1]


def test_high_probability_shows_away_from_peaks() -> None:
    close = torch.tensor([[0.8, 0.925, 1.0]])
    shown = ClosureDecoder()(close, torch.tensor([[0.9, 0.8, 0.7]]), 2 * torch.ones(1, 3), torch.tensor([2]))
    assert shown[0].tolist() == pytest.approx([0.0, 0.5, 1.0], abs=1e-5)


def test_who_hears_nothing_ahead_is_corrected_alone() -> None:
    """What corrects look-ahead 0 streams like all the rest, and the other rows are as without it to the last bit."""
    torch.manual_seed(4)
    plain = generator()
    model = FacialMotionGenerator(replace(plain.config, hurried_dim=6)).eval()
    model.load_state_dict(plain.state_dict(), strict=False)
    torch.nn.init.normal_(model.hurried.out.weight)
    ahead, x = torch.tensor([0, 1, 3]), torch.randn(3, 12, 24)
    prove_all(model, lambda x, mask: model.articulate(x, ahead, exec_mask=mask), x)
    with torch.inference_mode():
        said, without = model.articulate(x, ahead), plain.articulate(x, ahead)
    assert torch.equal(said[1:], without[1:])
    assert (said[0] - without[0]).abs().max() > 0.01


def test_thoughts_that_nothing_was_fitted_to_change_nothing() -> None:
    """What reads thoughts streams like all the rest; fitted for one look-ahead, it closes that row's lips otherwise."""
    torch.manual_seed(4)
    plain = generator()
    model = FacialMotionGenerator(replace(plain.config, reads_thoughts=True)).eval()
    kept = {name: value for name, value in plain.state_dict().items() if "filmed_jaw" not in name}
    model.load_state_dict(kept, strict=False)
    ahead, x = torch.tensor([0, 1, 3]), torch.randn(3, 12, 24)
    with torch.inference_mode():
        assert torch.equal(model.articulate(x, ahead), plain.articulate(x, ahead))
    model.surer_closure.weight[1].normal_()
    model.surer_closure.believed[1] = 1
    model.filmed_jaw.share.normal_(std=0.1)
    prove_all(model, lambda x, mask: model.articulate(x, ahead, exec_mask=mask), x)
    with torch.inference_mode():
        said, without = model.articulate(x, ahead), plain.articulate(x, ahead)
    assert torch.equal(said[[0, 2], :, CLOSE], without[[0, 2], :, CLOSE])
    assert not torch.equal(said[1, :, CLOSE], without[1, :, CLOSE])
    assert (said[..., JAW] - without[..., JAW]).abs().max() > 0.01


def test_parallel_training_and_free_running_say_the_same() -> None:
    """Given the past that free running produced, one parallel pass reproduces it: training sees what streaming does."""
    model = generator()
    features, ahead = torch.randn(2, 30, 24), torch.tensor([1, 2])
    style = torch.zeros(2, 24)
    with torch.inference_mode(), model.streaming(2):
        past, said = [], []
        for k in range(30):
            past.append(model.lips.past())
            raw = model.lips(features[:, k : k + 1], past[-1], ahead, style)
            model.lips.remember(fed_back(read_lips(raw).articulators))
            said.append(raw)
    parallel = model.lips(features, torch.cat(past, 1), ahead, style)
    torch.testing.assert_close(parallel, torch.cat(said, 1), rtol=1e-4, atol=1e-4)


def test_past_matters_and_cannot_run_away() -> None:
    model = generator()
    with torch.inference_mode():
        features, ahead = torch.randn(1, 40, 24), torch.zeros(1, dtype=torch.long)
        with_past = model.articulate(features, ahead)
        without = model.articulate(features, ahead, use_past=False)
        wild = model.articulate(1e4 * features, ahead)
    assert not torch.allclose(with_past, without)
    assert torch.isfinite(wild).all()
    assert fed_back(torch.tensor([-9.0, 9.0])).tolist() == pytest.approx([-0.2, 1.2])


def test_rows_may_differ_in_look_ahead_and_share_one_batch() -> None:
    model = generator()
    features = torch.randn(1, 20, 24)
    with torch.inference_mode():
        alone = [model.animate(features, torch.tensor([ahead])) for ahead in range(4)]
        together = model.animate(features.expand(4, -1, -1), torch.arange(4))
    for ahead in range(4):
        torch.testing.assert_close(together[ahead], alone[ahead][0], rtol=1e-4, atol=1e-5)
    assert not torch.allclose(together[0], together[3])


def test_mean_identity_is_no_style_and_style_is_heard() -> None:
    model = generator()
    features, ahead = torch.randn(1, 10, 24), torch.tensor([2])
    with torch.inference_mode():
        none = model.articulate(features, ahead)
        assert torch.equal(model.articulate(features, ahead, torch.zeros(1, 150)), none)
        torch.nn.init.normal_(model.style.weight)
        assert not torch.allclose(model.articulate(features, ahead, torch.ones(1, 150)), none)


def test_blendshapes_are_the_lips_alone_symmetric_and_in_range() -> None:
    model = generator()
    with torch.inference_mode():
        shapes = model.animate(5 * torch.randn(2, 20, 24), torch.tensor([0, 2]))
    assert shapes.shape == (2, 20, len(NAMES))
    assert shapes.min() >= 0
    assert shapes.max() <= 1
    moving = {NAMES[k] for k in shapes.abs().amax((0, 1)).nonzero()[:, 0].tolist()}
    assert moving <= set(LIP)
    assert {"jawOpen", "mouthClose", "mouthPucker"} <= moving
    for name in moving:
        if name.endswith("Left"):
            right = shapes[..., INDEX[name.removesuffix("Left") + "Right"]]
            assert torch.equal(shapes[..., INDEX[name]], right)


def test_sound_that_is_not_a_number_does_not_stay() -> None:
    model = small_model()
    sound, ahead = 0.3 * torch.randn(2, 640 * 20), torch.tensor([2, 2])
    spoilt, silent = sound.clone(), sound.clone()
    spoilt[1, 3000:4000] = float("nan")
    silent[1, 3000:4000] = 0
    with torch.inference_mode(), model.streaming(2):
        got = model.animate(model.encode(spoilt), ahead)
    with torch.inference_mode():
        want = model.animate(model.encode(silent), ahead)
    torch.testing.assert_close(got, want, rtol=1e-4, atol=1e-5)


def test_branch_past_is_for_streams() -> None:
    branch = MotionBranch(4, 3, dim=8, heads=2)
    with pytest.raises(RuntimeError, match="only inside"):
        branch.past()
    with pytest.raises(RuntimeError, match="only inside"):
        branch.remember(torch.zeros(1, 1, 3))


def test_weights_survive_a_round_trip(tmp_path: Path) -> None:
    model, path = small_model(), tmp_path / "facial.safetensors"
    model.save(path, {"trained": "never"})
    again = FacialMotion.load(path)
    assert again.config == SMALL
    assert not again.training
    samples, ahead = 0.2 * torch.randn(1, 6400), torch.tensor([2])
    with torch.inference_mode():
        a = model.animate(model.encode(samples), ahead)
        assert torch.equal(a, again.animate(again.encode(samples), ahead))


def broken(path: Path, how: str) -> None:
    small_model().save(path)
    if how == "missing":
        path.unlink()
    elif how == "truncated":
        path.write_bytes(path.read_bytes()[:2000])
    elif how == "garbage":
        path.write_bytes(b"not weights at all" * 100)
    elif how == "empty":
        path.write_bytes(b"")
    elif how == "folder":
        path.unlink()
        path.mkdir()
    elif how == "foreign":
        save_file({"w": torch.zeros(2)}, str(path))
    elif how == "other sizes":
        other = FacialMotion(FacialConfig(features=16, dim=16, heads=2))
        save_file(
            {name: value.contiguous() for name, value in other.state_dict().items()},
            str(path),
            {"format": "vivify-facial-1", "config": "{}"},
        )
    elif how == "odd config":
        save_file({"w": torch.zeros(2)}, str(path), {"format": "vivify-facial-1", "config": '{"colour": 3}'})


@pytest.mark.parametrize(
    "how", ["missing", "truncated", "garbage", "empty", "folder", "foreign", "other sizes", "odd config"]
)
def test_unfit_weights_are_told_in_one_sentence(tmp_path: Path, how: str) -> None:
    path = tmp_path / "facial.safetensors"
    broken(path, how)
    with pytest.raises(VivifyError) as caught:
        FacialMotion.load(path)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert str(path) in sentence
    assert sentence.count(". ") == 0
    assert len(sentence) < 400
