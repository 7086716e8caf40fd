"""A film's shots brought to a portrait: where its frames lie in the portrait's crop, in which light, and which teach.

A shot from elsewhere (nearer, in other light) is laid over the portrait by the face's median size and place, and its
colours by the skin's.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.film_crops import crops, in_crop
from engine.enrolment.footage.remembering import seen_on
from engine.enrolment.footage.sides.drift_fit import Seen, around_error
from engine.enrolment.footage.talking_film import Film
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import REGIONS
from engine.face.morphable_model import face_model
from engine.face.panels import SKIN, measure_tones
from engine.imaging.resampling import to_bytes
from engine.render.remembered.recall import raw_features
from engine.render.renderer import Renderer

LEARN_AT = 256  # pixels of the pictures compared
MOST = 600  # frames that are learned from
OFF = 2.5  # times the usual distance of landmarks and driven mesh, beyond which a frame was badly tracked
AT_ONCE = 50  # frames held in memory
GLANCES, SLIGHT = 8, 0.06  # pictures by which a shot's light is told; of its logarithm, what is taken for none
AROUND = 80  # frames from which is learned how surroundings follow a head
ELSEWHERE, PROBED = 1.6, 3  # times the least difference around the face from which a shot is taken elsewhere; frames
SAME = 20.0  # grey levels up to which a shot may differ there in any case
GAINS = (0.55, 1.8)  # of a shot's colours: light more different than that teaches nothing


@dataclass(frozen=True)
class Lessons:
    """One shot. T frames."""

    frames: np.ndarray  # [T] of the film
    framing: np.ndarray  # [2, 3] the crop's pixels from those of the film's own picture
    landmarks: FloatArray  # [T, 478, 3] pixels of the crop


def framed(
    film: Film, shots: list[slice], avatar: Avatar, shape: tuple[int, ...], own: tuple[int, np.ndarray] | None = None
) -> list[Lessons]:
    """The shots of a film of ``shape`` (H, W, ...) in the crop of the avatar's portrait.

    ``own`` is the frame that became the portrait and how it was framed; None where the portrait is a photo of its own.
    """
    out = []
    for shot in shots:
        landmarks = film.landmarks[shot]
        if own and shot.start <= own[0] < shot.stop:
            framing = own[1]
        else:
            whole = np.array([[1.0, 0, 0], [0, 1.0, 0]])
            framing = _laid_over(np.median(in_crop(landmarks, film, shape, whole), 0), avatar)
        placed = in_crop(landmarks, film, shape, framing)
        out.append(Lessons(np.arange(shot.start, shot.stop), framing, placed))
    return out


def _laid_over(face: FloatArray, avatar: Avatar) -> np.ndarray:
    """Scale and shift [2, 3] that lay a ``face`` [478, 3] over the avatar's, as far as neither talks."""
    used = face_model().pose_weights > 0
    here, there = face[: top.VERTICES][used][:, :2], avatar.reference[used][:, :2]
    a, b = here - here.mean(0), there - there.mean(0)
    scale = float(np.sqrt((b**2).sum() / (a**2).sum()))
    return np.c_[scale * np.eye(2), there.mean(0) - scale * here.mean(0)]


def chosen(renderer: Renderer, lessons: list[Lessons], motions: list[list[Motion]]) -> list[np.ndarray]:
    """Rows of each shot to learn from: evenly taken, badly tracked ones left out."""
    away = [_off(renderer, part, moved) for part, moved in zip(lessons, motions, strict=True)]
    limit = OFF * float(np.median(np.concatenate(away)))
    good = [np.flatnonzero(off < limit) for off in away]
    step = max(1.0, sum(len(rows) for rows in good) / MOST)
    return [rows[np.unique((np.arange(0, len(rows), step)).astype(int))] if len(rows) else rows for rows in good]


def _off(renderer: Renderer, part: Lessons, motions: list[Motion]) -> np.ndarray:
    """How far [T] the driven mesh lies from the landmarks, in pixels."""
    meshes = np.stack([renderer.driven_mesh(motion)[:, :2] for motion in motions])
    return np.asarray(np.abs(meshes - part.landmarks[:, : top.VERTICES, :2]).mean((1, 2)))


