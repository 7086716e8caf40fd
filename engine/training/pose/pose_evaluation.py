"""Do heads move as heads do? Diversity, speed, beats, rest and limits, beside real heads.

Poses are [T, 6] as `engine.motion.head.head_pose` says them: radians and outer-eye-corner distances.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.motion.head.head_pose import HeadPose
from engine.motion.head.pose_codebook import POSE
from engine.motion.prior.nonlip import LIMITS
from engine.training.pose.pose_data import hear
from engine.training.pose.pose_prior import stresses

WINDOW = 74  # frames: films are cut to this length, so generated heads are measured in such pieces, too
_BEFORE, _AFTER = slice(-2, 2), slice(3, 9)  # frames from a stress in which a nod begins, and in which it is lowest


def move(model: HeadPose, samples: FloatArray, seed: int, speaking: np.ndarray | None = None) -> FloatArray:
    """The poses [T, 6] of one seed for a recording [640 T]."""
    frames = len(samples) // SAMPLES_PER_FRAME
    if speaking is None:
        speaking = hear(samples)[2]
    with torch.inference_mode(), model.streaming(1):
        model.begin(torch.tensor([True]), torch.tensor([seed]))
        sound = torch.from_numpy(np.ascontiguousarray(samples[: frames * SAMPLES_PER_FRAME]))[None]
        return np.asarray(model(sound, torch.from_numpy(speaking[:frames])[None])[0].numpy(), np.float32)


def turned_back(model: HeadPose, samples: FloatArray, seeds: int, degrees: float = 6.0) -> float:
    """How far heads that begin turned to one side (P0, in degrees of yaw from rest) turn back, as a part of that."""
    frames = len(samples) // SAMPLES_PER_FRAME
    rows = 2 * seeds
    side = torch.tensor([1.0, -1.0]).repeat(seeds)
    start = torch.zeros(rows, POSE)
    start[:, 0] = side * np.radians(degrees)
    sound = torch.from_numpy(np.ascontiguousarray(samples[: frames * SAMPLES_PER_FRAME]))[None].expand(rows, -1)
    speaking = torch.from_numpy(hear(samples)[2][:frames])[None].expand(rows, -1)
    with torch.inference_mode(), model.streaming(rows):
        model.begin(torch.ones(rows, dtype=torch.bool), torch.arange(rows) // 2, start=start)
        yaw = model(sound, speaking)[:, frames // 3 :, 0].mean(1)
    return round(float(-(yaw * side).mean() / np.radians(degrees)), 3)


def unlike(generated: dict[str, float], real: dict[str, float]) -> float:
    """How much spread and speed of the axes differ from real ones: the mean size of the logarithm of their ratio."""
    keys = [f"{kind}_{axis}" for kind in ("hpd", "speed") for axis in ("yaw", "pitch", "roll")]
    return round(float(np.mean([abs(np.log(generated[key] / real[key])) for key in keys])), 3)


def pieces(pose: FloatArray) -> list[FloatArray]:
    """Pieces of `WINDOW` frames; a shorter sequence as it is."""
    count = max(1, len(pose) // WINDOW)
    return [pose[k * WINDOW : (k + 1) * WINDOW] for k in range(count)]


def diversity(poses: list[FloatArray]) -> dict[str, float]:
    """How heads differ from themselves over 3 s, in degrees: HPD and its axes, speed, and jerkiness.

    HPD is the standard deviation of the angles within a piece, mean over axes (the paper takes the variance of their
    norm, in units it does not give). ``jerk`` is the root mean square of the second difference between frames.
    """
    angles = [np.degrees(piece[:, :3]) for pose in poses for piece in pieces(pose)]
    spread = np.mean([a.std(0) for a in angles], 0)
    speed = np.mean([np.sqrt((np.diff(a, axis=0) ** 2).mean(0)) for a in angles], 0) * FRAMES_PER_SECOND
    jerk = np.sqrt(np.mean([(np.diff(a, n=2, axis=0) ** 2).mean() for a in angles]))
    named = {"hpd": float(spread.mean()), "speed": float(speed.mean()), "jerk": float(jerk)}
    for axis, name in enumerate(("yaw", "pitch", "roll")):
        named |= {f"hpd_{name}": float(spread[axis]), f"speed_{name}": float(speed[axis])}
    return {key: round(value, 3) for key, value in named.items()}


def beats(poses: list[FloatArray], sounds: list[FloatArray], ahead: int = 0) -> dict[str, float]:
    """How much lower the head is 120 to 320 ms after stressed syllables than around them, in degrees.

    ``chance`` is the same with the sound shifted in time (mean of 40 shifts), ``sigma`` how many standard deviations of
    those the true figure lies above them. ``ahead`` frames of look-ahead show a pose that much earlier.
    """
    true, shifted, weights = [], [], []
    rng = np.random.default_rng(0)
    for pose, samples in zip(poses, sounds, strict=True):
        _, level, speaking = hear(samples)
        pitch = np.degrees(pose[ahead:, 1])
        n = min(len(pitch), len(level) - ahead)
        found, strength = stresses(level[:n], speaking[:n])
        found = found[(strength > 0.4) & (found > 3) & (found < n - 12)]
        if not len(found):
            continue
        true.append(_drop(pitch[:n], found))
        by = rng.integers(12, max(13, n - 12), 40)
        shifted.append([_drop(np.roll(pitch[:n], int(k)), found) for k in by])
        weights.append(len(found))
    if not weights:
        return {"drop": 0.0, "chance": 0.0, "sigma": 0.0, "stresses": 0}
    drop = float(np.average(true, weights=weights))
    chance = np.average(shifted, axis=0, weights=weights)
    figures = {
        "drop": drop,
        "chance": float(chance.mean()),
        "sigma": (drop - float(chance.mean())) / float(chance.std()),
    }
    return {key: round(value, 3) for key, value in figures.items()} | {"stresses": int(sum(weights))}


def _drop(pitch: np.ndarray, at: np.ndarray) -> float:
    before = np.mean([pitch[at + k] for k in range(_BEFORE.start, _BEFORE.stop)], 0)
    after = np.mean([pitch[at + k] for k in range(_AFTER.start, _AFTER.stop)], 0)
    return float((after - before).mean())


def long_run(model: HeadPose, samples: FloatArray, hours: float, seed: int) -> dict[str, float]:
    """One row running freely over a recording again and again: limits, rest, and whether the end is like the beginning.

    ``rest`` is the largest mean angle of a minute, ``home`` the longest time in seconds away from within 3 degrees of
    yaw and pitch of the portrait.
    """
    frames = len(samples) // SAMPLES_PER_FRAME
    sound = torch.from_numpy(np.ascontiguousarray(samples[: frames * SAMPLES_PER_FRAME]))[None]
    speaking = torch.from_numpy(hear(samples)[2][:frames])[None]
    parts = []
    with torch.inference_mode(), model.streaming(1):
        model.begin(torch.tensor([True]), torch.tensor([seed]))
        for _ in range(max(1, round(hours * 3600 * FRAMES_PER_SECOND / frames))):
            parts.append(model(sound, speaking)[0].numpy())
    pose = np.concatenate(parts)
    angles = np.degrees(pose[:, :3])
    minute = 60 * FRAMES_PER_SECOND
    minutes = angles[: len(angles) // minute * minute].reshape(-1, minute, 3)
    away = (np.abs(angles[:, :2]) > 3.0).any(1)
    turns = np.flatnonzero(np.diff(np.r_[False, away, False].astype(int)))
    tenth = max(1, len(minutes) // 6)
    return {
        "seconds": round(len(pose) / FRAMES_PER_SECOND),
        "largest_of_limit": round(float((np.abs(pose) / np.array(LIMITS)).max()), 3),
        "fastest_degrees_a_frame": round(float(np.abs(np.diff(angles, axis=0)).max()), 3),
        "rest": round(float(np.abs(minutes.mean(1)).max()), 2),
        "home": round(float(np.max(turns[1::2] - turns[::2], initial=0)) / FRAMES_PER_SECOND, 1),
        "spread_first": round(float(minutes[:tenth].std((0, 1)).mean()), 3),
        "spread_last": round(float(minutes[-tenth:].std((0, 1)).mean()), 3),
    }
