"""How deep hair and ears lie behind a face, found where its shots were taken in different rooms and clothes.

Nothing of such a shot can be laid over the portrait. But within one shot room, clothes and light stay: its calmest
frame, laid back onto the texture, is a portrait of its own, and how its turned frames differ from that one's pictures
tells how much deeper or nearer hair and ears lie than geometry says. A depth is the head's, the same in all shots. It
is kept as a drift (`drift_fit`) that a turn and a nod pull by what is missing; above the chin alone, for collars are
others.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from engine.contracts import ByteArray, Motion
from engine.enrolment.footage.sides.drift_fit import NEIGHBOURS, Seen, Sides, no_drift, on_sheet, pulls
from engine.enrolment.footage.sides.other_rooms import above_chin, texture_points
from engine.enrolment.footage.sides.undoing import undone
from engine.enrolment.trackers.person_matte import person_matte
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import DRIFTS, NODES, Drift, FilmMemory, Manner
from engine.face.panels import MARGIN
from engine.face.surround import smoothstep
from engine.imaging.resampling import read_at
from engine.render.prepared import Prepared
from engine.render.remembered.drifting import MARGIN as OVER
from engine.render.remembered.drifting import freedom, head_numbers
from engine.render.renderer import Renderer

SOFT = (8.0, 5.0, 3.0)  # pixels of 256 by which pictures are blurred, step by step
SHORT, EVEN = 1.0, 0.8  # of the mean curvature: how dear a depth is, and how dear an uneven one
JAW = 0.15  # of the face's height above the chin, from which a depth is felt in full; at the chin not at all
LEAST_TURN = 0.06  # sine by which a shot's head must turn away from its calmest frame
HELD = 0.25  # of a shot's frames, the last ones, by which it is judged
GAIN = 0.03  # of the error on the head that must be saved
FEWEST = 12  # frames that say anything
STEP = 4  # portrait pixels for one, where a drift's freedom is read


@dataclass(frozen=True)
class Shot:
    """One shot beside its calmest frame."""

    seen: Seen
    mattes: np.ndarray  # [T, s, s] whether a pixel shows the person
    calm: int  # which of the frames

    def only(self, rows: np.ndarray) -> Shot:
        """The same with these rows and the calmest frame."""
        rows = np.union1d(rows, [self.calm])
        return Shot(self.seen[rows], self.mattes[rows], int(np.searchsorted(rows, self.calm)))

    @property
    def frames(self) -> list[tuple[ByteArray, Motion, np.ndarray]]:
        """All but the calmest: picture, motion, matte."""
        every = zip(self.seen.pictures, self.seen.motions, self.mattes, strict=True)
        return [frame for k, frame in enumerate(every) if k != self.calm]


def fit_depth(avatar: Avatar, known: Prepared, shots: list[Seen]) -> Sides | None:
    """How ``avatar``'s hair and ears follow its head in ``shots``; None where they turn too little to tell."""
    told = [shot for seen in shots if (shot := _turning(seen))]
    parts = [np.array_split(np.arange(len(s.mattes)), [len(s.mattes) - round(HELD * len(s.mattes))]) for s in told]
    held = [shot.only(late) for shot, (_, late) in zip(told, parts, strict=True)]
    rest = [shot.only(early) for shot, (early, _) in zip(told, parts, strict=True)]
    if sum(len(shot.frames) for shot in rest) < FEWEST:
        return None
    bounds = no_drift([motion for shot in told for motion in shot.seen.motions])
    drift = _fitted(avatar, known, rest, bounds)
    before, after = _error(avatar, known, held, bounds), _error(avatar, known, held, drift)
    if after >= (1 - GAIN) * before:
        return Sides(None, before, after)
    return Sides(_fitted(avatar, known, told, bounds), before, after)


def _turning(seen: Seen) -> Shot | None:
    if len(seen.motions) < 2:
        return None
    turns = np.array([head_numbers(motion)[:2] / 5 for motion in seen.motions])
    calm = int(np.argmin(np.linalg.norm(turns, axis=1)))
    if np.linalg.norm(turns - turns[calm], axis=1).max() < LEAST_TURN:
        return None
    return Shot(seen, np.stack([person_matte(picture) > 0.5 for picture in seen.pictures]), calm)


