"""A film's shots brought to a portrait: where its frames lie in the portrait's crop, in which light, and which teach.

A shot from elsewhere (nearer, in other light) is laid over the portrait by the face's median size and place, and its
colours by the skin's.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.film_crops import crops, in_crop
from engine.enrolment.footage.looks.shot_light import light_gain, light_of, serves
from engine.enrolment.footage.remembering import seen_on
from engine.enrolment.footage.sides.drift_fit import Seen, around_error
from engine.enrolment.footage.sides.view_fit import Plan, planned
from engine.enrolment.footage.talking_film import Film
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import REGIONS
from engine.face.morphable_model import face_model
from engine.imaging.resampling import resized, to_bytes
from engine.imaging.smoothing import grow
from engine.render.remembered.recall import raw_features
from engine.render.renderer import Renderer

LEARN_AT = 256  # pixels of the pictures compared
MOST = 600  # frames that are learned from
OFF = 2.5  # times the usual distance of landmarks and driven mesh, beyond which a frame was badly tracked
AT_ONCE = 50  # frames held in memory
TURNING, HEADS = 8, 16  # shots from which is learned how deep hair and ears lie, at most; frames of one
AROUND = 80  # frames from which is learned how surroundings follow a head
ELSEWHERE, PROBED = 1.6, 3  # times the least difference around the face from which a shot is taken elsewhere; frames
SAME = 20.0  # grey levels up to which a shot may differ there in any case
NEARER, ASIDE = 0.15, 0.15  # logarithm of the size, and share of the portrait's side, by which a face may have moved
STILL, STRANGE = 0.9, 60.0  # of the other difference, from which a camera stands as it did; grey levels that count


@dataclass(frozen=True)
class Lessons:
    """One shot. T frames."""

    frames: np.ndarray  # [T] of the film
    framing: np.ndarray  # [2, 3] the crop's pixels from those of the film's own picture
    landmarks: FloatArray  # [T, 478, 3] pixels of the crop
    here: bool = True  # whether a camera that stood as for the portrait filmed it: else light falls from elsewhere


@dataclass(frozen=True)
class Filmed:
    """A film beside the avatar of its portrait: shots in the portrait's crop, and what drives each of their frames."""

    path: Path
    film: Film
    quarter: int  # quarter turns to the left that set it upright
    renderer: Renderer  # of the photo alone
    shots: list[Lessons]
    motions: list[list[Motion]]  # of each shot
    _small: dict[tuple[int, int], ByteArray] = field(default_factory=dict, init=False)  # pictures learned from, MOST

    @cached_property
    def picked(self) -> list[np.ndarray]:
        """Rows of each shot to learn from: evenly taken, badly tracked ones left out."""
        away = [self._off(part, moved) for part, moved in zip(self.shots, self.motions, strict=True)]
        limit = OFF * float(np.median(np.concatenate(away)))
        good = [np.flatnonzero(off < limit) for off in away]
        step = max(1.0, sum(len(rows) for rows in good) / MOST)
        return [rows[np.unique((np.arange(0, len(rows), step)).astype(int))] if len(rows) else rows for rows in good]

    def _off(self, part: Lessons, motions: list[Motion]) -> np.ndarray:
        """How far [T] the driven mesh lies from the landmarks, in pixels."""
        meshes = np.stack([self.renderer.driven_mesh(motion)[:, :2] for motion in motions])
        return np.asarray(np.abs(meshes - part.landmarks[:, : top.VERTICES, :2]).mean((1, 2)))

    def pictures(self, shot: int, rows: np.ndarray, side: int = LEARN_AT) -> ByteArray:
        """Some ``rows`` of a shot as the film shows them [n, side, side, 3]; small ones are kept: all ask for them."""
        part, sizes = self.shots[shot], (self.renderer.avatar.size, side)
        if side != LEARN_AT:
            return crops(self.path, self.film, part.frames[rows], part.framing, sizes, self.quarter)
        new = np.array([row for row in rows if (shot, int(row)) not in self._small], int)
        for row, picture in zip(
            new, crops(self.path, self.film, part.frames[new], part.framing, sizes, self.quarter), strict=True
        ):
            self._small[shot, int(row)] = picture
        return np.stack([self._small[shot, int(row)] for row in rows])


@dataclass(frozen=True)
class Setting:
    """Where and in which light a shot was taken, beside the portrait."""

    gain: FloatArray  # [3] factors to the portrait's light
    here: bool  # whether in the same place and clothes


@dataclass(frozen=True)
class Camera:
    """How a portrait was cut out of a film."""

    shape: tuple[int, int]  # rows and columns of the film's own picture
    framing: np.ndarray  # [2, 3] the portrait's pixels from those

    def written(self) -> str:
        """As one of an avatar's facts."""
        return json.dumps([*self.shape, *np.round(self.framing, 6).ravel().tolist()])

    @staticmethod
    def read(text: str) -> Camera | None:
        """What `written` wrote, or None where it is not that."""
        with contextlib.suppress(ValueError, TypeError):
            numbers = np.array(json.loads(text), np.float64)
            if numbers.shape == (8,) and np.isfinite(numbers).all() and (np.abs(numbers) < 1e5).all():
                return Camera((int(numbers[0]), int(numbers[1])), numbers[2:].reshape(2, 3))
        return None


