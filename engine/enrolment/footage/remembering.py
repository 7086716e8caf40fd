"""Looks learned from a film: what its pictures show beyond those that geometry paints, told by what the face does.

Ridge regression, region by region, from `engine.render.remembered.recall.terms` to the difference on its canvas.
What is kept must have lowered the error on stretches of the film that it had not been learned from.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import Look
from engine.imaging.resampling import read_at
from engine.render.remembered.canvases import canvas, cells
from engine.render.remembered.recall import raw_features, terms

RIDGES = (0.01, 0.05, 0.2)
MOUTH_AXES = 10
FOLDS = 4  # stretches of the film, each judged by what the others taught
GAIN = 0.03  # of the error that must be saved, or the region is left out
FEWEST, EYES_FEWEST = 40, 100  # frames that say anything: light on lids wanders, which few do not tell from lids
RARELY, EYES_RARELY = 0.15, 0.1  # movements rarer than that (of the most usual; of a coefficient) are not magnified
SEEN = (1.0, 99.0)  # percentiles between which a film has shown a movement


@dataclass(frozen=True)
class Judged:
    """How a region fared on stretches it had not learned from, in grey levels on its canvas."""

    before: float
    after: float
    kept: bool


def seen_on(region: str, beside: FloatArray, vertices: FloatArray) -> FloatArray:
    """A picture's difference ``beside`` [S, S, 3] on a canvas's pixels [n, 3], by its ``vertices`` [468, >= 2]."""
    _, corners, weights = cells(region)
    places = (vertices[corners, :2] * weights[..., None]).sum(1)
    return read_at(beside, places[:, 0], places[:, 1])


def features(region: str, avatar: Avatar, faces: FloatArray, motions: list[Motion]) -> FloatArray:
    """Raw features [T, r] of driven ``faces`` [T, 468, 3] and their motions."""
    rows = [raw_features(region, avatar, f, m.blendshapes, m.rotation) for f, m in zip(faces, motions, strict=True)]
    return np.array(rows, np.float32)


def learn(region: str, raw: FloatArray, shown: FloatArray) -> tuple[Look, Judged]:
    """The look of ``region`` from raw features [T, r] and differences on the canvas [T, n, 3]; whether it helps."""
    count = len(raw)
    fade = canvas(region).fade.reshape(-1, 1)[cells(region)[0]]
    found = np.zeros(len(RIDGES))
    for held in np.array_split(np.arange(count), FOLDS):
        rest = np.setdiff1d(np.arange(count), held)
        for k, ridge in enumerate(RIDGES):
            left = shown[held] - fade * _told(_fitted(region, raw[rest], shown[rest], ridge), region, raw[held])
            found[k] += float((fade * np.abs(left)).mean()) * len(held) / count
    before = float((fade * np.abs(shown)).mean())
    best = int(np.argmin(found))
    kept = count >= (FEWEST if region == "mouth" else EYES_FEWEST) and found[best] < (1 - GAIN) * before
    return _fitted(region, raw, shown, RIDGES[best]), Judged(before, float(found[best]), kept)


def _told(look: Look, region: str, raw: FloatArray) -> np.ndarray:
    on = cells(region)[0]
    known = (look.looks.reshape(len(look.looks), -1, 3)[:, on] * look.steps[:, None, None]).astype(np.float32)
    phi, believed = terms(look, raw)
    return np.tensordot((phi * believed[:, None]).astype(np.float32), known, 1)


def _fitted(region: str, raw: FloatArray, shown: FloatArray, ridge: float) -> Look:
    axes = _axes(region, raw)
    z = raw @ axes
    low, high = (np.percentile(z, end, axis=0) for end in SEEN)
    reach = np.percentile(np.sqrt((z * z).mean(1)), SEEN[1])
    tall, wide = canvas(region).shape
    none = np.zeros((1 + axes.shape[1] + 6, tall, wide, 3), np.int8)
    low, high = np.minimum(low, 0).astype(np.float32), np.maximum(high, 0).astype(np.float32)
    blank = np.zeros(len(none), np.float32)
    look = Look(axes.astype(np.float32), low, high, np.array([reach], np.float32), none, blank)
    phi = terms(look, raw)[0].astype(np.float64)
    square = phi.T @ phi + ridge * len(phi) * np.eye(phi.shape[1])
    weights = np.linalg.solve(square, phi.T @ shown.reshape(len(shown), -1)).reshape(phi.shape[1], -1, 3)
    steps = np.maximum(np.abs(weights).max((1, 2)) / 127, 1e-6)
    none.reshape(len(none), -1, 3)[:, cells(region)[0]] = np.rint(weights / steps[:, None, None])
    return Look(look.axes, look.low, look.high, look.reach, none, steps.astype(np.float32))


def _axes(region: str, raw: FloatArray) -> np.ndarray:
    """Directions [r, n] in which the film moves most, about rest; of the eyes each feature is one."""
    if region != "mouth":
        spread = np.sqrt((raw**2).mean(0))
        return np.diag(np.where(spread > 1e-3, 1 / np.maximum(spread, EYES_RARELY), 0.0))
    lips, turn = raw[:, :-2], raw[:, -2:]
    _, size, directions = np.linalg.svd(lips, full_matrices=False)
    count = min(MOUTH_AXES, len(size))
    out = np.zeros((raw.shape[1], count + 2))
    out[:-2, :count] = directions[:count].T / np.maximum(size[:count], RARELY * size[0]) * np.sqrt(len(raw))
    out[[-2, -1], [count, count + 1]] = 1 / np.maximum(np.sqrt((turn**2).mean(0)), 0.05)
    return out