def _own_renderer(
    avatar: Avatar, known: Prepared, drift: Drift, shot: Shot
) -> tuple[Renderer, Callable[[np.ndarray], np.ndarray]]:
    """What makes a shot's pictures of its calmest frame; and where the last of them shows the head of such a matte."""
    calm, moved = shot.seen.pictures[shot.calm], replace(avatar, film=FilmMemory({}, Manner(), drift))
    plain = Renderer(moved, len(calm), known)
    both = np.dstack([calm, 255 * shot.mattes[shot.calm].astype(np.uint8)])
    laid, seen = undone(plain, shot.seen.motions[shot.calm], both)
    renderer = Renderer(moved, len(calm), replace(known, scene=known.scene.showing(laid[..., :3])))
    margin = avatar.size // MARGIN
    head = np.pad((laid[..., 3] > 127) & seen, margin) & (above_chin(avatar, texture_points(avatar)) > 0)

    def shown(matte: np.ndarray) -> np.ndarray:
        x, y = renderer.painter.places + margin
        return np.asarray(on_sheet(renderer) & matte & (read_at(head.astype(np.float32), x, y) > 0.5))

    return renderer, shown


def _error(avatar: Avatar, known: Prepared, shots: list[Shot], drift: Drift) -> float:
    """Mean difference of the shots' frames and their motions' pictures on the head, in grey levels."""
    found = []
    for shot in shots:
        renderer, shown = _own_renderer(avatar, known, drift, shot)
        for picture, motion, matte in shot.frames:
            apart = np.abs(renderer.render(motion).astype(np.int16) - picture).mean(2)[shown(matte)]
            found.append(float(apart.mean()) if len(apart) else 0.0)
    return float(np.mean(found))


def _fitted(avatar: Avatar, known: Prepared, shots: list[Shot], bounds: Drift) -> Drift:
    line = (np.linspace(0, 1, NODES) * (1 + 2 * OVER) - OVER) * avatar.size
    nodes = np.stack(np.meshgrid(line, line), -1).reshape(-1, 2).astype(np.float32)
    felt = smoothstep(above_chin(avatar, nodes) / JAW)
    places = np.arange(0, avatar.size, STEP, dtype=np.float32)
    free = freedom(avatar, np.stack(np.meshgrid(places, places), -1).reshape(-1, 2)).reshape(len(places), -1)
    deep, uneven = np.zeros(NODES**2), _unevenness()
    for soft in SOFT:
        drift = _drift(bounds, felt * deep)
        bend, slope = np.zeros((NODES**2, NODES**2)), np.zeros(NODES**2)
        for shot in shots:
            renderer, shown = _own_renderer(avatar, known, drift, shot)
            own = head_numbers(shot.seen.motions[shot.calm])[:2] / 5
            for picture, motion, matte in shot.frames:
                square, pull = pulls(renderer, picture, motion, soft, free, STEP, partial(shown, matte))
                way = head_numbers(motion)[:2] / 5 - own
                slope += felt * (pull @ way)
                _add(bend, square @ np.array([way[0] ** 2, 2 * way[0] * way[1], way[1] ** 2]))
        bend *= felt[:, None] * felt
        prior = np.trace(bend) / NODES**2 * (SHORT * np.eye(NODES**2) + EVEN * uneven)
        deep += np.linalg.solve(bend + prior, slope - prior @ deep)
    return _drift(bounds, felt * deep)


def _add(bend: np.ndarray, found: np.ndarray) -> None:
    """Adds what pairs of neighbouring nodes have [n, 9] to the matrix of all pairs [n, n]."""
    grid = np.arange(NODES**2).reshape(NODES, NODES)
    for pair, (down, across) in enumerate(NEIGHBOURS):
        here = grid[max(0, -down) : NODES - max(0, down), max(0, -across) : NODES - max(0, across)].ravel()
        bend[here, here + down * NODES + across] += found[here, pair]


def _unevenness() -> np.ndarray:
    """The grid's Laplacian as a matrix [n, n]."""
    edge = np.diag(np.full(NODES - 1, 1.0), 1)
    line = edge + edge.T
    both = np.kron(line, np.eye(NODES)) + np.kron(np.eye(NODES), line)
    return np.asarray(np.diag(both.sum(1)) - both)


def _drift(bounds: Drift, deep: np.ndarray) -> Drift:
    """What a turn and a nod do to nodes that lie so many pixels deeper [n] than geometry says."""
    nodes = np.zeros((DRIFTS, NODES, NODES, 2), np.float32)
    for axis in (0, 1):
        nodes[axis, ..., axis] = deep.reshape(NODES, NODES) * bounds.usual[axis] / 5
    return replace(bounds, nodes=nodes)
