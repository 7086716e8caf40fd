"""Log-mel and encoder: right values, and streaming."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from streaming_proofs import prove_all

from engine.audio.encoder import AudioEncoder, CausalConv
from engine.audio.mel import BANDS, FLOOR, HOP, LogMel, filterbank
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME

pytestmark = pytest.mark.cpu


def sound(rows: int, frames: int) -> torch.Tensor:
    torch.manual_seed(0)
    return 0.1 * torch.randn(rows, SAMPLES_PER_FRAME * frames)


def test_mel_streams() -> None:
    mel = LogMel()
    prove_all(mel, mel, sound(3, 6), unit=HOP)


def test_encoder_streams() -> None:
    torch.manual_seed(1)
    encoder = AudioEncoder(32, 24)
    prove_all(encoder, encoder, sound(3, 20), unit=SAMPLES_PER_FRAME)


@pytest.mark.parametrize(("kernel", "stride"), [(5, 1), (6, 2), (3, 3)])
def test_convolution_streams(kernel: int, stride: int) -> None:
    torch.manual_seed(2)
    conv = CausalConv(4, 5, kernel, stride)

    def call(x: torch.Tensor, mask: torch.Tensor | None) -> torch.Tensor:
        return conv(x.transpose(1, 2), mask).transpose(1, 2)

    prove_all(conv, call, torch.randn(2, 12 * stride, 4), unit=stride)


def test_silence_is_the_floor() -> None:
    mel = LogMel()(torch.zeros(1, 1600))
    assert mel.shape == (1, 10, BANDS)
    assert torch.allclose(mel, torch.full_like(mel, (np.log(FLOOR) + 4) / 4))


def test_a_tone_lights_its_band() -> None:
    t = torch.arange(SAMPLE_RATE) / SAMPLE_RATE
    for hertz in (200.0, 1000.0, 4000.0):
        mel = LogMel()(0.5 * torch.sin(2 * torch.pi * hertz * t)[None])
        bin_ = round(hertz * 512 / SAMPLE_RATE)
        assert int(mel[0, 50].argmax()) == int(filterbank()[bin_].argmax())


def test_one_vector_a_frame() -> None:
    assert AudioEncoder(16, 8).eval()(sound(2, 3)).shape == (2, 3, 16)


def test_part_of_a_frame_is_refused() -> None:
    with pytest.raises(ValueError, match=r"640 \* k\], got \(1, 100\)"):
        AudioEncoder(16, 8)(torch.zeros(1, 100))
    with pytest.raises(ValueError, match="LogMel expects"):
        LogMel()(torch.zeros(640))
