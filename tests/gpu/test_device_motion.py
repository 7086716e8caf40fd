"""The motion networks on a device: the same motion as the pipeline's, at fixed addresses, nothing waited for."""

from __future__ import annotations

import pytest
import torch
from capture import strictly

from engine.cuda.batched_motion import DeviceMotion, Heard, silence
from engine.cuda.cuda_graphs import SIZES, Anchor, Captured, filled_up
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head.head_pose import HeadPose
from engine.motion.head.pose_codebook import constant
from engine.paths import assets

WEIGHTS = assets() / "weights"
ROWS = 3


def networks() -> tuple[FacialMotion, HeadPose]:
    return FacialMotion.load(WEIGHTS / "facial.safetensors"), HeadPose.load(WEIGHTS / "pose.safetensors")


def sound(steps: int) -> list[Heard]:
    """Noise that swells, on rows that come and go, with different look-aheads."""
    g = torch.Generator().manual_seed(5)
    out = []
    for k in range(steps):
        mask = torch.tensor([True, k % 3 != 1, k > 4])
        samples = 0.2 * torch.rand(ROWS, 1, generator=g) * torch.randn(ROWS, 640, generator=g)
        out.append(Heard(samples, torch.tensor([[k % 7 < 4]] * ROWS), torch.tensor([0, 2, 3]), mask, mask & (k > 1)))
    return out


def by_hand(heard: list[Heard], seeds: torch.Tensor, dropped: int) -> list[tuple[torch.Tensor, ...]]:
    """What the pipeline does with the same networks."""
    facial, head = networks()
    out, every = [], torch.ones(ROWS, dtype=torch.bool)
    with torch.inference_mode(), facial.streaming(ROWS), head.streaming(ROWS):
        facial.begin(every, seeds)
        head.begin(every, seeds)
        for k, one in enumerate(heard):
            if k == dropped:
                facial.forget(torch.tensor([True, False, False]))
            features = facial.encode(one.samples, exec_mask=one.mask)
            shapes, said = facial.utter(features, one.look_ahead, exec_mask=one.mask)
            offsets = facial.offset_lips(features, one.look_ahead, exec_mask=one.mask)
            poses = head(one.samples, one.speaking, exec_mask=one.shown)
            out.append((shapes[:, 0], offsets[:, 0], poses[:, 0], said[:, 0]))
    return out


def equals_the_pipeline(device: str, tolerance: float) -> None:
    heard, seeds = sound(14), torch.tensor([3, 4, 5])
    wanted = by_hand(heard, seeds, dropped=11)
    motion = DeviceMotion(*networks(), ROWS, device)
    motion.begin(torch.ones(ROWS, dtype=torch.bool), seeds)
    moved = False
    for k, one in enumerate(heard):
        if k == 11:
            motion.forget(torch.tensor([True, False, False]))
        for got, want in zip(motion.step(one), wanted[k], strict=True):
            rows = one.shown if want.shape[1:] == (6,) else one.mask
            torch.testing.assert_close(got.cpu()[rows], want[rows], atol=tolerance, rtol=0)
            moved = moved or bool((want[rows].abs() > 0.05).any())
    assert moved, "else it proves nothing"
    assert device == "cpu" or motion.graphs == (1, 0), "the step was captured"
    motion.close()


@pytest.mark.cpu
def test_a_step_equals_the_pipelines() -> None:
    equals_the_pipeline("cpu", 1e-6)


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_captured_step_equals_the_pipelines() -> None:
    equals_the_pipeline("cuda", 1e-3)


@pytest.mark.cpu
def test_its_memory_stays_where_it_is() -> None:
    facial, head = networks()
    motion = DeviceMotion(facial, head, ROWS, "cpu")
    homes = [home.data_ptr() for anchor in motion._anchors for _, _, home in anchor._places]
    assert len(homes) > 20
    before = [t.clone() for anchor in motion._anchors for t in anchor.remember()]
    for one in sound(3):
        motion.step(one)
    motion.forget(torch.tensor([True, True, False]))
    now = [getattr(owner, name) for anchor in motion._anchors for owner, name, _ in anchor._places]
    assert [t.data_ptr() for t in now] == homes
    assert any(not torch.equal(a, b) for a, b in zip(before, now, strict=True))
    saved = [anchor.remember() for anchor in motion._anchors]
    first = [t.clone() for t in motion.step(sound(9)[8])]
    for anchor, state in zip(motion._anchors, saved, strict=True):
        anchor.recall(state)
    for one, other in zip(first, motion.step(sound(9)[8]), strict=True):
        assert torch.equal(one, other), "a state gone back to says the same again"


@pytest.mark.cpu
def test_nothing_in_a_step_waits_for_the_device() -> None:
    constant.cache_clear()
    try:
        motion = DeviceMotion(*networks(), ROWS, "meta")
        motion.begin(torch.ones(ROWS, dtype=torch.bool), torch.zeros(ROWS, dtype=torch.int64))
        given = [t.to("meta") for t in silence(ROWS, pinned=False)]
        with torch.inference_mode():
            motion._work(*given)  # constants are made the first time
            with strictly():
                out = motion._work(*given)
        assert {t.device.type for t in out} == {"meta"}
    finally:
        constant.cache_clear()


@pytest.mark.cpu
def test_batches_are_filled_up() -> None:
    assert [filled_up(n) for n in (1, 2, 3, 17, 64, 200)] == [1, 2, 4, 32, 64, 256]
    with pytest.raises(ValueError, match="at most 256 rows was expected, but 257 came"):
        filled_up(SIZES[-1] + 1)


@pytest.mark.cpu
def test_without_a_gpu_the_function_is_called() -> None:
    calls = []

    def multiply(x: torch.Tensor, times: int = 2) -> tuple[torch.Tensor, ...]:
        calls.append(x)
        return (times * x,)

    captured = Captured(multiply)
    assert torch.equal(captured(torch.ones(3))[0], 2 * torch.ones(3))
    assert torch.equal(captured(torch.ones(3), times=5)[0], 5 * torch.ones(3))
    assert len(calls) == 2


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_graph_is_captured_once_a_shape_and_leaves_no_trace() -> None:
    calls = []

    def multiply(x: torch.Tensor, times: int = 2) -> tuple[torch.Tensor, ...]:
        calls.append(x)
        return (times * x,)

    captured = Captured(multiply)
    for value in range(4):
        got = captured(torch.full((3,), float(value), device="cuda"))[0]
        assert torch.equal(got.cpu(), torch.full((3,), 2.0 * value))
    assert len(calls) == 4, "three trials and the capture"
    assert torch.equal(captured(torch.ones(3, device="cuda"), times=5)[0].cpu(), 5 * torch.ones(3))
    assert len(calls) == 8, "another number is another graph"
    assert isinstance(Anchor, type)
