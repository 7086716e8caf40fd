"""The prior moves heads as it says, crops count from P0, and both phases of training learn what they are to learn."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.motion.head.head_pose import PoseConfig
from engine.training.pose.pose_data import Heads, crop, gather, hear, style_of, to_scaled
from engine.training.pose.pose_prior import move_under, plain_noise, stresses, surrogate
from engine.training.pose.pose_trainer import Plan, PoseTrainer

pytestmark = pytest.mark.cpu

SMALL = PoseConfig(codes=16, code_dim=6, dim=16, heads=2, context=8, hearing=12)


def voice(frames: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Level and speaking [T] of somebody who talks in syllables for 8 s and listens for 8 s."""
    rng = np.random.default_rng(seed)
    t = np.arange(frames)
    speaking = t % 400 < 200
    syllables = np.clip(np.sin(2 * np.pi * t / 6 + np.cumsum(rng.normal(0, 0.2, frames))), 0, 1)
    accent = np.where(t % 24 < 6, 1.0, 0.45)
    return np.where(speaking, 0.2 + 0.8 * syllables * accent, -0.8).astype(np.float32), speaking


def films(seed: int = 1) -> list[np.ndarray]:
    return [plain_noise(np.random.default_rng(seed + k), 200) for k in range(3)]


def moved(seed: int, frames: int = 2000) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    level, speaking = voice(frames)
    return move_under(np.random.default_rng(seed), level, speaking, films()), level, speaking


def test_heads_are_livelier_in_speech_smooth_and_reproducible() -> None:
    poses = [moved(seed)[0] for seed in range(4)]
    speaking = voice(2000)[1]
    assert np.array_equal(poses[0], moved(0)[0])
    speed = np.stack([np.abs(np.diff(pose[:, :3], axis=0)) for pose in poses])
    assert (speed[:, speaking[1:]].mean((0, 1)) > 1.5 * speed[:, ~speaking[1:]].mean((0, 1))).all()
    assert speed.max() < 2.2, "degrees in one frame; filmed heads reach 1.7 and more"
    assert np.abs(np.stack(poses)[..., :3].mean((0, 1))).max() < 1.0


def test_beats_rise_with_the_stress_and_fall_after_it() -> None:
    around = []
    for seed in range(6):
        pose, level, speaking = moved(seed)
        peaks, strength = stresses(level, speaking)
        around += [
            pose[p - 2 : p + 14, 1] - pose[p - 10 : p + 15, 1].mean() for p in peaks[strength > 0.6] if 10 < p < 1980
        ]
    mean = np.mean(around, 0)
    assert 8 <= int(np.argmax(mean)) <= 11, "lowest 240 to 360 ms after the stress"
    assert mean.max() - mean[2] > 0.3, "degrees"


def test_surrogates_have_the_spectrum_of_the_film_but_other_phases() -> None:
    film = films()[0]
    a, b = (surrogate(np.random.default_rng(seed), film) for seed in (0, 1))
    assert a.shape == film.shape
    assert abs(np.corrcoef(a[:, 0], b[:, 0])[0, 1]) < 0.8
    spectra = [np.abs(np.fft.rfft(np.concatenate([x, x[::-1]])[:, 1])) for x in (a, b)]
    assert np.corrcoef(spectra[0][:60], spectra[1][:60])[0, 1] > 0.5


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    """The networks are so small that a second thread only waits."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def heads(count: int = 6) -> Heads:
    rng = np.random.default_rng(0)
    streams = []
    for seed in range(count):
        pose, level, speaking = moved(seed, 600)
        streams.append((np.repeat(level[:, None], 32, 1), speaking, pose))
    return gather(streams, rng.normal(0, 3, (count, 6)))


def test_crops_count_from_the_pose_before_them() -> None:
    data = heads()
    relative = crop(np.random.default_rng(1), data, 5, 100)
    absolute = crop(np.random.default_rng(1), data, 5, 100, relative=False)
    assert relative.poses.shape == (5, 100, 6)
    assert relative.poses[:, 0].abs().max() < 1, "one frame after P0 a head is near it"
    difference = absolute.poses - relative.poses
    torch.testing.assert_close(difference, difference[:, :1].expand_as(difference), atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(absolute.start, difference[:, 0], atol=1e-5, rtol=1e-5)
    assert torch.equal(relative.features, absolute.features)


def test_streams_travel_through_a_file(tmp_path: Path) -> None:
    data = heads(2)
    data.save(tmp_path / "heads.safetensors")
    back = Heads.load(tmp_path / "heads.safetensors")
    assert all(np.array_equal(getattr(back, key), value) for key, value in vars(data).items())


def test_scaled_poses_stay_inside_the_limits_and_style_grows_with_movement() -> None:
    pose = np.random.default_rng(0).normal(0, 30, (200, 6)).cumsum(0) / 20
    assert np.abs(to_scaled(pose)[:, 0]).max() * 4.0 < 12
    small = to_scaled(0.05 * pose)
    assert (style_of(to_scaled(0.1 * pose)) > style_of(small)).all()


def test_speech_is_told_from_silence() -> None:
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1e-3, 640 * 100)
    samples[640 * 40 : 640 * 80] += rng.normal(0, 0.1, 640 * 40)
    features, level, speaking = hear(samples.astype(np.float32))
    assert features.shape == (100, 32)
    assert level.shape == (100,)
    assert speaking[45:75].all()
    assert not speaking[:35].any()


def test_both_phases_learn_and_the_second_leaves_the_first_alone(tmp_path: Path) -> None:
    trainer = PoseTrainer(
        Plan(codebook_steps=250, mapping_steps=6, rows=6, frames=64, rate=4e-3), {"imagined": heads()}, SMALL
    )
    model = trainer.train(tmp_path)
    book, decoder = model.codebook.codes.clone(), {k: v.clone() for k, v in model.decoder.state_dict().items()}
    after = [trainer.codebook_step(np.random.default_rng(k), 0.0) for k in range(6)]
    still = [float(trainer.batch(np.random.default_rng(k)).poses.square().mean()) for k in range(6)]
    assert sum(float(terms["pose"].detach()) for terms in after) < 0.75 * sum(still), (
        "better than a head that stands still"
    )
    assert float(after[0]["perplexity"]) > 4
    again = PoseTrainer(Plan(codebook_steps=0, mapping_steps=0), {"imagined": heads(1)}, SMALL).train(tmp_path)
    assert torch.equal(again.codebook.codes, book), "a phase found done is not done again"
    (tmp_path / "mapping.safetensors").unlink()
    PoseTrainer(Plan(mapping_steps=3, rows=4, frames=64), {"imagined": heads()}, SMALL).train(tmp_path)
    last = PoseTrainer(Plan(), {"imagined": heads(1)}, SMALL).train(tmp_path)
    assert torch.equal(last.codebook.codes, book)
    assert all(torch.equal(value, decoder[key]) for key, value in last.decoder.state_dict().items())
