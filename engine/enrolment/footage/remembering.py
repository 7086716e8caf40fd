"""Looks learned from a film: what its pictures show beyond those that geometry paints, told by what the face does.

Ridge regression, region by region, from `engine.render.remembered.recall.terms` to the difference on its canvas.
Between the lips it replaces what geometry paints: teeth added to other teeth would show both. Such means are soft, so
details of single frames are added where the face does about the same: their brightness, for their colours are those of
their light and of how the film was compressed.
What is kept must have lowered the error on stretches of the film that it had not been learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.enrolment.footage.looks.even_skin import PRODUCTS, steadied
from engine.enrolment.footage.looks.film_places import film_places, spread_out
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import SQUARED, Look
from engine.face.panels import LUMA
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur
from engine.render.remembered.canvases import canvas, cells, inside
from engine.render.remembered.recall import raw_features, terms

RIDGES = (0.01, 0.05, 0.2)
MOUTH_AXES = 10
FOLDS = 4  # stretches of the film, each judged by what the others taught
GAIN = 0.03  # of the error that must be saved, or the region is left out
FEWEST, EYES_FEWEST = 40, 100  # frames that say anything: light on lids wanders, which few do not tell from lids
RARELY, EYES_RARELY = 0.15, 0.1  # movements rarer than that (of the most usual; of a coefficient) are not magnified
SEEN = (1.0, 99.0)  # percentiles between which a film has shown a movement
SINGLE, EACH = 24, 5  # frames whose details are kept at most; frames of the film for each
NUMBERS = 5  # by which frames are told to be near: the directions in which the mouth's looks differ most
NARROW = 0.3  # of the square of how far such frames lie apart: the variance within which one counts
LASHES = 1.5  # pixels by which what comes with lids is softened
FINE = 3.0  # pixels of the canvas: what is finer than that is a detail
CRISP = 0.5  # times such details are added once more: reading between pixels softens them, and so do shares of two


@dataclass(frozen=True)
class Judged:
    """How a region fared on stretches it had not learned from, in grey levels on its canvas."""

    before: float
    after: float
    kept: bool
    ridge: float  # that served best


def seen_on(region: str, beside: FloatArray, vertices: FloatArray) -> FloatArray:
    """A picture's difference ``beside`` [S, S, 3] on a canvas's pixels [n, 3], by its ``vertices`` [468, >= 2]."""
    _, corners, weights = cells(region)
    places = (vertices[corners, :2] * weights[..., None]).sum(1)
    return read_at(beside, places[:, 0], places[:, 1])


def features(region: str, avatar: Avatar, faces: FloatArray, motions: list[Motion]) -> FloatArray:
    """Raw features [T, r] of driven ``faces`` [T, 468, 3] and their motions."""
    rows = [raw_features(region, avatar, f, m.blendshapes, m.rotation) for f, m in zip(faces, motions, strict=True)]
    return np.array(rows, np.float32)


def learn(region: str, raw: FloatArray, shown: FloatArray, painted: FloatArray) -> tuple[Look, Judged]:
    """The look of ``region`` from raw features [T, r] and differences on the canvas [T, n, 3]; whether it helps.

    ``painted`` [T, n, 3] is what geometry paints there, without the difference.
    """
    count = len(raw)
    fade = canvas(region).fade.reshape(-1, 1)[cells(region)[0]]
    before = float((fade * np.abs(shown)).mean())
    found = np.zeros(len(RIDGES) + 1)
    best = 0
    for k in range(len(found)):  # the last time with details as well
        ridge, details = (RIDGES[k], 0) if k < len(RIDGES) else (RIDGES[best], SINGLE)
        for held in np.array_split(np.arange(count), FOLDS):
            rest = np.setdiff1d(np.arange(count), held)
            look = _fitted(region, raw[rest], shown[rest], painted[rest], ridge, details)
            left = _left(look, region, raw[held], shown[held], painted[held])
            found[k] += float((fade * np.abs(left)).mean()) * len(held) / count
        best = int(np.argmin(found[: k + 1])) if k < len(RIDGES) else best
    kept = count >= (FEWEST if region == "mouth" else EYES_FEWEST) and found[-1] < (1 - GAIN) * before
    judged = Judged(before, float(found[-1]), kept, RIDGES[best])
    return taught(region, raw, shown, painted, judged.ridge), judged


def taught(region: str, raw: FloatArray, shown: FloatArray, painted: FloatArray, ridge: float) -> Look:
    """The look of ``region`` as `learn` has it, from such frames and with such a ``ridge``."""
    return _fitted(region, raw, shown, painted, ridge, SINGLE)


def _hidden(region: str) -> FloatArray:
    """Which of a canvas's pixels [n, 1] lie between the lips."""
    return inside(region).reshape(-1, 1)[cells(region)[0]]


def _left(look: Look, region: str, raw: FloatArray, shown: FloatArray, painted: FloatArray) -> FloatArray:
    """What a look leaves of the differences ``shown`` [T, n, 3]."""
    on = cells(region)[0]
    known = (look.looks.reshape(len(look.looks), -1, 3)[:, on] * look.steps[:, None, None]).astype(np.float32)
    weights = terms(look, raw)
    left = _over(look, region, weights, shown, painted)
    left -= canvas(region).fade.reshape(-1, 1)[on] * np.tensordot(weights, known, 1)
    return left


