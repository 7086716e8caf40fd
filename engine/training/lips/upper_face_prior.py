"""How a face moves above its mouth: what films tell of it, and what is believed of when.

In the films at hand brows, squint and cheeks cannot be told from the voice: regression on level and tone explains some
hundredths of how they move, for speakers not seen. What films do tell is how far and how fast they move, and what
together with what. So when is a prior: brows go up with syllables that stand out, more where a phrase begins, as
speakers' do (Cave et al. 1996, Flecha-Garcia 2010); the nose wrinkles with the upper lip, cheeks rise with wide lips;
in silence everything calms down.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import lfilter

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX
from engine.motion.facial.articulators import STRETCH, UPPER_UP
from engine.motion.facial.upper_face import BROW, CHEEK, LIMIT, NOSE, ORDER, OUTER, SQUINT, UNIT
from engine.training.films.film_tracks import Track
from engine.training.pose.pose_prior import stresses

RAISE = 1.5  # values: how far a brow goes up with a syllable that stands out
ACCENT = 1.3  # standard deviations of the level, above which a syllable stands out
STRAY = 0.36  # values: the unrest of a speaker
CALM = 0.5  # of it in silence
_BLINK = 0.3  # eyes this far shut pull the tracker's brows and squint along
_NUGGET = 0.0004  # of the variance: what the tracker adds to every frame on its own
_STEADY = 2.0  # frames over which tracks are smoothed: below, it is the tracker that moves


@dataclass(frozen=True)
class FilmedFace:
    """One tracked shot: what was heard, and how the upper face moved."""

    samples: FloatArray  # [640 T]
    values: FloatArray  # [T, 5], of usual size


def measured(track: Track) -> FloatArray:
    """A shot's values [T, 5] as `to_shapes` reads them, in the person's own size, blinks bridged."""
    shapes = track.blendshapes

    def both(name: str) -> np.ndarray:
        return np.asarray(0.5 * (shapes[:, INDEX[f"{name}Left"]] + shapes[:, INDEX[f"{name}Right"]]))

    raw = np.stack(
        [
            shapes[:, INDEX["browInnerUp"]] - both("browDown"),
            both("browOuterUp"),
            both("eyeSquint"),
            both("cheekSquint"),
            both("noseSneer"),
        ],
        1,
    )
    open_eyes = np.flatnonzero(gaussian_filter1d((both("eyeBlink") > _BLINK).astype(float), 1.5) < 0.05)
    if len(open_eyes) > 1:
        raw = np.stack([np.interp(np.arange(len(raw)), open_eyes, curve[open_eyes]) for curve in raw.T], 1)
    rest = np.r_[np.median(raw[:, :SQUINT], 0), np.percentile(raw[:, SQUINT:], 20, 0)]
    return np.asarray(gaussian_filter1d(raw - rest, _STEADY, axis=0) / UNIT, np.float32)


def filmed_face(track: Track) -> FilmedFace:
    """A shot to learn from: its movement brought to the usual size, for people and trackers differ threefold."""
    values = measured(track)
    size = float(np.sqrt((values[:, :SQUINT] ** 2).mean()))
    return FilmedFace(track.samples, (values / np.clip(size, 0.6, 4)).clip(-LIMIT, LIMIT))


def fit_unrest(films: list[FilmedFace]) -> tuple[FloatArray, FloatArray]:
    """How unrest follows from its past [ORDER, 5, 5] and from chance [5, 5], at unit variance in the long run.

    Yule and Walker's equations over all films: their solution cannot run away. Other films than those of the upper face
    may hold any number of values.
    """
    size = films[0].values.shape[1]
    lags = np.zeros((ORDER + 1, size, size))  # how values now go with values k frames ago
    for film in films:
        centred = film.values.astype(np.float64) - film.values.mean(0)
        for k in range(ORDER + 1):
            lags[k] += centred[k:].T @ centred[: len(centred) - k]
    spread = np.sqrt(np.diag(lags[0]))
    lags /= spread[:, None] * spread
    lags[0] += _NUGGET * np.eye(size)
    row = [[lags[j - i] if j >= i else lags[i - j].T for j in range(ORDER)] for i in range(ORDER)]
    past = np.block(row).astype(np.float64)  # of (newest, ..., oldest) with itself
    now = np.concatenate([lags[k] for k in range(1, ORDER + 1)], 1)  # [5, 5 ORDER]
    follow = now @ np.linalg.inv(past)
    left = lags[0] - follow @ now.T
    values, vectors = np.linalg.eigh(0.5 * (left + left.T))
    kick = vectors * np.sqrt(values.clip(1e-6))  # [5, 5], chance @ kick.T
    by_lag = follow.reshape(size, ORDER, size).transpose(1, 2, 0)  # past @ by_lag
    return by_lag.astype(np.float32), kick.T.astype(np.float32)


def accents(level: FloatArray, speaking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the syllables that stand out of the speech before them [n], and how far [n], 0 to 2."""
    peaks, _ = stresses(level, speaking)
    heard, weight = gaussian_filter1d(level.astype(float), 1.0), speaking.astype(float) + 1e-3
    usual = lfilter([0.04], [1, -0.96], heard * weight) / lfilter([0.04], [1, -0.96], weight)
    away = (heard - usual)[peaks] / max(0.1, float((heard - usual)[speaking].std()) if speaking.any() else 0.1)
    return peaks[away > ACCENT], np.clip(away[away > ACCENT] - ACCENT, 0, 2)


