"""The exported prior says what torch says, and nobody is shown one that was hardly trained."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from engine.a2v.offline_sampler import sample
from engine.a2v.prior_network import PriorConfig, PriorNetwork
from engine.audio.sound_files import read_speech
from engine.contracts import SAMPLES_PER_FRAME
from engine.errors import VivifyError
from engine.motion.prior.prior_stream import PriorStream
from engine.paths import assets
from engine.programs.prior_mover import PriorMover
from engine.programs.prior_program import PriorProgram

pytestmark = pytest.mark.cpu

WEIGHTS = assets() / "weights" / "prior.safetensors"
FRAMES, ROWS, AHEAD = 60, 3, 2


def test_the_program_streams_what_torch_samples() -> None:
    sound = np.random.default_rng(5).normal(-1, 0.6, (ROWS, FRAMES, 33)).astype(np.float32)
    stream = PriorStream(PriorProgram(ROWS), ROWS)
    everyone = np.ones(ROWS, bool)
    stream.begin(everyone, np.arange(ROWS))
    stream.guidance[:] = (1.0, 2.5, 0.0)
    stream.pin(1, 30, 1, {0: 0.12, 9: 0.5})
    said = []
    for n in range(FRAMES):
        values = stream.step(sound[:, n], np.full(ROWS, AHEAD), everyone, everyone & (n >= AHEAD))
        if n >= AHEAD:
            said.append(values)
    model = PriorNetwork.load(WEIGHTS)
    pins = [None, {30: {0: 0.12, 9: 0.5}}, None]
    for row, guidance in enumerate((1.0, 2.5, 0.0)):
        whole = sample(model, sound[row], AHEAD, row, guidance, pins=pins[row])
        np.testing.assert_allclose(np.stack(said)[: len(whole), row], whole, atol=1e-4)
    assert WEIGHTS.stat().st_size < 6e6


def test_hardly_trained_weights_are_refused(tmp_path: Path) -> None:
    PriorNetwork(PriorConfig()).save(tmp_path / "prior.safetensors")
    with pytest.raises(VivifyError, match="0 steps: train it"):
        PriorProgram(1, tmp_path / "prior.safetensors")
    PriorNetwork(PriorConfig(dim=32)).save(tmp_path / "other.safetensors")
    network = PriorNetwork.load(tmp_path / "other.safetensors")
    network.trained.fill_(9000)
    network.save(tmp_path / "other.safetensors")
    with pytest.raises(VivifyError, match="other sizes"):
        PriorProgram(1, tmp_path / "other.safetensors")


def test_who_listens_moves_less_and_who_is_livelier_more() -> None:
    voice = read_speech(assets() / "speech.wav")
    voice = voice[: len(voice) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].reshape(-1, SAMPLES_PER_FRAME)
    mover = PriorMover(3)
    everyone, heads = np.ones(3, bool), []
    mover.begin(everyone, np.array([5, 5, 5]))
    mover.steer(1, 1.0, None)
    for n in range(500):
        samples = np.stack([voice[n % len(voice)], voice[n % len(voice)], np.zeros(SAMPLES_PER_FRAME, np.float32)])
        speaking = np.array([True, True, False])
        heads.append(mover.step(samples, speaking, np.full(3, AHEAD), everyone, everyone).heads)
    speed = np.abs(np.diff(np.stack(heads)[100:, :, :3], axis=0)).mean((0, 2))
    assert speed[2] < 0.7 * speed[0] < 0.7 * speed[1]
