"""What ExpNet learns from: voices, and what lips alone do to them (the paper's lip-only coefficients).

The paper lets Wav2Lip speak over a still frame and reads coefficients off the result. Here lips alone come from phone
times, through the teacher of `engine.training.lips`; where nobody knows them, as in films, from lips that are trained
already. The rest of the face keeps the reference expression, which is any frame of the person's film.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from engine.audio.mel_columns import COLUMNS, KNOWN
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray
from engine.motion.facial.articulators import spread_matrix, to_blendshapes
from engine.training.films.film_tracks import Track
from engine.training.lips.lip_dataset import Recording, join
from engine.training.lips.teacher import articulators
from engine.training.sadtalker.coefficient_space import CoefficientSpace
from engine.training.sadtalker.heard_streams import HeardStreams, listened
from engine.training.speech.augment import degrade, not_speech
from engine.training.speech.speech_recording import DOUBT

CLIP = 5  # frames that are learned from together
AHEAD = (0.05, 0.1, 0.3, 0.55)  # of the rows hear 0, 40, 80, 120 ms ahead
_OWN_NEUTRAL = 0.5  # of the rows have a reference at rest, as the engine's portraits are

Lips = Callable[[FloatArray], FloatArray]  # samples [640 n] -> lip-only expressions [n, E]


@dataclass(frozen=True)
class ExpressionClips:
    """Streams with what lips do in them, and the faces of those who speak."""

    heard: HeardStreams
    lips: np.ndarray  # [n, E] float16, lip-only coefficients
    trusted: np.ndarray  # [n] whether to learn from the frame
    faces: np.ndarray  # [R, E] float16 reference expressions, ...
    whose: np.ndarray  # [S, 2] ... and which of them go with each stream; nobody's where both are equal

    def save(self, path: Path) -> None:
        tensors = {k: v for k, v in vars(self).items() if k != "heard"} | vars(self.heard)
        part = path.with_suffix(".part")
        save_file({k: np.ascontiguousarray(v) for k, v in tensors.items()}, str(part))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> ExpressionClips:
        tensors = load_file(str(path))
        return cls(HeardStreams(*(tensors.pop(k) for k in ("columns", "column_begins", "begins"))), **tensors)


@dataclass(frozen=True)
class ExpressionBatch:
    """B clips of T frames."""

    windows: torch.Tensor  # [B, T, 80, 16]
    reference: torch.Tensor  # [B, E]
    blink: torch.Tensor  # [B, T], 1 is shut
    target: torch.Tensor  # [B, T, E] lips from the sound, the rest of the reference
    trusted: torch.Tensor  # [B, T]


def taught_lips(phones: list, frames: int) -> FloatArray:  # type: ignore[type-arg]
    """Lip-only blendshapes [frames, 52] of phone times, by the teacher."""
    known = [(name.removeprefix(DOUBT), start, end) for name, start, end in phones]
    shapes = to_blendshapes(torch.from_numpy(articulators(known, frames)), spread_matrix())
    return np.asarray(shapes.numpy(), np.float32)


def spoken_clips(recordings: list[Recording], seed: int, silence: float = 0.1, each: int = 3) -> ExpressionClips:
    """One augmented pass over recordings with phone times, ``each`` to a stream, and some sounds that are none."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(recordings))
    babble = [samples for samples, _ in recordings[:40]]
    sounds, lips, trusted = [], [], []
    for k in range(0, len(order) - each + 1, each):
        samples, phones = join(rng, [recordings[int(i)] for i in order[k : k + each]])
        frames = len(samples) // SAMPLES_PER_FRAME
        sounds.append(degrade(rng, samples, babble))
        lips.append(taught_lips(phones, frames).astype(np.float16))
        sure = np.ones(frames, bool)
        for name, start, end in phones:
            if name.startswith(DOUBT):
                sure[int(start * 25) : int(end * 25) + 1] = False
        trusted.append(sure)
        if rng.random() < each * silence:
            sounds.append(not_speech(rng, 12.0)[: 12 * SAMPLE_RATE])
            lips.append(np.zeros((12 * 25, lips[-1].shape[1]), np.float16))
            trusted.append(np.ones(12 * 25, bool))
    nobody = np.zeros((len(sounds), 2), np.int64)
    faces = np.zeros((1, lips[0].shape[1]), np.float16)
    return ExpressionClips(listened(sounds), np.concatenate(lips), np.concatenate(trusted), faces, nobody)


def filmed_clips(tracks: list[Track], lips: Lips) -> ExpressionClips:
    """Films as streams: their voices, what ``lips`` does to them, and each film's own faces."""
    sounds = [track.samples for track in tracks]
    said = [lips(samples).astype(np.float16) for samples in sounds]
    faces = [track.blendshapes.astype(np.float16) for track in tracks]
    ends = np.cumsum([len(face) for face in faces])
    whose = np.stack([ends - [len(face) for face in faces], ends], 1)
    return ExpressionClips(
        listened(sounds), np.concatenate(said), np.ones(int(sum(map(len, said))), bool), np.concatenate(faces), whose
    )


def draw(
    rng: np.random.Generator, sources: list[ExpressionClips], space: CoefficientSpace, rows: int, frames: int = CLIP
) -> ExpressionBatch:
    """Random clips. References of streams that are nobody's are frames of any film, or a face at rest."""
    films = [s for s in sources if len(s.faces) > 1]
    spoken, windows, references, targets, trusted = space.spoken(), [], [], [], []
    for _ in range(rows):
        source = sources[int(rng.integers(len(sources)))]
        stream = int(rng.integers(len(source.whose)))
        room = max(1, source.heard.frames(stream) - frames + 1)
        at = int(rng.integers(room)) + np.arange(min(frames, source.heard.frames(stream)))
        at = np.minimum(np.pad(at, (0, frames - len(at)), "edge"), source.heard.frames(stream) - 1)
        seen = source.heard.windows(stream, at)
        known = KNOWN[int(rng.choice(len(KNOWN), p=AHEAD))]
        windows.append(seen[:, :, np.minimum(np.arange(COLUMNS), known - 1)])
        reference = np.zeros(space.expression, np.float32)
        if films and rng.random() > _OWN_NEUTRAL:
            first, last = source.whose[stream]
            faces = source.faces[first:last] if last > first else films[int(rng.integers(len(films)))].faces
            reference = faces[int(rng.integers(len(faces)))].astype(np.float32)
        references.append(reference)
        there = source.heard.begins[stream] + at
        targets.append(spoken * source.lips[there].astype(np.float32) + (1 - spoken) * reference)
        trusted.append(source.trusted[there])
    tensor = torch.from_numpy
    return ExpressionBatch(
        tensor(np.stack(windows)),
        tensor(np.stack(references)),
        tensor(rng.random((rows, frames)).astype(np.float32)),
        tensor(np.stack(targets)),
        tensor(np.stack(trusted)),
    )
