"""What real lips do beyond the lip blendshapes: a map from articulators to lip-vertex offsets, read from tracked films.

The lip branch says nine articulators, and a fixed matrix spreads them over blendshapes; real lips do not follow that
matrix exactly. Here a ridge regression finds, over tracked films, how the lips' vertices differ from it, given the
articulators (as the lip branch itself hears them in the film's sound) and their speed. The offsets never change the gap
between the inner lips, so what closes stays closed, and they are the same on the left and the right; nor do lips grow
as full as the tracker says. Every person counts the same, whether filmed for 3 seconds or for 80.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import numpy as np
import torch

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.face.morphable_model import face_model
from engine.face.topology import LIP_INNER, LIP_VERTICES, OUTER_CORNER_LEFT, OUTER_CORNER_RIGHT
from engine.motion.facial.articulators import spread_matrix, to_blendshapes

MODES = 6  # directions the offsets move in
PERSON = 75  # frames that each person counts as
STRENGTH = 10.0  # of the ridge, beside so many frames a person
FULLER = 0.25  # of how much fuller films say that lips become; more of it explains more, but looks swollen on portraits
_LEAST_GAIN = 0.1


@dataclass(frozen=True)
class FilmedMotion:
    """One tracked shot: how its lips moved, and what was heard in its sound."""

    articulators: FloatArray  # [T, 9]
    lips: FloatArray  # [T, n, 3] away from the shot's rest, in outer-eye-corner distances
    speaker: str = ""


@dataclass(frozen=True)
class VertexMap:
    """Articulators and their speed [T, 18] @ weights [18, K] @ modes [K, 3 n] are the lips' offsets."""

    weights: FloatArray
    modes: FloatArray

    def __call__(self, articulators: FloatArray) -> FloatArray:
        """Mode values [T, K] of articulators [T, 9]."""
        return (_inputs(articulators) @ self.weights).astype(np.float32)


def lip_basis() -> FloatArray:
    """How every blendshape moves the lips' vertices [52, n * 3], in outer-eye-corner distances."""
    model = face_model()
    unit = np.linalg.norm(model.neutral[OUTER_CORNER_RIGHT] - model.neutral[OUTER_CORNER_LEFT])
    return np.asarray(model.expressions[:, list(LIP_VERTICES)].reshape(len(NAMES), -1) / unit, np.float32)


def filmed_motion(
    blendshapes: FloatArray, lip_offsets: FloatArray, articulators: FloatArray, speaker: str = ""
) -> FilmedMotion:
    """A track's lip blendshapes [T, 52] and offsets [T, n, 3] as movement away from the usual lips of the shot."""
    spoken = np.zeros(len(NAMES), np.float32)
    spoken[[INDEX[name] for name in LIP]] = 1
    lips = (blendshapes * spoken) @ lip_basis() + lip_offsets.reshape(len(lip_offsets), -1)
    lips = lips - np.median(lips, 0)
    return FilmedMotion(articulators, lips.reshape(len(lips), -1, 3).astype(np.float32), speaker)


def _inputs(articulators: FloatArray) -> FloatArray:
    """Articulators and their change per frame [T, 18]."""
    before = np.concatenate([articulators[:1], articulators[:-1]])
    return np.concatenate([articulators, articulators - before], 1)


def _spread(articulators: FloatArray) -> FloatArray:
    """What the blendshapes alone make of articulators: lip vertices [T, n * 3] away from their median."""
    shapes = to_blendshapes(torch.from_numpy(articulators), spread_matrix()).numpy()
    lips = shapes @ lip_basis()
    return np.asarray(lips - np.median(lips, 0), np.float32)


def _mirrored(lips: np.ndarray) -> np.ndarray:
    """Lips [T, n * 3] seen in a mirror, every vertex in its counterpart's place."""
    rest = face_model().neutral[list(LIP_VERTICES)]
    flip = np.array([-1.0, 1.0, 1.0], np.float32)
    counterpart = np.linalg.norm(rest[:, None] * flip - rest[None], axis=-1).argmin(1)
    return np.asarray((lips.reshape(len(lips), -1, 3)[:, counterpart] * flip).reshape(len(lips), -1))


def _gap_kept(modes: np.ndarray) -> np.ndarray:
    """Modes [K, n * 3] in which each inner upper vertex rises as much as the lower one beneath it."""
    lips = modes.reshape(len(modes), -1, 3).copy()
    inner = len(LIP_INNER)
    for upper in range(1, inner // 2):  # the ring runs along the upper lip and back along the lower one
        lower = inner - upper
        lips[:, [upper, lower], 1] = lips[:, [upper, lower], 1].mean(1, keepdims=True)
    return lips.reshape(len(modes), -1)


def _less_full(modes: np.ndarray) -> np.ndarray:
    """Modes [K, n * 3] in which the outer rims leave the inner ones by a part of what they did, up and down."""
    lips = modes.reshape(len(modes), -1, 3).copy()
    rim = lips[:, : len(LIP_INNER), 1]  # the rings' columns match
    lips[:, len(LIP_INNER) :, 1] = rim + FULLER * (lips[:, len(LIP_INNER) :, 1] - rim)
    return lips.reshape(len(modes), -1)


def _left_over(film: FilmedMotion) -> tuple[np.ndarray, float]:
    """What the blendshapes leave of the lips' movement [T, n * 3], and how far this person moves beside them."""
    real, spread = film.lips.reshape(len(film.lips), -1), _spread(film.articulators)
    gain = max(_LEAST_GAIN, float((real * spread).sum() / ((spread**2).sum() + 1e-9)))
    return real - gain * spread, gain


def fit_map(films: list[FilmedMotion], strength: float = STRENGTH) -> VertexMap:
    """The map over films; each person's own range of movement is divided out."""
    frames: Counter[str] = Counter()
    for film in films:
        frames[film.speaker] += len(film.lips)
    inputs, offsets, at_full = [], [], []
    for film in films:
        left, gain = _left_over(film)
        weight = (PERSON / frames[film.speaker]) ** 0.5
        given = _inputs(film.articulators)
        at_full.append(given)
        for lips in (left, _mirrored(left)):
            inputs.append(weight * gain * (given - np.median(given, 0)))
            offsets.append(weight * lips)
    x, y = np.concatenate(inputs), np.concatenate(offsets)
    whole = np.linalg.solve(x.T @ x + strength * np.eye(x.shape[1]), x.T @ y)  # [18, n * 3]
    scale = np.sqrt((x**2).mean(0))
    _, _, modes = np.linalg.svd(scale[:, None] * whole, full_matrices=False)
    modes = _less_full(_gap_kept(modes[:MODES]))
    weights = whole @ np.linalg.pinv(modes)
    unit = np.sqrt(((np.concatenate(at_full) @ weights) ** 2).mean(0)) + 1e-9  # values of equal size for the network
    return VertexMap((weights / unit).astype(np.float32), (modes * unit[:, None]).astype(np.float32))


def explained(films: list[FilmedMotion], vertices: VertexMap | None) -> float:
    """How much of the lips' movement is explained, as a part of its variance, with the map or by blendshapes alone."""
    wrong = total = 0.0
    for film in films:
        left, gain = _left_over(film)
        if vertices:
            offsets = vertices(film.articulators) @ vertices.modes
            left = left - gain * (offsets - np.median(offsets, 0))
        wrong += float((left**2).sum())
        total += float((film.lips**2).sum())
    return 1 - wrong / max(total, 1e-12)
