"""Looks learned from a film: what its pictures show beyond those that geometry paints, told by what the face does.

Ridge regression, region by region, from `engine.render.remembered.recall.terms` to the difference on its canvas.
Between the lips it replaces what geometry paints: teeth added to other teeth would show both. Such means are soft, so
details of single frames are added where the face does about the same: their brightness, for their colours are those of
their light and of how the film was compressed.
What is kept must have lowered the error on stretches of the film that it had not been learned from.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import Look
from engine.face.panels import LUMA
from engine.imaging.resampling import read_at
from engine.imaging.shapes import polygon_mask
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
PLACES, USUALLY = 48, 75.0  # places that stand for a film's frames; percentile of how far those are beside them
SINGLE, EACH = 24, 5  # frames whose details are kept at most; frames of the film for each
NUMBERS = 5  # by which frames are told to be near: the directions in which the mouth's looks differ most
NARROW = 0.3  # of the square of how far such frames lie apart: the variance within which one counts
PRODUCTS = 6
TURNED = 0.2
EVEN, MEET = 8.0, 2.0  # pixels of the canvas within which skin, or lips, have one colour; and over which they meet
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
    look = _placed(look, np.clip(z, low, high))
    if region == "mouth":
        within = _hidden(region)[:, 0] > 0.9
        colours = (painted[:, within] + shown[:, within]).reshape(-1, 3)
        look = replace(look, under=np.median(colours, 0).astype(np.float32))
    weights = terms(look, raw)
    over = _over(look, region, weights, shown, painted)
    phi = weights.astype(np.float64)
    square = phi.T @ phi + ridge * len(phi) * np.eye(phi.shape[1])
    onto = np.asarray(np.linalg.solve(square, phi.T), np.float32)
    layers = (onto @ over.reshape(len(over), -1)).reshape(phi.shape[1], -1, 3)
    layers += _steadied(region, phi, onto, over)
    count = min(details, len(raw) // EACH) if region == "mouth" else 0
    if count > 1:
        look, fine = _detailed(look, region, weights, over, layers, count)
        layers = np.concatenate([layers, fine])
    steps = np.maximum(np.abs(layers).max((1, 2)) / 127, 1e-6).astype(np.float32)
    looks = np.zeros((len(layers), tall, wide, 3), np.int8)
    looks.reshape(len(looks), -1, 3)[:, cells(region)[0]] = np.rint(layers / steps[:, None, None])
    return replace(look, looks=looks, steps=steps)


def _steadied(region: str, phi: np.ndarray, onto: FloatArray, over: FloatArray) -> FloatArray:
    """What layers [m, n, 3] need for skin, and lips, to change evenly with nothing that the face does.

    ``onto`` [m, T] makes them of ``over`` [T, n, 3] by ``phi`` [T, m]. Light wanders while a film is made; told by what
    lips and lids do, it would come and go with them. They are beside the portrait's what they are in the mean.
    """
    alone = np.zeros_like(onto)
    turns = len(onto) - PRODUCTS - np.array([2, 1])  # the last two axes: the head's
    few = [0, *turns.tolist()]
    square = phi[:, few].T @ phi[:, few] + np.diag([1e-6, *[TURNED * len(phi)] * 2])
    alone[few] = np.linalg.solve(square, phi[:, few].T)
    wanted = (alone - onto) @ over.reshape(len(over), -1)
    on, flat = cells(region)[0], np.zeros((len(onto), canvas(region).fade.size, 3), np.float32)
    flat[:, on] = wanted.reshape(len(onto), -1, 3)
    known = np.zeros(flat.shape[1], np.float32)
    known[on] = 1
    out = np.zeros_like(flat)
    for area in _areas(region):
        share = area * known.reshape(area.shape)
        total = np.maximum(blur(share, EVEN), 1e-3)[..., None]
        for k, layer in enumerate(flat):
            even = blur(layer.reshape(*area.shape, 3) * share[..., None], EVEN) / total
            out[k] += (area[..., None] * even).reshape(-1, 3)
    return out[:, on]


@cache
def _areas(region: str) -> tuple[FloatArray, ...]:
    """How much of each pixel [h, w] of a canvas is skin, and of the mouth's how much is lip; neither where they meet."""
    flat = canvas(region)
    ring = {"mouth": top.LIP_OUTER, "eye_right": top.EYE_RIGHT, "eye_left": top.EYE_LEFT}[region]
    places = flat.places[list(ring)].astype(np.float64)
    within = blur(polygon_mask(places, flat.shape[1], flat.shape[0]).reshape(flat.shape).astype(np.float32), MEET)
    skin = np.clip(1 - 2 * within, 0, 1)
    if region != "mouth":
        return (skin,)
    return skin, np.clip(2 * within - 1, 0, 1) * np.clip(1 - 2 * blur(inside(region), MEET), 0, 1)


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
    rows = _spread_out(places, count)
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


def _placed(look: Look, z: FloatArray) -> Look:
    """The look with places that stand for the film's frames ``z`` [T, n], rest among them.

    A face may be as far beside them as most of the film's frames are beside those of its other parts.
    """
    count = min(PLACES, len(z) // EACH)
    if count < FOLDS:
        return look
    near = _nearness(z[_spread_out(z, count)])
    left = []
    for held in np.array_split(np.arange(len(z)), FOLDS):
        rest = z[np.setdiff1d(np.arange(len(z)), held)]
        others = rest[_spread_out(rest, count)]
        share = np.exp(-((z[held][:, None] - others[None]) ** 2).sum(2) / (2 * near**2))
        left.append(np.linalg.norm(z[held] - share @ others / np.maximum(share.sum(1, keepdims=True), 1e-9), axis=1))
    beside = near, float(np.percentile(np.concatenate(left), USUALLY))
    places = np.concatenate([np.zeros_like(z[:1]), z[_spread_out(z, count)]])
    return replace(look, places=places.astype(np.float32), beside=np.array(beside, np.float32))


def _nearness(places: FloatArray) -> float:
    """The usual distance from one of ``places`` [K, n] to the next."""
    apart = ((places[:, None] - places[None]) ** 2).sum(2)
    return max(float(np.sqrt(np.median(np.sort(apart, 1)[:, 1]))), 0.1)


def _spread_out(places: FloatArray, count: int) -> np.ndarray:
    """Rows [k] of ``places`` [T, d] that stand for all: those nearest to the middles of ``count`` heaps (Lloyd)."""
    middles = places[np.linspace(0, len(places) - 1, count).astype(int)]
    for _ in range(20):
        nearest = ((places[:, None] - middles[None]) ** 2).sum(2).argmin(1)
        middles = np.stack([places[nearest == k].mean(0) if (nearest == k).any() else middles[k] for k in range(count)])
    return np.unique(((places[:, None] - middles[None]) ** 2).sum(2).argmin(0))


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
