"""Pictures of a film around its face, as an avatar's portrait was cut out of it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray
from engine.enrolment.footage.talking_film import Film
from engine.enrolment.photos.film_reel import Picture, Reel, as_rgb
from engine.imaging.resampling import to_bytes, warped


def at_frames(path: Path, film: Film, frames: np.ndarray) -> Iterator[Picture]:
    """The pictures shown at the middles of ``frames`` (ascending), and the quarter turns to the left they want."""
    reel = film.reel or Reel(path)
    for wanted in film.begin_s + (np.asarray(frames) + 0.5) / FRAMES_PER_SECOND:
        picture = reel.at(float(wanted))
        if picture is None:
            return
        yield picture


def whole(path: Path, film: Film, frames: np.ndarray, quarter: int = 0) -> Iterator[ByteArray]:
    """``frames`` of a film, upright [H, W, 3]."""
    for frame, turn in at_frames(path, film, frames):
        yield np.ascontiguousarray(np.rot90(as_rgb(frame), turn + quarter)).astype(np.uint8)


def crops(
    path: Path, film: Film, frames: np.ndarray, framing: np.ndarray, sizes: tuple[int, int], quarter: int = 0
) -> ByteArray:
    """``frames`` of a film [n, s, s, 3]: framed as a portrait of ``sizes``[0] pixels was, ``sizes``[1] wide."""
    size, small = sizes
    out = np.empty((len(frames), small, small, 3), np.uint8)
    onto = framing * (small / size)
    onto[:, 2] += 0.5 * (small / size - 1)
    factor = min(float(np.hypot(*onto[0, :2])), 1.0)
    picture: np.ndarray
    for row, (frame, turn) in enumerate(at_frames(path, film, frames)):
        width, height = (max(2 * round(0.5 * factor * side), 16) for side in (frame.width, frame.height))
        picture = as_rgb(frame, width, height, "AREA")
        picture = np.ascontiguousarray(np.rot90(picture, turn + quarter))
        shrunk = width / frame.width, height / frame.height  # by which the film's own sides were
        x, y = shrunk if (turn + quarter) % 2 == 0 else shrunk[::-1]
        own = np.array([[1 / x, 0, 0.5 / x - 0.5], [0, 1 / y, 0.5 / y - 0.5], [0, 0, 1]])
        out[row] = to_bytes(warped(picture, onto @ own, small, small, "cubic"))
    return out


def in_crop(landmarks: FloatArray, film: Film, shape: tuple[int, ...], framing: np.ndarray) -> FloatArray:
    """``landmarks`` [..., 3] of the picture looked at in pixels of a crop; ``shape`` is the film's own (H, W, ...)."""
    grow = shape[1] / film.looked_at[1]
    full = landmarks * np.float32(grow)
    full[..., :2] += 0.5 * (grow - 1)
    out = full * np.float32(np.hypot(*framing[0, :2]))
    out[..., :2] = full[..., :2] @ framing[:, :2].T.astype(np.float32) + framing[:, 2].astype(np.float32)
    return out.astype(np.float32)
