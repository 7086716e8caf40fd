"""A film's frames to tune by: what drove each, how it really looked, and which parts teach, choose and decide."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.film_lessons import AT_ONCE, LEARN_AT, Filmed
from engine.enrolment.footage.looks.shot_light import light_of, serves
from engine.enrolment.footage.remembering import seen_on
from engine.face import topology as top
from engine.imaging.resampling import to_bytes
from engine.render.remembered.recall import raw_features

DECIDES = 0.2  # of the film, at its end, which nothing learns from
STRETCHES, CHOOSES = 3, 0.05  # between what teaches, and how long each is: they tell when to stop
GAP = 8  # frames beside these that are left out: they would resemble both


@dataclass(frozen=True)
class Frames:
    """N frames of a film, in order."""

    motions: list[Motion]
    truth: ByteArray  # [N, 256, 256, 3] in the portrait's light
    landmarks: FloatArray  # [N, 478, 3] in pixels of these pictures
    raw: FloatArray  # [N, r] what tells how the mouth looks
    beside: np.ndarray  # [N, m, 3] half floats, on the mouth's canvas: the truth less what geometry paints
    painted: np.ndarray  # [N, m, 3] half floats: what that is

    def __len__(self) -> int:
        return len(self.motions)

    def part(self, rows: np.ndarray) -> Frames:
        """Some of them."""
        arrays = {name: value[rows] for name, value in vars(self).items() if name != "motions"}
        return Frames([self.motions[k] for k in rows], **arrays)


def parts(count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of ``count`` frames in order: rows that teach, rows that choose and rows that decide, apart from one another."""
    end, long = round((1 - DECIDES) * count), round(CHOOSES * count)
    begins = [round(end * (k + 1) / (STRETCHES + 1)) for k in range(STRETCHES)]
    chooses = np.concatenate([np.arange(at, at + long) for at in begins])
    near = np.concatenate([np.arange(at - GAP, at + long + GAP) for at in begins])
    return np.setdiff1d(np.arange(end), near), chooses, np.arange(end + GAP, count)


def frames_of(filmed: Filmed) -> Frames:
    """The frames that teach, of every shot whose light is near enough to the portrait's."""
    renderer, avatar = filmed.renderer, filmed.renderer.avatar
    moved: list[Motion] = []
    columns: tuple[list[np.ndarray], ...] = ([], [], [], [], [])
    for shot, (part, driven, rows) in enumerate(zip(filmed.shots, filmed.motions, filmed.picked, strict=True)):
        light = None
        for some in np.array_split(rows, max(1, -(-len(rows) // AT_ONCE))) if len(rows) else ():
            pictures = filmed.pictures(shot, some)
            light = light or light_of(renderer, pictures, part.landmarks[some], [driven[k] for k in some], part.here)
            if not serves(light.gain):
                break
            for k, row in enumerate(some):
                motion = driven[row]
                posed = renderer.pose(motion)
                lit = light(pictures[k], motion)
                drawn = renderer.render(motion).astype(np.float32)
                both = np.concatenate([lit - drawn, drawn], -1)
                seen = seen_on("mouth", both, posed.vertices[: top.VERTICES]).astype(np.float16)
                told = raw_features("mouth", avatar, posed.face, motion.blendshapes, motion.rotation)
                small = _small(part.landmarks[row], avatar.size)
                found: tuple[np.ndarray, ...] = (to_bytes(lit), small, told, seen[:, :3], seen[:, 3:])
                moved.append(motion)
                for column, value in zip(columns, found, strict=True):
                    column.append(value)
    truth, landmarks, raw, beside, painted = (np.array(column) for column in columns)
    return Frames(moved, truth, landmarks.astype(np.float32), raw.astype(np.float32), beside, painted)


def _small(points: FloatArray, size: int) -> FloatArray:
    """Landmarks in pixels of the pictures compared."""
    out = points * np.float32(LEARN_AT / size)
    out[:, :2] += 0.5 * (LEARN_AT / size - 1)
    return out