def _over(look: Look, region: str, weights: FloatArray, shown: FloatArray, painted: FloatArray) -> FloatArray:
    """Differences [T, n, 3] from what a look is added to: what was painted, or the colour that lies under it."""
    if not len(look.under):
        return shown.copy()
    return np.asarray(shown + weights[:, :1, None] * _hidden(region) * (painted - look.under), np.float32)


def _fitted(region: str, raw: FloatArray, shown: FloatArray, painted: FloatArray, ridge: float, details: int) -> Look:
    axes = _axes(region, raw)
    z = raw @ axes
    low, high = (np.percentile(z, end, axis=0) for end in SEEN)
    reach = np.percentile(np.sqrt((z * z).mean(1)), SEEN[1])
    tall, wide = canvas(region).shape
    none = np.zeros((1 + axes.shape[1] + 6, tall, wide, 3), np.int8)
    low, high = np.minimum(low, 0).astype(np.float32), np.maximum(high, 0).astype(np.float32)
    blank = np.zeros(len(none), np.float32)
    look = Look(axes.astype(np.float32), low, high, np.array([reach], np.float32), none, blank)
    places, beside = film_places(np.clip(z, low, high))
    look = replace(look, places=places, beside=beside)
    if region == "mouth":
        within = _hidden(region)[:, 0] > 0.9
        colours = (painted[:, within] + shown[:, within]).reshape(-1, 3)
        look = replace(look, under=np.median(colours, 0).astype(np.float32))
    weights = terms(look, raw)
    over = _over(look, region, weights, shown, painted)
    phi = weights.astype(np.float64)
    square = phi.T @ phi + ridge * len(phi) * np.eye(phi.shape[1])
    onto = np.asarray(np.linalg.solve(square, phi.T), np.float32)
    layers: FloatArray = (onto @ over.reshape(len(over), -1)).reshape(phi.shape[1], -1, 3)
    layers += steadied(region, phi, onto, over)
    if region != "mouth":
        layers = _soft_lids(region, layers)
    count = min(details, len(raw) // EACH) if region == "mouth" else 0
    if count > 1:
        look, fine = _detailed(look, region, weights, over, layers, count)
        layers = np.concatenate([layers, fine])
    steps = np.maximum(np.abs(layers).max((1, 2)) / 127, 1e-6).astype(np.float32)
    looks = np.zeros((len(layers), tall, wide, 3), np.int8)
    looks.reshape(len(looks), -1, 3)[:, cells(region)[0]] = np.rint(layers / steps[:, None, None])
    return replace(look, looks=looks, steps=steps)


def _soft_lids(region: str, layers: FloatArray) -> FloatArray:
    """An eye's ``layers`` [m, n, 3], those soft that come with its lids, the first of its axes.

    A line of lashes lies where its lid is: one that a film has a little lower would leave a pale line where it is
    painted.
    """
    with_lids = np.array([1, *(len(layers) - PRODUCTS + k for k in range(SQUARED))])
    on, flat = cells(region)[0], np.zeros((*canvas(region).shape, len(with_lids), 3), np.float32)
    flat.reshape(-1, *flat.shape[2:])[on] = layers[with_lids].transpose(1, 0, 2)
    layers[with_lids] = blur(flat, LASHES).reshape(-1, *flat.shape[2:])[on].transpose(1, 0, 2)
    return layers


def _detailed(
    look: Look, region: str, weights: FloatArray, over: FloatArray, layers: FloatArray, count: int
) -> tuple[Look, FloatArray]:
    """The look with ``count`` single frames at the most, and their details [k, n, 3].

    ``weights`` [T, m] and ``over`` [T, n, 3] are all frames', ``layers`` [m, n, 3] what is told of them already.
    """
    hidden = _hidden(region)
    seen = (layers * hidden).reshape(len(layers), -1)
    directions, size, _ = np.linalg.svd(seen @ seen.T)
    onto = directions[:, :NUMBERS] * np.sqrt(size[:NUMBERS])
    places = weights @ onto
    rows = spread_out(places, count)
    apart = ((places[rows][:, None] - places[rows][None]) ** 2).sum(2)
    scale = np.sqrt(NARROW * float(np.median(np.sort(apart, 1)[:, 1])))
    rest = over[rows] - np.tensordot(weights[rows], layers, 1)
    tall, wide = canvas(region).shape
    on = cells(region)[0]
    flat = np.zeros((len(rows), tall * wide, 3), np.float32)
    flat[:, on] = rest
    soft = np.stack([blur(picture.reshape(tall, wide, 3), FINE).reshape(-1, 3)[on] for picture in flat])
    known = replace(look, onto=np.asarray(onto / scale, np.float32), seen=np.asarray(places[rows] / scale, np.float32))
    brightness = (rest + CRISP * (rest - soft)) @ LUMA
    return known, np.asarray(hidden * brightness[..., None] * np.ones(3), np.float32)


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
