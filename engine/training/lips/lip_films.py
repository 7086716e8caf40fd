"""Lips against a filmed person: does the mouth open and widen when the speaker's does, as fast, and as far?

Opening and width are read from FaceMesh landmarks in outer-eye-corner distances. Agreement is Pearson's r at the
lag where it is best; speed and spread, each relative to the 95th percentile, are the prediction's over the real one's.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.enrolment.footage.talking_film import watch
from engine.face.topology import OUTER_CORNER_LEFT, OUTER_CORNER_RIGHT
from engine.motion.facial.articulators import width
from engine.training.lips.lip_score import correlation, gap
from engine.training.splits import DEV_GRID, NEWSREADER, TEST_GRID

UPPER, LOWER, RIGHT, LEFT = 13, 14, 61, 291  # FaceMesh: the inner lips' middles, the mouth's corners
LAGS = range(-120, 121, 20)  # ms by which the prediction may be late
_FINE = 4  # curves are compared at 100 Hz


@dataclass(frozen=True)
class FilmedLips:
    """One person's lips and voice on the engine's clock."""

    name: str
    opening: FloatArray  # [T] outer-eye-corner distances
    width: FloatArray  # [T]
    samples: FloatArray  # [640 T]


def filmed_lips(path: Path, cache: Path | None = None) -> FilmedLips:
    """The lips of a film, its newsreader's between the jump cuts only; tracked once and kept in ``cache``."""
    kept = cache / f"{path.stem}.npz" if cache else None
    if kept and kept.is_file():
        with np.load(kept, allow_pickle=False) as file:
            return FilmedLips(path.stem, file["opening"], file["width"], file["samples"])
    film = watch(path)
    points = film.landmarks[:, :, :2]
    face = np.linalg.norm(points[:, OUTER_CORNER_RIGHT] - points[:, OUTER_CORNER_LEFT], axis=-1)
    opening = np.linalg.norm(points[:, UPPER] - points[:, LOWER], axis=-1) / face
    wide = np.linalg.norm(points[:, RIGHT] - points[:, LEFT], axis=-1) / face
    begin, end = 0, len(face)
    if path.stem.startswith("newsreader"):
        begin, end = (round(second * FRAMES_PER_SECOND) for second in NEWSREADER)
    sound = film.samples[begin * SAMPLES_PER_FRAME : end * SAMPLES_PER_FRAME]
    found = FilmedLips(path.stem, _filled(opening[begin:end]), _filled(wide[begin:end]), sound)
    if kept:
        kept.parent.mkdir(parents=True, exist_ok=True)
        np.savez(kept, opening=found.opening, width=found.width, samples=found.samples)
    return found


def _filled(curve: np.ndarray) -> FloatArray:
    """The curve with gaps bridged where no face was seen."""
    seen = np.flatnonzero(~np.isnan(curve))
    return np.interp(np.arange(len(curve)), seen, curve[seen]).astype(np.float32)


@dataclass(frozen=True)
class Comparison:
    """One film against what was said for it."""

    opening: np.ndarray  # [lags] r
    width: np.ndarray  # [lags] r
    speed: float  # ratio
    spread: float  # ratio


def compare(film: FilmedLips, said: FloatArray) -> Comparison:
    """``said`` [T, 9] articulators against the filmed lips."""
    n = min(len(said), len(film.opening))
    opening, wide = gap(said[:n]), np.asarray(width(torch.from_numpy(said[:n])).numpy())
    real = film.opening[:n]
    return Comparison(
        _by_lag(opening, real),
        _by_lag(wide, film.width[:n]),
        _speed(opening) / _speed(real),
        _spread(opening) / _spread(real),
    )


def _by_lag(said: np.ndarray, real: np.ndarray) -> np.ndarray:
    times = np.arange(len(said) * _FINE) / _FINE
    said, real = (np.interp(times, np.arange(len(curve)), curve) for curve in (said, real))
    return np.array([correlation(said, real, lag * FRAMES_PER_SECOND * _FINE // 1000) for lag in LAGS])


def _speed(curve: np.ndarray) -> float:
    return float(np.abs(np.diff(curve)).mean() / (np.percentile(curve, 95) + 1e-6)) + 1e-9


def _spread(curve: np.ndarray) -> float:
    return float(curve.std() / (np.percentile(curve, 95) + 1e-6)) + 1e-9


def agreement(films: list[FilmedLips], said: list[FloatArray]) -> dict[str, float]:
    """Mean r over films at the lag that is best for all of them together, and median ratios."""
    rows = [compare(film, motion) for film, motion in zip(films, said, strict=True)]
    opening, wide = np.mean([row.opening for row in rows], axis=0), np.mean([row.width for row in rows], axis=0)
    a, w = int(opening.argmax()), int(wide.argmax())
    return {
        "opening_r": round(float(opening[a]), 3),
        "opening_lag_ms": LAGS[a],
        "width_r": round(float(wide[w]), 3),
        "width_lag_ms": LAGS[w],
        "speed": round(float(np.median([row.speed for row in rows])), 2),
        "spread": round(float(np.median([row.spread for row in rows])), 2),
    }


def films_of(data: Path | None, part: str) -> dict[str, list[Path]]:
    """Films by set: the GRID speakers of this part; for tests all GRID clips (none trains) and the newsreader."""
    if data is None:
        return {}
    clips = sorted((data / "video" / "grid").glob("*.mpg"))
    chosen = DEV_GRID if part == "dev" else TEST_GRID
    sets = {"GRID, held out": [path for path in clips if path.stem in chosen]}
    if part == "test":
        sets["GRID, all"] = clips
        sets["newsreader"] = sorted((data / "video").glob("newsreader*.mp4"))
    return {name: paths for name, paths in sets.items() if paths}
