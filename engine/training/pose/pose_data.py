"""What the head-pose networks learn from: voices with moved heads, from films and from the prior."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from scipy.ndimage import binary_closing, binary_opening, zoom

from engine.audio.mel import HOP, LogMel
from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray
from engine.motion.head.head_pose import sound_features
from engine.motion.head.pose_codebook import SCALE
from engine.motion.head.pose_mapping import STYLE
from engine.motion.prior.nonlip import LIMITS
from engine.training.films.film_tracks import Track
from engine.training.pose.pose_prior import move_under

_BANDS = slice(6, 30)  # of 40: 300 Hz to 4 kHz
_MIRROR = np.array([-1, 1, -1, -1, 1, 1], np.float32)
_PER_UNIT = np.r_[np.full(3, np.pi / 180), 1, 1, 1] / np.array(SCALE)  # from degrees to what the networks see
_REST = np.array([5.0, 4.0, 2.0, 0, 0, 0])  # degrees: how people sit before cameras
_ROOM = 0.85  # of the engine's limits, which no training pose passes


@dataclass(frozen=True)
class Heads:
    """Streams laid end to end; ``begins`` says where each starts."""

    features: FloatArray  # [N, 32] as the engine hears, at the level the recording has
    speaking: np.ndarray  # [N] bool
    poses: FloatArray  # [N, 6] scaled, from the person's own rest
    styles: FloatArray  # [S, 2] of each stream
    rests: FloatArray  # [S, 6] scaled, how the person sits before the camera
    begins: np.ndarray  # [S + 1]

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        save_file({key: np.ascontiguousarray(value) for key, value in vars(self).items()}, str(part))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Heads:
        return cls(**load_file(path))


def gather(streams: list[tuple[FloatArray, np.ndarray, FloatArray]], rests: np.ndarray) -> Heads:
    """Streams of (features [T, 32], speaking [T], poses [T, 6] in degrees) as one, with their rests [S, 6]."""
    poses = [to_scaled(pose) for _, _, pose in streams]
    return Heads(
        np.concatenate([features for features, _, _ in streams]).astype(np.float32),
        np.concatenate([speaking for _, speaking, _ in streams]),
        np.concatenate(poses),
        np.stack([style_of(pose) for pose in poses]),
        np.asarray(rests * _PER_UNIT, np.float32),
        np.cumsum([0, *[len(pose) for pose in poses]]),
    )


def to_scaled(degrees: FloatArray) -> FloatArray:
    """Poses [T, 6] in degrees as the networks see them, well inside the engine's limits."""
    pose = np.asarray(degrees, np.float64).copy()
    pose[:, :3] = np.radians(pose[:, :3])
    limit = _ROOM * np.array(LIMITS)
    return np.asarray(limit * np.tanh(pose / limit) / np.array(SCALE), np.float32)


def style_of(pose: FloatArray) -> FloatArray:
    """How fast and how far this head turns [2]: logarithms, around 0 for people at ease. ``pose`` [T, 6] is scaled."""
    angles = pose[:, :3]
    speed = np.sqrt((np.diff(angles, axis=0) ** 2).mean()) * FRAMES_PER_SECOND
    return np.log(np.array([speed / 1.6, angles.std(0).mean() / 0.45]) + 1e-3).astype(np.float32)


