"""ExpNet, PoseVAE and the windows they hear through."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streaming_proofs import in_chunks, prove_all
from torch import Tensor

from engine.sadtalker.voice.audio_encoder import encode_windows
from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.voice.mel_windows import DELAY, FRAME, LOOK_AHEAD, MelWindows, mel_windows
from engine.sadtalker.voice.pose_discriminator import PoseDiscriminator
from engine.sadtalker.voice.pose_vae import PoseShape, PoseVAE

pytestmark = pytest.mark.cpu

SMALL = PoseShape(width=2, latent=4, hidden=8, channels=(4, 4, 8, 8), frames=8, styles=3)


def sound(frames: int, rows: int = 2) -> Tensor:
    chance = np.random.default_rng(7)
    loudness = np.repeat(chance.uniform(0.0, 0.3, (rows, frames * 4)), FRAME // 4, 1)
    return torch.from_numpy((chance.standard_normal(loudness.shape) * loudness).astype(np.float32))


def test_a_stream_of_windows_is_the_recordings() -> None:
    voice = sound(70)
    whole = torch.stack([mel_windows(row) for row in voice])
    assert whole.std() > 0.5
    for size in (1, 2, 7, 32):
        module = MelWindows()
        with module.streaming(2):
            got = in_chunks(lambda x, mask, module=module: module(x, mask), voice, FRAME, size)
        assert torch.equal(got[:, :DELAY], torch.full_like(got[:, :DELAY], -4.0))
        # What looks over the recording's end is left out: a stream does not know of it.
        torch.testing.assert_close(got[:, DELAY:], whole[:, :-DELAY], rtol=0, atol=1e-5)


def test_windows_stream() -> None:
    module = MelWindows()
    prove_all(module, lambda x, mask: module(x, mask).flatten(2), sound(40), FRAME)


def test_the_look_ahead_is_what_is_said() -> None:
    voice = sound(30, 1)[0]
    whole = mel_windows(voice)
    for frame in (2, 5, 11):
        for beyond, same in ((LOOK_AHEAD, True), (LOOK_AHEAD - 320, False)):
            other = voice.clone()
            other[FRAME * frame + beyond :] = 0.5
            assert torch.equal(mel_windows(other)[frame], whole[frame]) == same, (frame, beyond)


def test_an_hour_of_windows_does_not_drift() -> None:
    module, hour = MelWindows(), 90_000
    voice = sound(40, 1)
    with module.streaming(1):
        state = module.state
        assert state is not None
        state.frames += hour // 5 * 5
        late = module(voice)
    assert torch.equal(late[:, DELAY + 7 :], MelWindows()(voice)[:, DELAY + 7 :])


def test_exp_net_hears_frames_one_by_one() -> None:
    torch.manual_seed(1)
    network = ExpNet(expression=5, width=2).eval()
    windows, reference, blink = mel_windows(sound(9, 1)[0])[None], torch.randn(1, 5), torch.rand(1, 9)
    with torch.inference_mode():
        whole = network(windows, reference, blink)
        ones = [network(windows[:, i : i + 1], reference, blink[:, i : i + 1]) for i in range(9)]
    torch.testing.assert_close(torch.cat(ones, 1), whole, rtol=1e-4, atol=1e-5)
    assert whole.std(1).min() > 0
    with pytest.raises(ValueError, match="expects windows"):
        network(windows[..., :8], reference, blink)


def test_rows_of_a_batch_are_not_mixed() -> None:
    torch.manual_seed(2)
    network = PoseVAE(SMALL).eval()
    windows = torch.randn(2, 8, 80, 16)
    with torch.inference_mode():
        both = network.hear(windows)
        alone = encode_windows(network.audio_encoder, windows[1:])
        torch.testing.assert_close(both[1:], alone, rtol=1e-4, atol=1e-5)
        latent, reference, style = torch.randn(2, 4), torch.randn(2, 6), torch.tensor([0, 2])
        moved = network.decode(latent, both, reference, style)
        torch.testing.assert_close(
            network.decode(latent[1:], both[1:], reference[1:], style[1:]), moved[1:], rtol=1e-4, atol=1e-5
        )
        other = network.decode(latent, both, reference, torch.tensor([1, 2]))
        assert not torch.equal(other[0], moved[0])


def test_the_released_encoder_has_no_variance_of_its_own() -> None:
    torch.manual_seed(3)
    given = torch.randn(2, 8, 6), torch.randn(2, 8, 32), torch.randn(2, 6), torch.tensor([0, 1])
    mean, log_variance = PoseVAE(SMALL).encode(*given)
    assert torch.equal(mean, log_variance)
    ours = PoseVAE(PoseShape(**{**vars(SMALL), "own_variance": True}))
    mean, log_variance = ours.encode(*given)
    assert not torch.equal(mean, log_variance)
    motion, mean, log_variance = ours(*given, torch.randn(2, 4))
    scores = PoseDiscriminator(width=4)(motion)
    assert scores.shape == (2, 2)
    (scores.mean() + mean.sum() + log_variance.sum()).backward()
    assert all(p.grad is not None for name, p in ours.named_parameters() if not name.startswith("audio_encoder"))
