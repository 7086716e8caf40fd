"""Head poses: streaming, seeds, limits, the codebook's rule, and errors a user may cause."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from streaming_proofs import prove_all
from torch import Tensor

from engine.errors import VivifyError
from engine.motion.head.head_pose import HeadPose, PoseConfig, uniform, within
from engine.motion.head.pose_codebook import Codebook, PoseDecoder, PoseEncoder, per_frame, perplexity
from engine.motion.head.pose_mapping import PoseMapping, draw
from engine.motion.prior.nonlip import LIMITS

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


SMALL = PoseConfig(codes=12, code_dim=6, dim=16, heads=2, context=5, hearing=9)


def lively(module: torch.nn.Module) -> None:
    torch.manual_seed(3)
    for parameter in module.parameters():
        if parameter.dim() > 1 and parameter.requires_grad:
            torch.nn.init.normal_(parameter, std=1.5 / parameter.shape[1:].numel() ** 0.5)


def small_model() -> HeadPose:
    model = HeadPose(SMALL).eval()
    lively(model)
    model.codebook.codes.mul_(3)
    return model


def test_head_pose_streams_beyond_its_caches() -> None:
    model = small_model()
    x = 0.3 * torch.randn(2, 640 * 26)

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        speaking = x.view(len(x), -1, 640)[..., 0] > 0  # a chance per frame, part of the input
        return model(x, speaking, mask)

    prove_all(model, call, x, unit=640)


def test_mapping_trained_at_once_says_what_it_says_in_a_stream() -> None:
    torch.manual_seed(0)
    mapping = PoseMapping(4, 12, 6, 16, 2, 2, context=5, hearing=9).eval()
    lively(mapping)
    features, speaking, before = torch.randn(2, 48, 4), torch.rand(2, 48) > 0.5, torch.randn(2, 12, 6)
    style, start = torch.randn(2, 2), torch.randn(2, 6)
    with torch.inference_mode():
        whole = mapping(before, style, start, mapping.hear(features, speaking))
        with mapping.streaming(2):
            for k in range(48):
                heard = mapping.hear(features[:, k : k + 1], speaking[:, k : k + 1])
                if k % 4 == 0:
                    said = mapping(before[:, k // 4 : k // 4 + 1], style, start, heard)
                    torch.testing.assert_close(said[:, 0], whole[:, k // 4], rtol=1e-4, atol=2e-5)


def test_decoder_is_causal_and_streams() -> None:
    decoder = PoseDecoder(8, 6)
    lively(decoder)

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return decoder(x[..., :6], x[..., 6].abs().long() % 4, mask)

    prove_all(decoder, call, 3 * torch.randn(3, 70, 7))


def test_seeds_decide_and_rows_do_not_disturb_each_other() -> None:
    model = small_model()
    samples, speaking = 0.3 * torch.randn(1, 640 * 40).repeat(3, 1), torch.ones(3, 40, dtype=torch.bool)
    with torch.inference_mode(), model.streaming(3):
        model.begin(torch.ones(3, dtype=torch.bool), torch.tensor([1, 2, 1]))
        a = model(samples, speaking)
        model.begin(torch.tensor([False, True, False]), torch.tensor([0, 1, 0]))
        b = model(samples, speaking)
    assert torch.equal(a[0], a[2])
    assert not torch.allclose(a[0], a[1])
    torch.testing.assert_close(b[1], a[0])


def test_a_row_begins_at_the_portrait_and_stays_within_limits() -> None:
    model = small_model()
    model.codebook.codes.mul_(20)
    poses = model(torch.zeros(1, 640 * 40), torch.zeros(1, 40, dtype=torch.bool))[0]
    assert poses[0].abs().max() < 0.01
    assert (poses.abs() < torch.tensor(LIMITS)).all()
    assert poses.abs().max() > 0.5 * LIMITS[0]


def test_limits_bend_and_leave_small_poses_alone() -> None:
    small = 0.5 * torch.tensor(LIMITS)
    assert torch.equal(within(small), small)
    assert (within(100 * small) < torch.tensor(LIMITS)).all()
    assert (within(-100 * small) > -torch.tensor(LIMITS)).all()


def test_not_a_number_counts_as_silence() -> None:
    model = small_model()
    bad, none = torch.full((1, 640 * 8), float("nan")), torch.zeros(1, 640 * 8)
    speaking = torch.zeros(1, 8, dtype=torch.bool)
    torch.testing.assert_close(model(bad, speaking), model(none, speaking))


def test_chance_is_even_and_differs_by_seed_and_step() -> None:
    count = torch.arange(4000)
    a, b = uniform(torch.tensor(1), count), uniform(torch.tensor(2), count)
    for x in (a, b):
        assert x.min() >= 0
        assert x.max() < 1
        assert abs(float(x.mean()) - 0.5) < 0.02
        assert torch.histc(x, 10, 0, 1).min() > 330
        assert abs(float(torch.corrcoef(torch.stack([x[:-1], x[1:]]))[0, 1])) < 0.05
    assert abs(float(torch.corrcoef(torch.stack([a, b]))[0, 1])) < 0.05


def test_drawing_follows_the_probabilities() -> None:
    logits = torch.tensor([0.0, -0.7, -9.0]).expand(4000, 3)
    index = draw(logits, torch.rand(4000, generator=torch.Generator().manual_seed(0)), 1.0)
    share = torch.bincount(index, minlength=3) / 4000
    assert share[2] == 0, "outside the nucleus"
    assert float(share[1] / share[0]) == pytest.approx(0.4966, rel=0.1)  # exp(-.7)
    assert draw(logits, torch.rand(4000), 0.0).sum() == 0


def test_codebook_takes_the_closest_and_keeps_its_codes_alive() -> None:
    torch.manual_seed(0)
    book = Codebook(16, 3)
    z = torch.randn(2000, 3) * torch.tensor([3.0, 1.0, 0.1]) + 2
    for _ in range(150):
        quantized, index = book.quantize(z)
        book.learn(z, index)
    assert torch.allclose(quantized, book.codes[index], atol=1.0)
    brute = (z[:, None] - book.codes).square().sum(2).argmin(1)
    assert torch.equal(book.quantize(z)[1], brute)
    assert perplexity(brute, 16) > 10
    assert perplexity(torch.zeros(50, dtype=torch.long), 16) == pytest.approx(1)


def test_codes_of_four_frames() -> None:
    z = PoseEncoder(8, 6)(torch.randn(2, 40, 6))
    assert z.shape == (2, 10, 6)
    codes, phase = per_frame(z)
    assert torch.equal(codes[:, 4:8], z[:, 1:2].expand(-1, 4, -1))
    assert phase[0, :6].tolist() == [0, 1, 2, 3, 0, 1]


def test_weights_travel_with_their_config(tmp_path: Path) -> None:
    model = small_model()
    model.save(tmp_path / "pose.safetensors")
    back = HeadPose.load(tmp_path / "pose.safetensors")
    assert back.config == SMALL
    samples, speaking = 0.2 * torch.randn(1, 640 * 8), torch.ones(1, 8, dtype=torch.bool)
    torch.testing.assert_close(back(samples, speaking), model(samples, speaking))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [(None, "no such file"), (b"x", "cannot be used"), ("other", "should hold head pose weights")],
)
def test_unfit_weights_are_refused_in_a_sentence(tmp_path: Path, content: bytes | str | None, sentence: str) -> None:
    path = tmp_path / "pose.safetensors"
    if isinstance(content, bytes):
        path.write_bytes(content)
    elif content:
        save_file({"a": torch.zeros(1)}, str(path), {"format": content})
    with pytest.raises(VivifyError, match=sentence):
        HeadPose.load(path)
