"""SadTalker's modules on streams: what comes in chunks is what comes at once, for each row by itself."""

from __future__ import annotations

import pytest
import torch
from sadtalker.random_weights import randomised
from streaming_proofs import held, in_chunks, prove_all
from torch import Tensor

from engine.sadtalker.facerender.mapping_net import coefficient_windows
from engine.sadtalker.talking.live_expression import LiveExpression
from engine.sadtalker.talking.live_pose import LivePose, travelling
from engine.sadtalker.talking.mapping_windows import EXACT, MappingWindows
from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.voice.mel_windows import DELAY, FRAME, mel_windows
from engine.sadtalker.voice.pose_vae import PoseShape, PoseVAE

pytestmark = pytest.mark.cpu

SMALL = PoseShape(width=2, latent=4, hidden=8, channels=(4, 4, 8, 8), frames=8, styles=3)


def chance(*shape: int, seed: int = 5) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def live_pose() -> LivePose:
    network = PoseVAE(SMALL)
    randomised(network, 4)
    return LivePose(network).eval()


def test_expressions_stream() -> None:
    network = ExpNet(expression=5, width=2)
    module = LiveExpression(randomised(network, 3))  # type: ignore[arg-type]
    reference = chance(2, 5)

    def call(x: Tensor, mask: Tensor | None) -> Tensor:
        return module(x, reference, torch.full((2, x.shape[1] // FRAME), 0.3), mask)

    voice = 0.1 * chance(2, 40 * FRAME)
    prove_all(module, call, voice, FRAME)
    with torch.inference_mode():
        at_once = network(torch.stack([mel_windows(row) for row in voice]), reference, torch.full((2, 40), 0.3))
        torch.testing.assert_close(call(voice, None)[:, DELAY:], at_once[:, :-DELAY], rtol=1e-4, atol=1e-4)


def test_poses_stream() -> None:
    module = live_pose()
    reference, style = chance(2, 6), torch.tensor([0, 2])
    windows = chance(2, 30, 80, 16)
    prove_all(module, lambda x, mask: module(x, reference, style, mask), windows)


def test_chunks_of_a_stretch_are_no_different() -> None:
    module = live_pose()
    reference, style, windows = chance(1, 6), torch.tensor([1]), chance(1, 70, 80, 16)
    with torch.inference_mode():
        whole = module(windows, reference, style)
        with module.streaming(1):
            module.seed(0, 0)
            chunks = in_chunks(lambda x, mask: module(x, reference, style, mask), windows, 1, 32)
    torch.testing.assert_close(chunks, whole, rtol=1e-4, atol=1e-5)


def test_poses_have_no_seams() -> None:
    """Where stretches meet, nothing jumps: beyond what the head does elsewhere, and far less than stretches do."""
    module = live_pose()
    reference, style = torch.zeros(1, 6), torch.tensor([1])
    windows = chance(1, 120, 80, 16).cumsum(1) / 8
    with torch.inference_mode():
        live = module(windows, reference, style)[0]
        drawn = chance(15, 4, seed=8)
        features = module.network.hear(windows)[0].unflatten(0, (15, 8))
        stretches = module.network.decode(drawn, features, reference.expand(15, -1), style.expand(15)).flatten(0, 1)
    jumps = live.diff(dim=0).abs().amax(1)
    seams = stretches.diff(dim=0).abs().amax(1)[7::8]
    assert jumps[30:].max() < 0.5 * seams.max(), "once it is under way"
    assert jumps[:30].max() < 0.1 * live.abs().max(), "and while it gets there"
    assert live.std(0).min() > 1e-4, "it moves"
    assert torch.equal(live[0], reference[0]), "and begins where the photo is"


def test_latents_travel_and_are_as_likely_everywhere() -> None:
    frames = torch.arange(400)
    on_the_way = travelling(torch.zeros(400, dtype=torch.int64), frames, 64, 32)
    assert on_the_way.diff(dim=0).norm(dim=1).max() < 0.1 * on_the_way.norm(dim=1).mean()
    assert abs(float(on_the_way.var()) - 1.0) < 0.15
    other = travelling(torch.ones(400, dtype=torch.int64), frames, 64, 32)
    assert (other - on_the_way).norm(dim=1).min() > 1.0


@pytest.mark.parametrize("ahead", [0, 4, EXACT])
def test_mapping_windows_stream(ahead: int) -> None:
    module = MappingWindows(3, ahead)
    prove_all(module, lambda x, mask: module(x, mask).flatten(2), chance(2, 50, 3))


def test_waiting_for_thirteen_frames_is_exact() -> None:
    film = chance(1, 60, 4)
    whole = coefficient_windows(film[0])
    with torch.inference_mode():
        exact = MappingWindows(4, EXACT)(film)[0]
        live = MappingWindows(4)(film)[0]
    assert torch.equal(exact[EXACT:], whole[:-EXACT])
    assert torch.equal(live[20, :, :14], whole[20, :, :14]), "the past is the same"
    assert torch.equal(live[20, :, 14:], film[0, 20][:, None].expand(-1, 13)), "the future is the newest"
    with pytest.raises(ValueError, match="0 to 13"):
        MappingWindows(4, 14)


def test_an_hour_takes_no_more_memory_and_does_not_drift() -> None:
    """An hour later on the clock, what was heard in the last seconds gives what it gave at the beginning."""
    module = live_pose()
    reference, style, windows = torch.zeros(1, 6), torch.tensor([0]), chance(1, 24, 80, 16)
    hour = 90_000
    with torch.inference_mode(), module.streaming(1):
        before = held(module)
        assert module.state is not None
        module.state.heard += hour
        late = module(windows, reference, style)
        assert held(module) == before
        assert torch.isfinite(late).all()
        assert late.abs().max() < 10
    windows_module = MappingWindows(3)
    x = chance(1, 40, 3)
    with windows_module.streaming(1):
        assert windows_module.state is not None
        windows_module.state.frames += hour
        late = in_chunks(lambda piece, mask: windows_module(piece, mask), x, 1, 7)
    assert torch.equal(late[:, 14:], MappingWindows(3)(x)[:, 14:])
