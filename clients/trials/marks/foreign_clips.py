"""Clips that carry no mark of ours: faces before they are marked, pieces of real films, paintings, noise."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import av
import numpy as np
from PIL import Image

from clients.trials.marks.marked_films import FILM_FILES, PICTURE_FILES
from engine.contracts import FloatArray

LONGEST = 125  # pictures of a piece: five seconds
KINDS = ("unmarked", "film", "film", "picture", "noise")  # of which clips come in turns


def clip(number: int, others: Path | None, unmarked: list[FloatArray]) -> tuple[str, FloatArray]:
    """Clip ``number``: what it is, and its mean luma, a piece of any size and place in any size, mirrored or not.

    Where there are no films or pictures below ``others``, it is one of the faces instead.
    """
    rng = np.random.default_rng([8, number])
    kind = KINDS[number % len(KINDS)]
    sources = _means(others, FILM_FILES if kind == "film" else PICTURE_FILES) if kind in ("film", "picture") else []
    if kind == "noise":
        return kind, _noise(rng)
    whole = sources[int(rng.integers(len(sources)))] if sources else unmarked[int(rng.integers(len(unmarked)))]
    side = int(min(whole.shape) * rng.uniform(0.6, 1))
    y, x = (int(rng.integers(n - side + 1)) for n in whole.shape)
    piece = whole[y : y + side, x : x + side][:, :: int(rng.choice([-1, 1]))]
    to = int(rng.integers(200, 1100)) if rng.random() < 0.5 else side
    resized = Image.fromarray(np.ascontiguousarray(piece)).resize((to, to), Image.Resampling.BICUBIC)
    return (kind if sources else "unmarked"), np.asarray(resized, np.float32)


def _noise(rng: np.random.Generator) -> FloatArray:
    """White, or as natural pictures have it: as much in every octave."""
    side = int(rng.integers(200, 1100))
    white = rng.standard_normal((side, side))
    if rng.random() < 0.5:
        turns = np.hypot(np.fft.fftfreq(side)[:, None], np.fft.rfftfreq(side)[None])
        turns[0, 0] = 1
        white = np.fft.irfft2(np.fft.rfft2(white) / turns, (side, side))
    white *= rng.uniform(1, 50) / white.std()
    return np.asarray(np.clip(white + 128, 0, 255), np.float32)


@cache
def _means(folder: Path | None, kinds: tuple[str, ...]) -> list[FloatArray]:
    """Mean luma of each piece of five seconds or less of each film or picture in ``folder``."""
    out: list[FloatArray] = []
    for path in sorted(folder.rglob("*")) if folder else []:
        if path.suffix in kinds:
            with av.open(str(path)) as file:
                piece: list[FloatArray] = []
                for frame in file.decode(video=0):
                    piece.append(frame.to_ndarray(format="gray").astype(np.float32))
                    if len(piece) == LONGEST:
                        out.append(np.mean(piece, 0))
                        piece = []
                if piece:
                    out.append(np.mean(piece, 0))
    return out