def hear(samples: FloatArray) -> tuple[FloatArray, FloatArray, np.ndarray]:
    """Features [T, 32], level [T] and whether somebody speaks [T] of a recording [640 T]."""
    frames = len(samples) // SAMPLES_PER_FRAME
    mel = LogMel()(torch.from_numpy(np.ascontiguousarray(samples[: frames * SAMPLES_PER_FRAME]))[None])
    features = sound_features(mel)[0].numpy()
    level = mel[0].numpy().reshape(frames, SAMPLES_PER_FRAME // HOP, -1)[:, :, _BANDS].mean((1, 2))
    low, high = np.percentile(level, 5), np.percentile(level, 95)
    loud = level > low + 0.4 * max(high - low, 0.4)
    return features, level, binary_opening(binary_closing(np.pad(loud, 12), np.ones(9)), np.ones(3))[12:-12]


def filmed_poses(tracks: list[Track]) -> list[FloatArray]:
    """Poses [T, 6] in degrees of filmed heads, each from its own mean."""
    out = []
    for track in tracks:
        pose = track.pose.astype(np.float64)
        pose = np.concatenate([np.degrees(pose[:, :3]), pose[:, 3:]], 1)
        out.append((pose - pose.mean(0)).astype(np.float32))
    return out


def filmed_streams(tracks: list[Track], rng: np.random.Generator, copies: int) -> Heads:
    """Films, stretched in time, mirrored, larger and smaller. Large movements are brought to what the engine shows."""
    streams, rests = [], []
    for track, pose in zip(tracks, filmed_poses(tracks), strict=True):
        features, _, speaking = hear(track.samples)
        for _ in range(copies):
            stretch = float(rng.uniform(0.85, 1.18))
            count = round(len(pose) * stretch)
            where = np.clip((np.arange(count) / stretch).astype(int), 0, len(pose) - 1)
            moved = zoom(pose, (count / len(pose), 1), order=1) if count != len(pose) else pose
            at_most = float(np.abs(moved[:, :3] / np.degrees(LIMITS[:3])).max())
            size = rng.uniform(0.6, 1.3) / max(1.0, 1.5 * at_most)
            moved = size * moved * (_MIRROR if rng.random() < 0.5 else 1.0)
            streams.append((features[where], speaking[where], moved.astype(np.float32)))
            rests.append(np.r_[np.degrees(track.start[:3] + track.pose[:, :3].mean(0)), 0, 0, 0])
    return gather(streams, np.array(rests))


def imagined_streams(
    voices: list[FloatArray], filmed: list[FloatArray], rng: np.random.Generator, minutes: float
) -> Heads:
    """Voices with pauses between them, and heads moved by the prior; 40 s each."""
    streams = []
    for _ in range(round(minutes * 1.5)):
        samples = conversation(rng, voices, 40 * SAMPLE_RATE)
        features, level, speaking = hear(samples)
        streams.append((features, speaking, move_under(rng, level, speaking, filmed)))
    return gather(streams, rng.normal(0, 1, (len(streams), 6)) * _REST)


def conversation(rng: np.random.Generator, voices: list[FloatArray], length: int) -> FloatArray:
    """Pieces of speech and silence in turn [length], over a faint noise."""
    out = rng.normal(0, 10 ** rng.uniform(-4.5, -3), length)
    at = int(rng.uniform(0, 3) * SAMPLE_RATE)
    while at < length:
        voice = voices[int(rng.integers(len(voices)))]
        piece = voice[: int(rng.uniform(3, 14) * SAMPLE_RATE)]
        piece = piece * 10 ** rng.uniform(-0.6, 0.3) / max(0.05, float(np.abs(piece).max()))
        piece = 0.6 * piece[: length - at]
        out[at : at + len(piece)] += piece
        at += len(piece) + int(SAMPLE_RATE * (rng.uniform(0.2, 0.8) if rng.random() < 0.6 else rng.uniform(1.5, 7)))
    return np.clip(out, -1, 1).astype(np.float32)


@dataclass(frozen=True)
class HeadBatch:
    """Crops for one training step."""

    features: torch.Tensor  # [B, T, 32]
    speaking: torch.Tensor  # [B, T]
    poses: torch.Tensor  # [B, T, 6] scaled, relative to P0 (or absolute, in that ablation)
    start: torch.Tensor  # [B, 6] P0, scaled
    style: torch.Tensor  # [B, 2]


def as_detected(rng: np.random.Generator, speaking: np.ndarray) -> np.ndarray:
    """What a voice activity detector says of it [T]: later by up to 160 ms, and for up to 600 ms longer."""
    late, hold = int(rng.integers(0, 5)), int(rng.integers(1, 16))
    held = np.convolve(speaking, np.ones(hold))[: len(speaking)] > 0
    return np.concatenate([np.zeros(late, bool), held])[: len(speaking)]


def crop(rng: np.random.Generator, heads: Heads, rows: int, frames: int, relative: bool = True) -> HeadBatch:
    """``rows`` crops of ``frames`` frames; poses count from the frame before each crop, P0. Short streams are padded.

    The level of the sound is shifted at random: microphones differ.
    """
    lengths = np.diff(heads.begins)
    chosen = rng.choice(len(lengths), rows, p=lengths / lengths.sum())
    parts: list[list[np.ndarray]] = [[], [], [], []]
    for stream in chosen:
        room = lengths[stream] - frames - 1
        begin = heads.begins[stream] + 1 + (int(rng.integers(room + 1)) if room > 0 else 0)
        where = np.minimum(np.arange(begin, begin + frames), heads.begins[stream + 1] - 1)
        start, rest = heads.poses[begin - 1], heads.rests[stream]
        loud = heads.features[where] + rng.uniform(-0.5, 0.3)
        parts[0].append(np.maximum(loud, -1.878))  # the floor of the log-mel features
        parts[1].append(as_detected(rng, heads.speaking[where]))
        parts[2].append(heads.poses[where] - start if relative else heads.poses[where] + rest)
        parts[3].append(start if relative else start + rest)
    tensors = [torch.from_numpy(np.stack(part)) for part in parts]
    style = torch.from_numpy(heads.styles[chosen])
    assert style.shape[1] == STYLE
    return HeadBatch(tensors[0].float(), tensors[1], tensors[2].float(), tensors[3].float(), style)
