"""The squares around the lips that a generator is tuned on: painted by geometry and looks, and how they really looked.

Looks fit the frames that they were learned from better than any others. So each stretch is painted with looks of the
other stretches, as a mouth will be painted that the film did not show.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.footage.film_lessons import LEARN_AT
from engine.enrolment.footage.remembering import learn, taught
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import FilmMemory
from engine.render.learned.eyesight import Eyesight
from engine.render.learned.learned_renderer import PictureNetworks
from engine.render.learned.lip_square import CELLS, square_at
from engine.render.learned.own_programs import SCALE, seen_by_generator
from engine.render.renderer import Renderer
from engine.tuning.film_frames import Frames

FOLDS = 4  # stretches, each painted with the others' looks


@dataclass(frozen=True)
class Squares:
    """N squares, as `engine.render.learned.own_programs.seen_by_generator` says, kept small."""

    painted: ByteArray  # [N, 3, 128, 128]
    texture: ByteArray  # [N, 3, 128, 128] PT_d
    occlusion: np.ndarray  # [N, 1, 32, 32] half floats
    followed: np.ndarray  # [N, 24, 32, 32] half floats
    moved: FloatArray  # [N]
    truth: ByteArray  # [N, 3, 128, 128]
    light: FloatArray  # [1, 3, 1, 1]

    def __len__(self) -> int:
        return len(self.moved)


def ridge_for(frames: Frames) -> float:
    """How careful looks are to be that ``frames`` teach."""
    return learn("mouth", *_told(frames))[1].ridge


def with_looks_of(avatar: Avatar, memory: FilmMemory, frames: Frames, ridge: float) -> Avatar:
    """The avatar with looks of the mouth that ``frames`` alone taught."""
    look = taught("mouth", *_told(frames), ridge)
    return replace(avatar, film=replace(memory, looks=memory.looks | {"mouth": look}, network=None))


def _told(frames: Frames) -> tuple[FloatArray, FloatArray, FloatArray]:
    return frames.raw, frames.beside.astype(np.float32), frames.painted.astype(np.float32)


def squares(avatar: Avatar, networks: PictureNetworks, frames: Frames) -> Squares:
    """Of ``frames`` as ``avatar`` is painted, looks and all. ``networks`` are the shared ones."""
    renderer = Renderer(avatar, LEARN_AT)
    eye = Eyesight(renderer)
    known = networks.know(eye.portrait, eye.texture, eye.lips)
    found = []
    for motion, truth in zip(frames.motions, frames.truth, strict=True):
        view = eye.see(motion, renderer.render(motion))
        given = seen_by_generator(view, known)
        x, y = (SCALE * at for at in square_at(view.lips))
        real = truth[y : y + SCALE * CELLS, x : x + SCALE * CELLS].transpose(2, 0, 1)[None]
        painted, texture = ((255 * given[name] + 0.5).astype(np.uint8) for name in ("warped", "square"))
        occlusion, followed = (given[name].astype(np.float16) for name in ("occlusion", "followed"))
        found.append(Squares(painted, texture, occlusion, followed, view.moved, real, known.light))
    return _joined(found)


def squares_in_turn(
    avatar: Avatar, memory: FilmMemory, networks: PictureNetworks, frames: Frames, ridge: float
) -> Squares:
    """Of ``frames``, each stretch painted with looks that the others taught."""
    every = np.arange(len(frames))
    found = []
    for held in np.array_split(every, FOLDS):
        known = with_looks_of(avatar, memory, frames.part(np.setdiff1d(every, held)), ridge)
        found.append(squares(known, networks, frames.part(held)))
    return _joined(found)


def _joined(found: list[Squares]) -> Squares:
    """All of ``found``, of one portrait."""
    names = [f.name for f in fields(Squares) if f.name != "light"]
    columns = {name: np.concatenate([getattr(some, name) for some in found]) for name in names}
    return Squares(**columns, light=found[0].light)
