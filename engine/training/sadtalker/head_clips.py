"""What PoseVAE learns from: voices with moving heads, each of them in the style of somebody.

Every speaker of the films is a style, as each of the paper's 46 identities is one. Heads that the prior moves are one
style more (`engine.training.pose.pose_prior`): a few minutes of film know too few heads.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.training.films.film_tracks import Track
from engine.training.pose.pose_data import conversation, filmed_poses, hear, to_scaled
from engine.training.pose.pose_prior import move_under, plain_noise
from engine.training.sadtalker.heard_streams import HeardStreams, listened

STRETCH = 32  # frames that are said at once
_MIRROR = np.array([-1, 1, -1, -1, 1, 1], np.float32)
_LISTENING = 0.75  # of the clips hear only up to some frame, as a live voice is heard


@dataclass(frozen=True)
class HeadClips:
    """Streams with poses from the person's own rest, scaled as networks see them, and their styles."""

    heard: HeardStreams
    poses: FloatArray  # [n, 6]
    styles: np.ndarray  # [S]

    def save(self, path: Path) -> None:
        tensors = {"poses": self.poses, "styles": self.styles} | vars(self.heard)
        part = path.with_suffix(".part")
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, str(part))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> HeadClips:
        tensors = load_file(str(path))
        return cls(HeardStreams(*(tensors.pop(k) for k in ("columns", "column_begins", "begins"))), **tensors)


@dataclass(frozen=True)
class HeadBatch:
    """B stretches of T frames, each from the pose before it on."""

    audio: torch.Tensor  # [B, T, D] features, or windows [B, T, 80, 16]
    motion: torch.Tensor  # [B, T, 6] relative to the reference
    reference: torch.Tensor  # [B, 6]
    style: torch.Tensor  # [B]


def filmed_heads(tracks: list[Track], styles: dict[str, int]) -> HeadClips:
    """Films as streams, ``styles`` by speaker. Large movements are brought to what the engine shows."""
    poses = [to_scaled(pose) for pose in filmed_poses(tracks)]
    numbers = np.array([styles[track.speaker] for track in tracks])
    return HeadClips(listened([track.samples for track in tracks]), np.concatenate(poses), numbers)


def imagined_heads(
    voices: list[FloatArray], filmed: list[FloatArray], rng: np.random.Generator, minutes: float, style: int
) -> HeadClips:
    """Voices with pauses between them, and heads moved by the prior, 40 s each."""
    sounds, poses = [], []
    filmed = filmed or [plain_noise(rng) for _ in range(20)]
    for _ in range(max(1, round(minutes * 1.5))):
        samples = conversation(rng, voices, 40 * SAMPLE_RATE)
        _, level, speaking = hear(samples)
        sounds.append(samples)
        poses.append(to_scaled(move_under(rng, level, speaking, filmed)))
    return HeadClips(listened(sounds), np.concatenate(poses), np.full(len(sounds), style))


def draw(
    rng: np.random.Generator,
    sources: list[HeadClips],
    rows: int,
    features: list[FloatArray] | None = None,
    frames: int = STRETCH,
) -> HeadBatch:
    """Random stretches. ``features`` [n, D] of each source stand for its windows where the encoder is known.

    Of most clips the sound is heard up to some frame only, which then stands for all later ones: a live head says
    frame after frame of a stretch, and no later sound has come.
    """
    parts: list[list[np.ndarray]] = [[], [], [], []]
    for _ in range(rows):
        which = int(rng.integers(len(sources)))
        source = sources[which]
        lengths = np.diff(source.heard.begins)
        usable = np.flatnonzero(lengths > frames)
        stream = int(rng.choice(usable, p=lengths[usable] / lengths[usable].sum()))
        first = int(rng.integers(1, lengths[stream] - frames + 1))
        at = first + np.arange(frames)
        known = int(rng.integers(1, frames + 1)) if rng.random() < _LISTENING else frames
        hearing = np.minimum(at, first + known - 1)
        begin = int(source.heard.begins[stream])
        audio = features[which][begin + hearing] if features else source.heard.windows(stream, hearing)
        side = _MIRROR if rng.random() < 0.5 else np.ones(6, np.float32)
        reference = source.poses[begin + first - 1]
        parts[0].append(audio.astype(np.float32))
        parts[1].append(side * (source.poses[begin + at] - reference))
        parts[2].append(side * reference)
        parts[3].append(source.styles[stream])
    audio, motion, reference, style = (torch.from_numpy(np.stack(part)) for part in parts)
    return HeadBatch(audio, motion.float(), reference.float(), style)
