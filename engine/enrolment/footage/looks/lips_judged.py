"""Whether a film's mouth stands where the film's stands, by a tracker: with it, without it, and in the film's picture.

Not by where lips were followed in the whole film: there it finds them elsewhere in one and the same frame, by as much
as a photo's differ.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import ByteArray, Motion
from engine.enrolment.landmarks import FaceMesh
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import FilmMemory, Look, Manner
from engine.face.measures import lip_distance
from engine.render.renderer import Renderer

MOST = 40  # pictures that are looked at
SIDE = 256  # their pixels
FEWEST = 8  # below that a tracker's tremble says more than the mouth


@dataclass(frozen=True)
class LipsJudged:
    """Mean distances of the lips' landmarks from the film's, in outer-eye-corner distances."""

    before: float
    after: float
    error: float  # the standard error of their difference

    @property
    def worse(self) -> bool:
        """Whether they stand farther away, by more than chance."""
        return self.after - self.before > self.error


def judge_lips(avatar: Avatar, look: Look, motions: list[Motion], pictures: ByteArray) -> LipsJudged | None:
    """Of a mouth's ``look``, by frames that it was not learned from; None where too few show anything.

    ``motions`` and ``pictures`` [n, SIDE, SIDE, 3] are theirs.
    """
    memory = FilmMemory({"mouth": look}, Manner())
    plain, known = (Renderer(replace(avatar, film=film), SIDE) for film in (None, memory))
    apart = []
    with FaceMesh(faces=1) as net:
        for motion, picture in zip(motions, pictures, strict=True):
            real, *made = (net.find(shown) for shown in (picture, plain.render(motion), known.render(motion)))
            if real and all(made):
                apart.append([lip_distance(faces[0], real[0]) for faces in made])
    if len(apart) < FEWEST:
        return None
    before, after = np.array(apart).T
    return LipsJudged(
        float(before.mean()), float(after.mean()), float((after - before).std(ddof=1) / np.sqrt(len(apart)))
    )
