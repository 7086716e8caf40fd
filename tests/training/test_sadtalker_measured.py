"""ExpNet and PoseVAE beside ours: as articulators, and as poses of whole recordings."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.audio.sound_files import read_speech
from engine.motion.facial.articulators import TONGUE, spread_matrix, to_blendshapes
from engine.paths import assets
from engine.training.expnet_mouth import expnet_mouth, read_back
from engine.training.lips.lip_score import correlation, gap
from engine.training.lips.teacher import articulators
from engine.training.posevae_run import STRETCH, posevae_moves, seams
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu


def test_articulators_come_back_from_the_blendshapes_they_made() -> None:
    rng = np.random.default_rng(4)
    y = rng.uniform(0, 0.6, (200, 9)).astype(np.float32)
    y[:, 0] = rng.uniform(0.1, 0.8, 200)
    y[:, TONGUE] = 0
    shapes = to_blendshapes(torch.from_numpy(y), spread_matrix()).numpy()
    np.testing.assert_allclose(read_back(shapes), y, atol=2e-3)


def test_its_mouth_follows_the_phones_of_a_sentence_never_trained_on() -> None:
    samples, phones = load_recording(assets() / "speech")
    said = expnet_mouth(3)(samples[: 640 * 150])
    truth = gap(articulators(phones, len(said)))
    assert said.shape == (150, 9)
    assert correlation(gap(said), truth) > 0.45
    assert expnet_mouth(2)(np.zeros(0, np.float32)).shape == (0, 9)
    assert len(read_speech(assets() / "speech.wav")) == len(samples)


def test_seams_of_a_head_that_jumps_are_seen() -> None:
    smooth = np.zeros((96, 6), np.float32)
    smooth[:, 0] = np.radians(0.1) * np.arange(96)
    jumping = smooth + np.radians(2.0) * (np.arange(96)[:, None] // STRETCH % 2)
    assert seams([smooth])["seam"] == pytest.approx(0.1, abs=1e-3)
    told = seams([jumping])
    assert told["seam"] > 2
    assert told["elsewhere"] == pytest.approx(0.1, abs=1e-3)


def test_a_head_is_said_for_every_frame_and_by_seed() -> None:
    samples = read_speech(assets() / "speech.wav")[: 640 * 40]
    first, again, other = (posevae_moves(samples, seed) for seed in (1, 1, 2))
    assert first.shape == (40, 6)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3
    assert posevae_moves(samples[:100], 1).shape == (0, 6)
