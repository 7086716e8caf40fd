"""wav2vec 2.0 features: streaming-correct on a tiny model, saved and loaded as any checkpoint is."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from streaming_proofs import prove_all
from transformers import BertConfig, Wav2Vec2Config, Wav2Vec2Model

from engine.audio.encoder import AudioEncoder
from engine.audio.wav2vec2 import Wav2Vec2Encoder
from engine.contracts import SAMPLES_PER_FRAME
from engine.errors import VivifyError
from engine.motion.facial.facial_generator import FacialConfig
from engine.motion.facial.facial_motion import FacialMotion

pytestmark = pytest.mark.cpu

TINY = Wav2Vec2Config(
    hidden_size=16,
    num_hidden_layers=2,
    num_attention_heads=2,
    intermediate_size=24,
    conv_dim=(8,) * 7,
    num_conv_pos_embeddings=8,
    num_conv_pos_embedding_groups=2,
)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("wav2vec2")
    Wav2Vec2Model(TINY).save_pretrained(folder)
    return folder


def sound(rows: int, frames: int) -> torch.Tensor:
    torch.manual_seed(1)
    return 0.1 * torch.randn(rows, SAMPLES_PER_FRAME * frames)


def test_it_streams(checkpoint: Path) -> None:
    encoder = Wav2Vec2Encoder.load(checkpoint, width=12, window=5, look_ahead=1)
    prove_all(encoder, encoder, sound(2, 15), unit=SAMPLES_PER_FRAME)


def test_one_vector_a_frame_of_the_frame_it_describes(checkpoint: Path) -> None:
    encoder = Wav2Vec2Encoder.load(checkpoint, width=16, window=6, look_ahead=2).eval()
    torch.nn.init.eye_(encoder.project.weight)
    torch.nn.init.zeros_(encoder.project.bias)
    x = sound(1, 6)
    got = encoder(x)
    assert got.shape == (1, 6, 16)
    with torch.no_grad():
        heard = x + encoder.dither
        hidden = encoder.backbone((heard - heard.mean()) / heard.std()).last_hidden_state[0]  # 11 states of 6 frames
    torch.testing.assert_close(got[0, 5], hidden[5:7].mean(0), atol=1e-4, rtol=1e-4)


def test_silence_stays_silence(checkpoint: Path) -> None:
    encoder = Wav2Vec2Encoder.load(checkpoint, width=12, window=5).eval()
    silence = torch.zeros(1, 5 * SAMPLES_PER_FRAME)
    faint, loud = 1e-5 * torch.randn_like(silence), 0.1 * torch.randn_like(silence)
    change = (encoder(faint) - encoder(silence)).abs().mean()
    assert change < 0.05 * (encoder(loud) - encoder(silence)).abs().mean()


def test_only_the_map_is_trained(checkpoint: Path) -> None:
    encoder = Wav2Vec2Encoder.load(checkpoint, width=12, window=5).train()
    encoder(sound(1, 2)).square().sum().backward()
    assert encoder.project.weight.grad is not None
    assert not encoder.backbone.training
    assert all(p.grad is None for p in encoder.backbone.parameters())


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="checkpoint with safetensors was expected at"):
        Wav2Vec2Encoder.load(tmp_path, width=8)
    BertConfig().save_pretrained(tmp_path)
    with pytest.raises(VivifyError, match="of type bert"):
        Wav2Vec2Encoder.load(tmp_path, width=8)


def test_motion_weights_refuse_features_they_were_not_trained_with(checkpoint: Path, tmp_path: Path) -> None:
    encoder = Wav2Vec2Encoder.load(checkpoint, width=24, window=5)
    model = FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2), encoder).eval()
    model.save(tmp_path / "motion.safetensors")
    assert (tmp_path / "motion.safetensors").stat().st_size < 200_000, "the checkpoint itself is not copied"
    with pytest.raises(VivifyError, match="trained with wav2vec2 16x2, window 5, look-ahead 1"):
        FacialMotion.load(tmp_path / "motion.safetensors")
    again = FacialMotion.load(tmp_path / "motion.safetensors", encoder=Wav2Vec2Encoder.load(checkpoint, 24, window=5))
    torch.testing.assert_close(again.encode(sound(1, 3)), model.encode(sound(1, 3)))
    other = Wav2Vec2Encoder.load(checkpoint, 24, window=7)
    with pytest.raises(VivifyError, match="window 7"):
        FacialMotion.load(tmp_path / "motion.safetensors", encoder=other)
    plain = tmp_path / "plain.safetensors"
    FacialMotion(FacialConfig(features=24, dim=24, layers=1, heads=2)).save(plain)
    with pytest.raises(VivifyError, match="trained with log-mel"):
        FacialMotion.load(plain, encoder=other)
    assert isinstance(FacialMotion.load(plain).encoder, AudioEncoder)