def _raised(level: FloatArray, speaking: np.ndarray) -> np.ndarray:
    """How far prosody raises the brows [T], highest 160 ms after an accent, higher where a phrase begins."""
    starts = np.flatnonzero(speaking & ~np.r_[False, speaking[:-1]])
    times, raised = np.arange(len(level)), np.zeros(len(level))
    for peak, strong in zip(*accents(level, speaking), strict=True):
        first = bool(((starts <= peak) & (starts > peak - 15)).any())
        height = RAISE * (0.5 + 0.7 * strong) * (1.4 if first else 1.0)
        t = times - peak - 4
        raised = np.maximum(raised, height * np.exp(-((t / np.where(t < 0, 4.0, 7.0)) ** 2)))
    return raised


def prior(level: FloatArray, speaking: np.ndarray, lips: FloatArray, stray: FloatArray) -> FloatArray:
    """Values [T, 5] for a voice: its ``level`` [T], whether it speaks [T], its articulators [T, 9], unrest [T, 5]."""
    lively = CALM + (1 - CALM) * gaussian_filter1d(speaking.astype(float), 6)
    out = STRAY * lively[:, None] * stray
    raised = _raised(level, speaking)
    out[:, BROW] += raised
    out[:, OUTER] += 0.8 * raised
    out[:, SQUINT] += 0.5
    out[:, NOSE] += 0.3 + 1.2 * gaussian_filter1d(lips[:, UPPER_UP].astype(float), 2.0)
    out[:, CHEEK] += 0.3 + 1.0 * gaussian_filter1d(lips[:, STRETCH].astype(float), 3.0)
    return np.asarray(gaussian_filter1d(out, 0.8, axis=0).clip(-LIMIT, LIMIT), np.float32)


def draw_unrest(rng: np.random.Generator, frames: int, follow: FloatArray, kick: FloatArray) -> FloatArray:
    """Unrest [frames, 5] as the engine will draw it, long after its beginning."""
    warm = 60
    chance = rng.normal(0, 1, (frames + warm, len(kick))) @ kick
    out = np.zeros((frames + warm + ORDER, len(kick)))
    for k in range(frames + warm):
        out[k + ORDER] = chance[k] + sum(out[k + ORDER - 1 - j] @ follow[j] for j in range(ORDER))
    return np.asarray(out[-frames:], np.float32)
