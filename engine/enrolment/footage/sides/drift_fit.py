"""How hair, ears, neck and shoulders follow a head, found by laying an avatar's pictures over its film's.

Gauss and Newton on the pictures themselves (Lucas, Kanade 1981), for all frames at once and from soft pictures to
sharp ones: the unknowns are not each frame's motion but what `engine.render.remembered.drifting` makes it of. What is
kept must have lowered the error on the film's end when fitted to what comes before it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import DRIFTS, NODES, Drift, FilmMemory, Manner
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur
from engine.render.prepared import Prepared
from engine.render.remembered.drifting import drift_terms, freedom, head_numbers, node_cells
from engine.render.renderer import Renderer

SOFT = (8.0, 8.0, 5.0, 3.0)  # pixels of 256 by which pictures are blurred, step by step
AGAIN = (4.0, 3.0)  # the same, where a good guess is at hand
LEAST = np.array([0.15, 0.15, 0.15, 0.15, 0.15])  # movements rarer than that are not magnified
SEEN = (1.0, 99.0)  # percentiles between which a film has shown a movement
SHORT, EVEN = 0.02, 0.8  # of the mean curvature: how dear a drift is, and how dear an uneven one
STRANGE = 25.0  # grey levels from which a difference is rather something else than motion
EVERY = 2  # pixels
ROUNDS = 60  # of conjugate gradients
HELD = 0.25  # of the frames, the last ones, by which it is judged
GAIN = 0.05  # of the error around the face that must be saved
FEWEST = 24  # frames that say anything
NEIGHBOURS = [(y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)]
_CORNERS = ((0, 0), (0, 1), (1, 0), (1, 1))


@dataclass(frozen=True)
class Seen:
    """Frames of a film beside their motion."""

    pictures: ByteArray  # [T, s, s, 3] in the portrait's crop and light
    motions: list[Motion]

    def __getitem__(self, rows: np.ndarray) -> Seen:
        return Seen(self.pictures[rows], [self.motions[k] for k in rows])


@dataclass(frozen=True)
class Sides:
    """What came of it: the drift, or None where it does not help; errors around the face, in grey levels."""

    drift: Drift | None
    before: float
    after: float


def fit_drift(avatar: Avatar, known: Prepared, seen: Seen) -> Sides | None:
    """How ``avatar`` drifts in frames in the order of the film; None where they are too few."""
    count = len(seen.motions)
    held = np.arange(count - round(HELD * count), count)
    rest = np.arange(count - len(held))
    if len(rest) < FEWEST or len(held) < FEWEST // 4:
        return None
    first = _fitted(avatar, known, seen[rest], no_drift(seen[rest].motions), SOFT)
    before = _error(avatar, known, seen[held], None)
    after = _error(avatar, known, seen[held], first)
    if after >= (1 - GAIN) * before:
        return Sides(None, before, after)
    bounds = no_drift(seen.motions)
    scaled = first.nodes * _rescaled(bounds.usual, first.usual)[:, None, None, None]
    return Sides(_fitted(avatar, known, seen, replace(bounds, nodes=scaled), AGAIN), before, after)


def around_error(renderer: Renderer, picture: ByteArray, motion: Motion) -> float:
    """Mean difference of a film's ``picture`` and its motion's around the face, in grey levels."""
    made = renderer.render(motion)
    around = on_sheet(renderer)
    return float(np.abs(made[around].astype(np.int16) - picture[around]).mean()) if around.any() else 0.0


def _error(avatar: Avatar, known: Prepared, seen: Seen, drift: Drift | None) -> float:
    renderer = _renderer(avatar, known, seen, drift)
    return float(np.mean([around_error(renderer, p, m) for p, m in zip(seen.pictures, seen.motions, strict=True)]))


def _renderer(avatar: Avatar, known: Prepared, seen: Seen, drift: Drift | None) -> Renderer:
    return Renderer(replace(avatar, film=FilmMemory({}, Manner(), drift)), seen.pictures.shape[1], known)


def on_sheet(renderer: Renderer) -> np.ndarray:
    """Which pixels of the picture painted last [s, s] lie on the sheet around the face."""
    skin, sheet = len(renderer.scene.dense.skin), len(renderer.scene.dense.sheet)
    which = renderer.painter.which
    return np.asarray((which >= skin) & (which < skin + sheet))


def no_drift(motions: list[Motion]) -> Drift:
    """No drift at all, with the bounds of ``motions``."""
    numbers = np.array([head_numbers(motion) for motion in motions])
    usual = np.maximum(np.sqrt((numbers**2).mean(0)), LEAST).astype(np.float32)
    low, high = (np.percentile(numbers / usual, end, axis=0).astype(np.float32) for end in SEEN)
    return Drift(usual, np.minimum(low, 0), np.maximum(high, 0), np.zeros((DRIFTS, NODES, NODES, 2), np.float32))


def _rescaled(usual: FloatArray, before: FloatArray) -> FloatArray:
    """Factors [7] of what was found for terms that counted in ``before`` [5], where they count in ``usual``."""
    grown = usual / before
    return np.concatenate([grown, [grown[0] ** 2, grown[0] * grown[1]]]).astype(np.float32)


def _fitted(avatar: Avatar, known: Prepared, seen: Seen, drift: Drift, softness: tuple[float, ...]) -> Drift:
    step = 4
    places = np.arange(0, avatar.size, step, dtype=np.float32)
    grid = np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)
    free = freedom(avatar, grid).reshape(len(places), -1)
    numbers = np.array([head_numbers(motion) for motion in seen.motions])
    terms = drift_terms(drift, numbers)
    for soft in softness:
        renderer = _renderer(avatar, known, seen, drift)
        curvature = np.zeros((NODES**2, 9, 3, DRIFTS, DRIFTS))
        slope = np.zeros((NODES**2, 2, DRIFTS))
        for picture, motion, phi in zip(seen.pictures, seen.motions, terms, strict=True):
            square, pull = pulls(renderer, picture, motion, soft, free, step)
            curvature += square[..., None, None] * np.outer(phi, phi)
            slope += pull[..., None] * phi
        found = _solved(curvature, slope, drift.nodes.reshape(DRIFTS, -1, 2).transpose(1, 2, 0).astype(float))
        nodes = found.transpose(2, 0, 1).reshape(drift.nodes.shape).astype(np.float32)
        drift = replace(drift, nodes=nodes)
    return drift


def pulls(
    renderer: Renderer,
    picture: ByteArray,
    motion: Motion,
    soft: float,
    free: FloatArray,
    step: int,
    within: Callable[[], np.ndarray] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """How one frame bends at each pair of nodes [n, 9, 3] (xx, xy, yy) and where it pulls each node [n, 2].

    ``within`` says which pixels [s, s] count beside those around the face, once the motion's picture is painted.
    """
    made = renderer.render(motion)
    size = renderer.avatar.size
    scale, soft = len(made) / size, soft * len(made) / 256
    own, wanted = blur(made, soft), blur(picture, soft)
    both = 0.5 * (own + wanted)
    inner = on_sheet(renderer)
    if within:
        inner &= within()
    inner[:3] = inner[-3:] = False
    inner[:, :3] = inner[:, -3:] = False
    on = np.zeros_like(inner)
    on[::EVERY, ::EVERY] = inner[::EVERY, ::EVERY]
    places = np.stack([renderer.painter.places[k][on] for k in (0, 1)], -1)
    apart = (wanted - own)[on]
    weight = 1 / (1 + (np.abs(apart).mean(1) / STRANGE) ** 2)
    moves = -scale * read_at(free, places[:, 0] / step, places[:, 1] / step)[:, None]
    row, column = np.nonzero(on)  # none beside the picture's edge
    x = 0.5 * (both[row, column + 1] - both[row, column - 1]) * moves
    y = 0.5 * (both[row + 1, column] - both[row - 1, column]) * moves
    squares = [weight * (a * b).sum(1) for a, b in ((x, x), (x, y), (y, y))]
    forces = [weight * (a * apart).sum(1) for a in (x, y)]
    nodes, shares = node_cells(places, size)
    square, pull = np.zeros((NODES**2, 9, 3)), np.zeros((NODES**2, 2))
    for i, (down_i, across_i) in enumerate(_CORNERS):
        for k, values in enumerate(forces):
            pull[:, k] += np.bincount(nodes[:, i], shares[:, i] * values, NODES**2)
        for j, (down_j, across_j) in enumerate(_CORNERS):
            pair = NEIGHBOURS.index((down_j - down_i, across_j - across_i))
            share = shares[:, i] * shares[:, j]
            for k, values in enumerate(squares):
                square[:, pair, k] += np.bincount(nodes[:, i], share * values, NODES**2)
    return square, pull


def _solved(curvature: np.ndarray, slope: np.ndarray, now: np.ndarray) -> np.ndarray:
    """The nodes [n, 2, 7] one step of Gauss and Newton after ``now``, by conjugate gradients."""
    dear = float(np.mean([curvature[:, 4, k].trace(axis1=1, axis2=2).mean() for k in (0, 2)])) / DRIFTS

    def prior(x: np.ndarray) -> np.ndarray:
        return dear * (SHORT * x + EVEN * _unevenness(x))

    def bent(x: np.ndarray) -> np.ndarray:
        return _bent(curvature, x) + prior(x)

    goal = slope - prior(now)
    step = np.zeros_like(goal)
    rest = goal.copy()
    way, left = rest.copy(), float((rest**2).sum())
    for _ in range(ROUNDS):
        if left <= 1e-8 * float((goal**2).sum()):
            break
        ahead = bent(way)
        far = left / float((way * ahead).sum())
        step, rest = step + far * way, rest - far * ahead
        after = float((rest**2).sum())
        way, left = rest + after / left * way, after
    return now + step


def _unevenness(x: np.ndarray) -> np.ndarray:
    """The grid's Laplacian of ``x`` [n, 2, 7]."""
    grid, out = x.reshape(NODES, NODES, 2, -1), np.zeros((NODES, NODES, 2, x.shape[2]))
    aside, below = np.diff(grid, axis=1), np.diff(grid, axis=0)
    out[:, 1:] += aside
    out[:, :-1] -= aside
    out[1:] += below
    out[:-1] -= below
    return out.reshape(x.shape)


def _bent(curvature: np.ndarray, x: np.ndarray) -> np.ndarray:
    """The curvature [n, 9, 3, 7, 7] times ``x`` [n, 2, 7]: each node and the eight around it."""
    grid, out = x.reshape(NODES, NODES, 2, -1), np.zeros((NODES, NODES, 2, x.shape[2]))
    square = curvature.reshape(NODES, NODES, *curvature.shape[1:])
    for pair, (down, across) in enumerate(NEIGHBOURS):
        here = slice(max(0, -down), NODES - max(0, down)), slice(max(0, -across), NODES - max(0, across))
        there = slice(max(0, down), NODES - max(0, -down)), slice(max(0, across), NODES - max(0, -across))
        bend, other = square[here][:, :, pair], grid[there]
        for axis, (first, second) in enumerate(((0, 1), (1, 2))):
            moved = bend[:, :, first] @ other[:, :, 0, :, None] + bend[:, :, second] @ other[:, :, 1, :, None]
            out[here][:, :, axis] += moved[..., 0]
    return out.reshape(x.shape)
