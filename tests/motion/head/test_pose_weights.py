"""The shipped head pose weights: within limits, smooth, alive in speech, calm in silence, at home with the portrait."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

import numpy as np
import pytest
import torch

from engine.motion.head.head_pose import HeadPose
from engine.motion.prior.nonlip import LIMITS
from engine.paths import assets
from engine.training.pose.pose_evaluation import beats, diversity, move
from engine.training.speech.speech_recording import load_recording

pytestmark = pytest.mark.cpu


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@cache
def shipped() -> HeadPose:
    return HeadPose.load(assets() / "weights" / "pose.safetensors")


@cache
def spoken(seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Poses [T, 6] for the bundled sentence said thrice with pauses, and the sound."""
    voice = load_recording(assets() / "speech")[0]
    whole = np.tile(np.concatenate([voice[: len(voice) // 640 * 640], np.zeros(640 * 25, np.float32)]), 2)
    return move(shipped(), whole, seed), whole


def test_weights_are_small() -> None:
    assert (assets() / "weights" / "pose.safetensors").stat().st_size < 5e6


@pytest.mark.parametrize("seed", range(2))
def test_heads_begin_at_the_portrait_stay_within_limits_and_do_not_jump(seed: int) -> None:
    pose, _ = spoken(seed)
    angles = np.degrees(pose[:, :3])
    assert np.abs(pose[0]).max() < 0.002
    assert (np.abs(pose) < np.array(LIMITS)).all()
    assert np.abs(np.diff(angles, axis=0)).max() < 1.6, "degrees in one frame"
    assert np.abs(np.diff(angles, n=2, axis=0)).max() < 0.8
    assert np.abs(angles.mean(0)).max() < 4.0, "the portrait's pose is home"


def test_speech_moves_heads_more_than_silence_and_seeds_differ() -> None:
    talks = [spoken(seed)[0] for seed in range(2)]
    quiet = [move(shipped(), np.zeros(640 * 300, np.float32), seed)[25:] for seed in range(2)]
    assert diversity(talks)["speed"] > 1.5 * diversity(quiet)["speed"]
    assert diversity(quiet)["speed"] > 0.3, "a listener is alive"
    assert np.abs(talks[0] - talks[1]).max() > 0.02


def test_heads_nod_after_stresses() -> None:
    runs = [spoken(seed) for seed in range(2)]
    figures = beats([pose for pose, _ in runs], [sound for _, sound in runs])
    assert figures["drop"] > figures["chance"] + 0.1, "degrees"
