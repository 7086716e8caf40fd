"""Films as training samples: square pictures of a face, 25 a second, and the 0.2 s of sound around each (I.1).

A film becomes files of at most a minute of one shot, read row by row: any folder of films fits into memory.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from safetensors import safe_open
from safetensors.numpy import save_file
from torch import Tensor

from engine.audio.mel import HOP, LogMel
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, ByteArray, FloatArray
from engine.enrolment.footage.talking_film import LOOK_AT, Film, watch
from engine.errors import VivifyError
from engine.face.topology import VERTICES
from engine.imaging.resampling import resized

LEAST_S = 2.0  # of a shot
MARGIN = 1.6  # side of the square, in heights of the face
CALM = 12  # frames on either side over which the square's place is a mean
PIECE = 60 * FRAMES_PER_SECOND  # frames in a file at most
HEARD = 3200  # samples around a picture's middle: 0.2 s
BEFORE = 2 * HOP  # what the first feature's window wants besides


@dataclass(frozen=True)
class Batch:
    """B rows. Pictures in [0, 1]."""

    pictures: Tensor  # [B, 3, P, P]
    references: Tensor  # [B, 3, P, P] the same people at other moments
    mels: Tensor  # [B, 20, 40]


@dataclass(frozen=True)
class Piece:
    """One file: a run of frames of one shot."""

    path: Path
    frames: int

    def pictures(self, rows: list[int]) -> Tensor:
        """[n, 3, P, P] in [0, 1]."""
        with safe_open(str(self.path), "pt") as file:
            kept = file.get_slice("pictures")
            return torch.cat([kept[k : k + 1] for k in rows]).float() / 255

    def mels(self, rows: list[int]) -> Tensor:
        """[n, 20, 40], the sound around each frame's middle; silence beyond the shot."""
        with safe_open(str(self.path), "pt") as file:
            sound = file.get_tensor("samples").float() / 32767
        reach = HEARD // 2 + BEFORE
        padded = torch.nn.functional.pad(sound, (reach, reach))
        middles = [SAMPLES_PER_FRAME * k + SAMPLES_PER_FRAME // 2 + reach for k in rows]
        heard = torch.stack([padded[at - reach : at + HEARD // 2] for at in middles])
        return LogMel()(heard)[:, BEFORE // HOP :]


def save_piece(path: Path, pictures: ByteArray, samples: FloatArray) -> Piece:
    """Write pictures [T, 3, P, P] and their sound [640 T]."""
    sound = np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16)
    part = path.with_suffix(".part")
    save_file({"pictures": np.ascontiguousarray(pictures), "samples": sound}, str(part))
    part.replace(path)
    return Piece(path, len(pictures))


def gather(path: Path, name: str, folder: Path, side: int) -> list[Piece]:
    """The samples of one film, ``side`` pixels a side, made or found in ``folder``.

    Raises VivifyError when it cannot be read, has no sound, or holds no two seconds of a face.
    """
    note = folder / f"{name}.json"
    if note.exists():
        return [Piece(folder / file, frames) for file, frames in json.loads(note.read_text()).items()]
    film = watch(path)
    runs = [
        slice(at, min(at + PIECE, part.stop))
        for part in film.shots(LEAST_S)
        for at in range(part.start, part.stop, PIECE)
    ]
    runs = [run for run in runs if run.stop - run.start >= LEAST_S * FRAMES_PER_SECOND]
    if not runs:
        raise VivifyError(f"Two seconds of a face were expected in '{path}', but none were found: leave it out.")
    pieces, pictures = [], _shown(path, film)
    at = 0
    for number, run in enumerate(runs):
        while at < run.start:
            next(pictures)
            at += 1
        squares = _squares(film.landmarks[run])
        cut = np.stack([_cut(next(pictures), square, side) for square in squares])
        at = run.stop
        sound = film.samples[SAMPLES_PER_FRAME * run.start : SAMPLES_PER_FRAME * run.stop]
        pieces.append(save_piece(folder / f"{name}_{number}.safetensors", cut, sound))
    note.write_text(json.dumps({piece.path.name: piece.frames for piece in pieces}))
    return pieces


def _shown(path: Path, film: Film) -> Iterator[ByteArray]:
    """The picture on show at each frame's middle."""
    with av.open(str(path)) as container:
        at, shown = 0, None
        for frame in container.decode(video=0):
            if frame.time is None:
                continue
            while shown is not None and film.begin_s + (at + 0.5) / FRAMES_PER_SECOND < frame.time:
                yield np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)
                at += 1
            shown = frame
        while shown is not None and at < len(film.landmarks):
            yield np.asarray(shown.to_ndarray(format="rgb24"), np.uint8)
            at += 1


def _squares(landmarks: FloatArray) -> FloatArray:
    """Middle and side [T, 3] of the square around a face [T, 478, 3], in the tracker's pixels.

    One size for all of a shot; its place follows the face slowly, so that nods and turns stay seen.
    """
    low, high = landmarks[:, :VERTICES, :2].min(1), landmarks[:, :VERTICES, :2].max(1)
    middle = (low + high) / 2
    padded = np.pad(middle, ((CALM, CALM), (0, 0)), mode="edge")
    calm = np.lib.stride_tricks.sliding_window_view(padded, 2 * CALM + 1, axis=0).mean(-1)
    side = MARGIN * float(np.median((high - low)[:, 1]))
    return np.column_stack([calm, np.full(len(calm), side)]).astype(np.float32)


def _cut(picture: ByteArray, square: FloatArray, side: int) -> ByteArray:
    """The square [3, side, side] out of a picture [H, W, 3], as much inside it as fits."""
    height, width = picture.shape[:2]
    looked_at = min(1.0, LOOK_AT / max(height, width))  # the tracker's pixels are of a picture made so much smaller
    x, y, wide = square / looked_at
    size = int(min(wide, height, width))
    left, top = (int(np.clip(c - size / 2, 0, most - size)) for c, most in ((x, width), (y, height)))
    return resized(picture[top : top + size, left : left + size], side, side).transpose(2, 0, 1)


def across(pieces: list[Piece], rows: int, rng: np.random.Generator) -> Batch:
    """Rows from as many pieces, longer ones more often by the root; each with another moment of the same piece."""
    often = np.sqrt([piece.frames for piece in pieces])
    chosen = rng.choice(len(pieces), rows, p=often / often.sum())
    parts = []
    for number in sorted(set(chosen.tolist())):
        piece = pieces[number]
        pairs = [rng.choice(piece.frames, 2, replace=False) for _ in range(int((chosen == number).sum()))]
        frames, others = ([int(pair[k]) for pair in pairs] for k in (0, 1))
        parts.append((piece.pictures(frames), piece.pictures(others), piece.mels(frames)))
    pictures, references, mels = (torch.cat(column) for column in zip(*parts, strict=True))
    return Batch(pictures, references, mels)


def of_one(pieces: list[Piece], rows: int, rng: np.random.Generator) -> Batch:
    """Rows of one piece, no moment twice, as many as it has at most: what a contrastive batch is made of."""
    piece = pieces[int(rng.integers(len(pieces)))]
    frames = sorted(int(k) for k in rng.choice(piece.frames, min(rows, piece.frames), replace=False))
    pictures = piece.pictures(frames)
    return Batch(pictures, pictures, piece.mels(frames))