def framed(
    path: Path,
    film: Film,
    quarter: int,
    shots: list[slice],
    avatar: Avatar,
    shape: tuple[int, ...],
    camera: Camera | None = None,
    at: int | None = None,
) -> list[Lessons]:
    """The shots of a film of ``shape`` (H, W, ...) in the crop of the avatar's portrait.

    Where a ``camera`` that made the portrait still stands as it did, its pictures are cut as the portrait was: what
    does not move then lies where it lay. Other shots are laid over the portrait by the face. ``at`` is the frame that
    became the portrait, if any.
    """
    out = []
    for shot in shots:
        landmarks, frames = film.landmarks[shot], np.arange(shot.start, shot.stop)
        whole = np.array([[1.0, 0, 0], [0, 1.0, 0]])
        framing, here = _laid_over(np.median(in_crop(landmarks, film, shape, whole), 0), avatar), False
        if camera and camera.shape == tuple(shape[:2]):
            own = at is not None and shot.start <= at < shot.stop
            if own or _stands(path, film, quarter, frames, avatar, camera.framing, framing):
                framing, here = camera.framing, True
        out.append(Lessons(frames, framing, in_crop(landmarks, film, shape, framing), here))
    return out


def _stands(
    path: Path, film: Film, quarter: int, frames: np.ndarray, avatar: Avatar, camera: np.ndarray, other: np.ndarray
) -> bool:
    """Whether what lies behind the person is where it was, if pictures are cut by ``camera`` and not by ``other``."""
    middle = np.array([avatar.size / 2, avatar.size / 2])
    size = float(np.hypot(*camera[0, :2]) / np.hypot(*other[0, :2]))
    there = camera[:, :2] @ np.linalg.solve(other[:, :2], middle - other[:, 2]) + camera[:, 2]
    if abs(np.log(size)) > NEARER or np.abs(there - middle).max() > ASIDE * avatar.size:
        return False
    behind = grow(resized(avatar.matte, LEARN_AT, LEARN_AT), LEARN_AT // 16) < 26
    portrait = resized(avatar.portrait, LEARN_AT, LEARN_AT)[behind].astype(np.int16)
    some = frames[np.linspace(0, len(frames) - 1, PROBED + 2).astype(int)[1:-1]]
    apart = []
    for framing in (camera, other):
        pictures = crops(path, film, some, framing, (avatar.size, LEARN_AT), quarter)
        apart.append(np.minimum(np.abs(pictures[:, behind] - portrait), STRANGE).mean() if behind.any() else STRANGE)
    return float(apart[0]) < STILL * float(apart[1])


def _laid_over(face: FloatArray, avatar: Avatar) -> np.ndarray:
    """Scale and shift [2, 3] that lay a ``face`` [478, 3] over the avatar's, as far as neither talks."""
    used = face_model().pose_weights > 0
    here, there = face[: top.VERTICES][used][:, :2], avatar.reference[used][:, :2]
    a, b = here - here.mean(0), there - there.mean(0)
    scale = float(np.sqrt((b**2).sum() / (a**2).sum()))
    return np.c_[scale * np.eye(2), there.mean(0) - scale * here.mean(0)]


def lessons_of(filmed: Filmed, shot: int, rows: np.ndarray) -> Iterator[tuple[str, FloatArray, FloatArray, FloatArray]]:
    """Region, raw features [r], difference on its canvas [m, 3] and what is painted there [m, 3].

    For each of a shot's ``rows`` and every region.
    """
    renderer, part, motions = filmed.renderer, filmed.shots[shot], filmed.motions[shot]
    light = None
    for some in np.array_split(rows, -(-len(rows) // AT_ONCE)) if len(rows) else ():  # none of some shots
        truth = filmed.pictures(shot, some)
        light = light or light_of(renderer, truth, part.landmarks[some], [motions[k] for k in some], part.here)
        if not serves(light.gain):
            return
        for k, row in enumerate(some):
            motion = motions[row]
            picture = light(truth[k], motion)
            posed = renderer.pose(motion)
            drawn = renderer.render(motion).astype(np.float32)
            beside = np.concatenate([picture - drawn, drawn], -1)
            for region in REGIONS:
                features = raw_features(region, renderer.avatar, posed.face, motion.blendshapes, motion.rotation)
                seen = seen_on(region, beside, posed.vertices[: top.VERTICES])
                yield region, features, seen[:, :3], seen[:, 3:]


def surroundings_of(filmed: Filmed) -> tuple[Seen, list[Setting]]:
    """Frames that tell how surroundings follow the head: half of them of all, half of the farthest turned.

    Shots that were taken elsewhere, or in other clothes, have nothing to tell; which were not is said for each shot.
    """
    renderer = filmed.renderer
    avatar = renderer.avatar
    total = max(sum(len(rows) for rows in filmed.picked), 1)
    found: list[tuple[float, ByteArray, list[Motion]]] = []
    gains: list[FloatArray] = []
    for shot, (part, moved, rows) in enumerate(zip(filmed.shots, filmed.motions, filmed.picked, strict=True)):
        if not len(rows):
            found.append((np.inf, np.zeros((0, LEARN_AT, LEARN_AT, 3), np.uint8), []))
            gains.append(np.ones(3, np.float32))
            continue
        count = max(PROBED, round(AROUND * len(rows) / total))
        far = rows[np.argsort([-abs(float(moved[k].rotation[0, 2])) for k in rows])[: max(len(rows) // 3, 1)]]
        even = [some[np.unique(np.linspace(0, len(some) - 1, count // 2 + 1).astype(int))] for some in (rows, far)]
        some = np.unique(np.concatenate(even))
        truth = filmed.pictures(shot, some)
        gain = light_gain(avatar, truth, part.landmarks[some])
        gains.append(gain)
        lit = to_bytes(gain * truth)
        calm = np.argsort([np.linalg.norm(moved[k].rotation - np.eye(3)) for k in some])[:PROBED]
        away = np.mean([around_error(renderer, lit[k], moved[some[k]]) for k in calm])
        found.append((float(away), lit, [moved[k] for k in some]))
    least = min((away for away, _, _ in found), default=0.0)
    most = max(ELSEWHERE * least, SAME) if "camera" in avatar.facts else SAME  # a photo of its own is from elsewhere
    same = [away <= most for away, _, _ in found]
    here = [(lit, moved) for (_, lit, moved), near in zip(found, same, strict=True) if near]
    none = np.zeros((0, LEARN_AT, LEARN_AT, 3), np.uint8)
    seen = Seen(np.concatenate([lit for lit, _ in here] or [none]), [motion for _, moved in here for motion in moved])
    return seen, [Setting(gain, near) for gain, near in zip(gains, same, strict=True)]


def heads_of(filmed: Filmed) -> list[Seen]:
    """A few frames of each shot, half of them the farthest turned, that tell how a head moves within it.

    Of those shots in which it turns most.
    """
    out = []
    beside = zip(filmed.motions, filmed.picked, strict=True)
    turns = [np.array([moved[k].rotation[0, 2] for k in rows]) for moved, rows in beside]
    wide = np.argsort([-float(np.ptp(turn)) if len(turn) else 0.0 for turn in turns])[:TURNING]
    for shot in sorted(wide.tolist()):
        moved, rows = filmed.motions[shot], filmed.picked[shot]
        if len(rows):
            far = rows[np.argsort(-np.abs(turns[shot]))[: max(len(rows) // 3, 1)]]
            calm = rows[np.argmin([np.linalg.norm(moved[k].rotation - np.eye(3)) for k in rows])]
            even = [some[np.unique(np.linspace(0, len(some) - 1, HEADS // 2).astype(int))] for some in (rows, far)]
            some = np.unique([*even[0], *even[1], calm])
            out.append(Seen(filmed.pictures(shot, some), [moved[k] for k in some]))
    return out


def turned_of(filmed: Filmed, settings: list[Setting]) -> Iterator[tuple[Plan, Seen, bool]]:
    """Frames that tell what a turned head uncovers, a side at a time, as large as the portrait.

    Where the portrait's own place does not show a side, the shot taken elsewhere that shows it most often does; last
    is said whether it was one.
    """
    motions, picked = filmed.motions, filmed.picked
    here = [(shot, int(row)) for shot, rows in enumerate(picked) for row in rows if settings[shot].here]
    plans = [(plan, here, False) for plan in planned([motions[shot][row] for shot, row in here])]
    sides = {plan.side for plan, _, _ in plans}
    others: dict[float, list[tuple[Plan, list[tuple[int, int]], bool]]] = {}
    for shot, rows in enumerate(picked):
        if not settings[shot].here and serves(settings[shot].gain) and len(rows):
            for plan in planned([motions[shot][row] for row in rows]):
                if plan.side not in sides:
                    others.setdefault(plan.side, []).append((plan, [(shot, int(row)) for row in rows], True))
    for candidates in others.values():
        plans.append(max(candidates, key=lambda one: one[0].turned))
    for plan, every, elsewhere in plans:
        mine = [every[k] for k in plan.rows]
        pictures = []
        for shot in sorted({shot for shot, _ in mine}):
            rows = np.array([row for owner, row in mine if owner == shot])
            found = filmed.pictures(shot, rows, filmed.renderer.avatar.size)
            pictures.append(to_bytes(settings[shot].gain * found))
        yield plan, Seen(np.concatenate(pictures), [motions[shot][row] for shot, row in mine]), elsewhere