def lessons_of(
    path: Path, film: Film, quarter: int, renderer: Renderer, part: Lessons, motions: list[Motion], rows: np.ndarray
) -> Iterator[tuple[str, FloatArray, FloatArray, FloatArray]]:
    """Region, raw features [r], difference on its canvas [m, 3] and what is painted there [m, 3].

    For each of a shot's ``rows`` and every region.
    """
    avatar = renderer.avatar
    gain = None
    for some in np.array_split(rows, max(1, -(-len(rows) // AT_ONCE))):
        truth = crops(path, film, part.frames[some], part.framing, (avatar.size, LEARN_AT), quarter)
        if gain is None:
            gain = light_gain(avatar, truth, part.landmarks[some])
            if not ((gain > GAINS[0]) & (gain < GAINS[1])).all():
                return
        for k, row in enumerate(some):
            motion, picture = motions[row], truth[k].astype(np.float32)
            posed = renderer.pose(motion)
            drawn = renderer.render(motion).astype(np.float32)
            beside = np.concatenate([gain * picture - drawn, drawn], -1)
            for region in REGIONS:
                features = raw_features(region, avatar, posed.face, motion.blendshapes, motion.rotation)
                seen = seen_on(region, beside, posed.vertices[: top.VERTICES])
                yield region, features, seen[:, :3], seen[:, 3:]


def surroundings_of(
    path: Path,
    film: Film,
    quarter: int,
    renderer: Renderer,
    lessons: list[Lessons],
    motions: list[list[Motion]],
    picked: list[np.ndarray],
) -> Seen:
    """Frames that tell how surroundings follow the head: half of them of all, half of the farthest turned.

    Shots that were taken elsewhere, or in other clothes, have nothing to tell.
    """
    avatar = renderer.avatar
    total = max(sum(len(rows) for rows in picked), 1)
    found: list[tuple[float, ByteArray, list[Motion]]] = []
    for part, moved, rows in zip(lessons, motions, picked, strict=True):
        if not len(rows):
            continue
        count = max(PROBED, round(AROUND * len(rows) / total))
        far = rows[np.argsort([-abs(float(moved[k].rotation[0, 2])) for k in rows])[: max(len(rows) // 3, 1)]]
        even = [some[np.unique(np.linspace(0, len(some) - 1, count // 2 + 1).astype(int))] for some in (rows, far)]
        some = np.unique(np.concatenate(even))
        truth = crops(path, film, part.frames[some], part.framing, (avatar.size, LEARN_AT), quarter)
        gain = light_gain(avatar, truth, part.landmarks[some])
        lit = to_bytes(gain * truth)
        calm = np.argsort([np.linalg.norm(moved[k].rotation - np.eye(3)) for k in some])[:PROBED]
        away = np.mean([around_error(renderer, lit[k], moved[some[k]]) for k in calm])
        found.append((float(away), lit, [moved[k] for k in some]))
    least = min((away for away, _, _ in found), default=0.0)
    here = [(lit, moved) for away, lit, moved in found if away <= max(ELSEWHERE * least, SAME)]
    none = np.zeros((0, LEARN_AT, LEARN_AT, 3), np.uint8)
    return Seen(np.concatenate([lit for lit, _ in here] or [none]), [motion for _, moved in here for motion in moved])


def light_gain(avatar: Avatar, pictures: ByteArray, landmarks: FloatArray) -> FloatArray:
    """Factors [3] from a shot's light to the portrait's, by the skin in some of its ``pictures`` [n, s, s, 3].

    ``landmarks`` [n, 478, 3] are theirs, in the portrait's pixels. Slight differences are left: skin turns, too.
    """
    step = avatar.size / LEARN_AT
    found = []
    for k in np.unique(np.linspace(0, len(pictures) - 1, GLANCES).astype(int)):
        small = (landmarks[k, : top.VERTICES] + 0.5) / step - 0.5
        found.append(measure_tones(pictures[k], small)[SKIN])
    gain = np.log(avatar.tones[SKIN] / np.maximum(np.median(found, axis=0), 1.0))
    return np.exp(np.sign(gain) * np.maximum(np.abs(gain) - SLIGHT, 0)).astype(np.float32)
