"""From recordings to what the trainer reads: long augmented streams of log-mel beside the teacher's motion."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.audio.encoder import MELS_PER_FRAME
from engine.audio.mel import LogMel
from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.articulators import ARTICULATORS
from engine.motion.facial.phones import SILENCE
from engine.training.lips.teacher import articulators, phone_indices
from engine.training.speech.augment import change_speed, degrade, not_speech
from engine.training.speech.speech_recording import DOUBT, Phone

Recording = tuple[FloatArray, list[Phone]]
LONGEST = 6  # seconds of speech between two other sounds


@dataclass(frozen=True)
class Streams:
    """Streams laid end to end. Frame f of the whole has mel rows 4 f .. 4 f + 3."""

    mel: np.ndarray  # [4 * n, 40] float16
    motion: np.ndarray  # [n, 9] float16, the teacher's articulators
    phones: np.ndarray  # [n] uint8
    trusted: np.ndarray  # [n] bool, whether to learn from the frame
    starts: np.ndarray  # [streams + 1] first frame of each stream, then n

    def save(self, path: Path) -> None:
        np.savez(path, mel=self.mel, motion=self.motion, phones=self.phones, trusted=self.trusted, starts=self.starts)

    @classmethod
    def load(cls, path: Path) -> Streams:
        with np.load(path, allow_pickle=False) as file:
            return cls(file["mel"], file["motion"], file["phones"], file["trusted"], file["starts"])


def join(rng: np.random.Generator, recordings: list[Recording], speed: bool = True) -> Recording:
    """Recordings one after the other with pauses between, and often one before; each at its own speed and level."""
    parts: list[np.ndarray] = []
    phones: list[Phone] = []
    now = 0.0
    for samples, times in recordings:
        if speed:
            samples, times = change_speed(rng, samples, times)
        pause = np.zeros(int(rng.choice([0.05, 0.3, 0.8, 2.0]) * rng.uniform(0.3, 1.2) * SAMPLE_RATE), np.float32)
        phones.append((SILENCE, now, now + len(pause) / SAMPLE_RATE))
        now += len(pause) / SAMPLE_RATE
        phones += [(p, s + now, e + now) for p, s, e in times]
        parts += [pause, samples * 10 ** (rng.uniform(-3, 3) / 20)]
        now += len(samples) / SAMPLE_RATE
        phones.append((SILENCE, max(now - 0.001, phones[-1][2]), now))
    frames = sum(map(len, parts)) // SAMPLES_PER_FRAME
    return np.concatenate(parts)[: frames * SAMPLES_PER_FRAME].astype(np.float32), phones


def _mel(samples: np.ndarray, warp: float) -> np.ndarray:
    with torch.inference_mode():
        return LogMel(round(warp, 2))(torch.from_numpy(samples)[None])[0].numpy().astype(np.float16)


def trusted_frames(times: list[Phone], frames: int) -> np.ndarray:
    """Which frames [frames] lie in phones without a doubt."""
    shown = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND
    out = np.ones(frames, bool)
    for name, start, end in times:
        if name.startswith(DOUBT):
            out &= (shown < start) | (shown >= end)
    return out


def _streams(make: Callable[[], Recording], count: int, rng: np.random.Generator) -> Streams:
    mel, motion, phones, trusted, starts = [], [], [], [], [0]
    for _ in range(count):
        samples, times = make()
        frames = len(samples) // SAMPLES_PER_FRAME
        mel.append(_mel(samples, float(np.clip(rng.normal(1, 0.09), 0.8, 1.22))))
        names = [(name.removeprefix(DOUBT), start, end) for name, start, end in times]
        motion.append(articulators(names, frames).astype(np.float16))
        phones.append(phone_indices(names, frames).astype(np.uint8))
        trusted.append(trusted_frames(times, frames))
        starts.append(starts[-1] + frames)
    joined = np.concatenate
    return Streams(joined(mel), joined(motion), joined(phones), joined(trusted), np.array(starts))


def speech_streams(recordings: list[Recording], seed: int) -> Streams:
    """One augmented pass over the recordings, three to a stream."""
    rng = np.random.default_rng(seed)
    order = iter([recordings[int(i)] for i in rng.permutation(len(recordings))])
    babble = [samples for samples, _ in recordings[:40]]

    def make() -> Recording:
        samples, phones = join(rng, [next(order) for _ in range(3)])
        return degrade(rng, samples, babble), phones

    return _streams(make, len(recordings) // 3, rng)


def silent_streams(minutes: float, seed: int) -> Streams:
    """Sounds that are not speech, with a mouth that stays shut."""
    rng = np.random.default_rng(seed)

    def make() -> Recording:
        return not_speech(rng, 12.0), [(SILENCE, 0.0, 12.0)]

    return _streams(make, int(minutes * 5), rng)


def interrupted_streams(recordings: list[Recording], count: int, seed: int) -> Streams:
    """Speech between sounds that are not: music that begins right after a word is no word either."""
    rng = np.random.default_rng(seed)

    def make() -> Recording:
        samples, phones = join(rng, [recordings[int(rng.integers(len(recordings)))]])
        spoken = degrade(rng, samples[: LONGEST * SAMPLE_RATE], [])
        seconds = len(spoken) / SAMPLE_RATE
        before, after = rng.uniform(0.2, 3), rng.uniform(3, 6)
        said = [(p, s + before, min(e, seconds) + before) for p, s, e in phones if s < seconds]
        shut = [(SILENCE, 0.0, before), *said, (SILENCE, before + seconds, before + seconds + after)]
        sound = np.concatenate([not_speech(rng, before), spoken, not_speech(rng, after)])
        return sound[: len(sound) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].astype(np.float32), shut

    return _streams(make, count, rng)


@dataclass(frozen=True)
class Batch:
    """Crops for one training step: B rows of T frames, each row with its own look-ahead."""

    mel: torch.Tensor  # [B, 4 * T, 40]
    motion: torch.Tensor  # [B, T + 1, 9] for frames n - look_ahead, and one frame more
    phones: torch.Tensor  # [B, T + 1]
    look_ahead: torch.Tensor  # [B] frames
    valid: torch.Tensor  # [B, T] false after the end of the stream, and where the labels are in doubt


def draw(rng: np.random.Generator, sources: list[Streams], shares: list[float], rows: int, frames: int) -> Batch:
    """Random crops; ``shares`` says how often each source is drawn from. One crop in four starts with its stream."""
    mel = np.zeros((rows, MELS_PER_FRAME * frames, 40), np.float32)
    motion = np.zeros((rows, frames + 1, len(ARTICULATORS)), np.float32)
    phones = np.zeros((rows, frames + 1), np.int64)
    ahead = rng.choice(4, size=rows, p=[0.15, 0.25, 0.4, 0.2])
    valid = np.zeros((rows, frames), bool)
    for row in range(rows):
        source = sources[int(rng.choice(len(sources), p=shares))]
        stream = int(rng.integers(len(source.starts) - 1))
        begin, end = int(source.starts[stream]), int(source.starts[stream + 1])
        first = begin if rng.random() < 0.25 else int(rng.integers(begin, max(begin + 1, end - frames)))
        count = min(frames, end - first)
        rows_of_mel = source.mel[MELS_PER_FRAME * first : MELS_PER_FRAME * (first + count)]
        mel[row, : len(rows_of_mel)] = rows_of_mel
        mel[row, len(rows_of_mel) :] = mel[row, len(rows_of_mel) - 1] if len(rows_of_mel) else 0
        target = np.arange(first - ahead[row], first - ahead[row] + frames + 1)
        inside = (target >= begin) & (target < end)
        motion[row, inside] = source.motion[target[inside]]
        phones[row, inside] = source.phones[target[inside]]
        valid[row, inside[:-1]] = source.trusted[target[:-1][inside[:-1]]]
        valid[row, target[:-1] < begin] = True
    tensor = torch.from_numpy
    return Batch(tensor(mel), tensor(motion), tensor(phones), tensor(ahead), tensor(valid))
