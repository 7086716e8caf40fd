"""Idle life: deterministic, causal, within its limits, never still and never jerky."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face.blendshapes import INDEX, NAMES
from engine.motion.idle import IdleMotion, IdlePose
from engine.motion.rotation import rotation_matrix

pytestmark = pytest.mark.cpu

MINUTE = 25 * 60


def run(seed: int, levels: np.ndarray) -> list[IdlePose]:
    idle = IdleMotion(seed)
    return [idle.step(float(level), bool(level > 0)) for level in levels]


def talk(frames: int, seed: int = 0) -> np.ndarray:
    """Levels of someone who talks ten seconds and is silent for ten."""
    rng = np.random.default_rng(seed)
    return np.where(np.arange(frames) % 500 < 250, rng.uniform(0.2, 1, frames), 0)


def flat(poses: list[IdlePose]) -> np.ndarray:
    return np.stack([np.concatenate([p.blendshapes, p.rotation.ravel(), p.translation]) for p in poses])


def test_same_seed_same_life_other_seed_another() -> None:
    levels = talk(300)
    assert np.array_equal(flat(run(1, levels)), flat(run(1, levels)))
    assert not np.allclose(flat(run(1, levels)), flat(run(2, levels)))


def test_future_sound_never_changes_the_past() -> None:
    levels, other = talk(400), talk(400)
    other[200:] = np.random.default_rng(5).uniform(0, 1, 200)
    a, b = flat(run(1, levels)), flat(run(1, other))
    assert np.array_equal(a[:200], b[:200])
    assert not np.allclose(a[200:], b[200:])


def test_begins_at_the_portrait() -> None:
    pose = run(0, np.zeros(1))[0]
    assert np.allclose(pose.rotation, np.eye(3), atol=2e-3)
    assert np.allclose(pose.translation, 0, atol=2e-3)
    assert pose.blendshapes.shape == (52,)
    assert pose.blendshapes.dtype == pose.rotation.dtype == pose.translation.dtype == np.float32


def test_the_head_is_where_it_is_told_to_be_and_breathes() -> None:
    idle, rng = IdleMotion(2), np.random.default_rng(0)
    for _ in range(200):
        head = rng.normal(0, 0.05, 6).astype(np.float32)
        pose = idle.step(0.3, True, head)
        assert np.allclose(pose.rotation, rotation_matrix(*(float(x) for x in head[:3])), atol=1e-6)
        assert np.abs(pose.translation - head[3:]).max() < 0.015
    still = np.stack([pose.translation for pose in run(2, np.zeros(500))])
    assert 0.004 < still[100:, 1].std() < 0.02, "breath"
    assert np.abs(np.diff(still, axis=0)).max() < 0.002


def test_eyes_stay_with_the_viewer_while_the_head_turns() -> None:
    idle = IdleMotion(0)
    turned = np.array([0.15, 0, 0, 0, 0, 0], np.float32)  # nose to the picture's left: eyes to the person's left
    left = [idle.step(0, False, turned).blendshapes[INDEX["eyeLookOutLeft"]] for _ in range(500)]
    assert np.median(left) == pytest.approx(np.degrees(0.15) / 32, abs=0.03)


@pytest.mark.parametrize("seed", range(3))
def test_phrases_end_with_a_blink_more_often_than_chance(seed: int) -> None:
    levels = np.where(np.arange(10 * MINUTE) % 100 < 70, 0.7, 0.0)
    lids = np.stack([p.blendshapes for p in run(seed, levels)])[:, INDEX["eyeBlinkLeft"]]
    shut = np.isin(np.arange(len(lids)), np.flatnonzero((lids >= 0.99) & ~np.r_[False, lids[:-1] >= 0.99]))
    by_phase = shut[: len(shut) // 100 * 100].reshape(-1, 100).sum(0)
    after = by_phase[76:90].sum() / 14  # the voice dies away within half a second
    assert after > 1.7 * by_phase.mean()
    gaps = np.diff(np.flatnonzero(shut)) / 25
    assert (gaps >= 1.0).all()
    assert (gaps <= 8.0).all()


@pytest.mark.parametrize("seed", range(4))
def test_blinks_are_whole_quick_and_spaced(seed: int) -> None:
    lids = np.stack([p.blendshapes for p in run(seed, talk(5 * MINUTE))])[:, INDEX["eyeBlinkLeft"]]
    shut = np.flatnonzero(lids >= 0.99)
    gaps = np.diff(shut) / 25
    assert 30 <= len(shut) <= 150
    assert (gaps >= 1.0).all()
    assert (gaps <= 8.0).all()
    for frame in shut[:-1]:
        assert 3 <= (lids[frame - 5 : frame + 7] > 0.01).sum() <= 8, "150 to 300 ms"
        assert lids[frame - 3] < 0.05 < lids[frame + 1], "closes faster than it opens"


def test_life_leaves_mouth_and_brows_alone() -> None:
    loud = np.stack([p.blendshapes for p in run(0, talk(1000))])
    others = [k for k, name in enumerate(NAMES) if not name.startswith(("eyeLook", "eyeBlink"))]
    assert not loud[:, others].any()
    assert loud.max() <= 1
    assert loud.min() >= 0


def test_gaze_is_small_and_shared_by_both_eyes() -> None:
    shapes = np.stack([p.blendshapes for p in run(3, talk(MINUTE))])
    look = {name: shapes[:, INDEX[f"eyeLook{name}"]] for name in ("OutLeft", "InRight", "InLeft", "OutRight", "UpLeft")}
    assert np.array_equal(look["OutLeft"], look["InRight"])
    assert np.array_equal(look["InLeft"], look["OutRight"])
    assert not (look["OutLeft"] * look["InLeft"]).any(), "nobody looks both ways"
    assert 0.03 < max(v.max() for v in look.values()) < 0.4


def test_nonsense_levels_are_silence() -> None:
    levels = np.array([np.nan, -1.0, np.nan])
    assert np.isfinite(flat(run(0, levels))).all()


def test_rotations_turn_as_the_types_say() -> None:
    nose, crown = np.array([0, 0, -1.0]), np.array([0, -1.0, 0])  # towards the viewer; up
    assert (rotation_matrix(0.1, 0, 0) @ nose)[0] < 0, "yaw > 0: nose to the picture's left"
    assert (rotation_matrix(0, 0.1, 0) @ nose)[1] > 0, "pitch > 0: nose down"
    assert (rotation_matrix(0, 0, 0.1) @ crown)[0] > 0, "roll > 0: clockwise"
    order = rotation_matrix(0, 0, 0.3) @ rotation_matrix(0.2, 0, 0) @ rotation_matrix(0, 0.1, 0)
    assert np.allclose(rotation_matrix(0.2, 0.1, 0.3), order, atol=1e-6)
