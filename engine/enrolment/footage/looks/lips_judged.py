"""Whether a film's mouth stands where the film's stands: a tracker looks at pictures with it, and without it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import FloatArray, Motion
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


def judge_lips(avatar: Avatar, look: Look, motions: list[Motion], landmarks: list[FloatArray]) -> LipsJudged | None:
    """Of a mouth's ``look``, by frames that it was not learned from; None where too few show anything.

    ``motions`` and ``landmarks`` [478, 3] are theirs, of any size.
    """
    memory = FilmMemory({"mouth": look}, Manner())
    plain, known = (Renderer(replace(avatar, film=film), SIDE) for film in (None, memory))
    apart = []
    with FaceMesh(faces=1) as net:
        for k in np.unique(np.linspace(0, len(motions) - 1, MOST).astype(int)) if motions else ():
            found = [net.find(renderer.render(motions[k])) for renderer in (plain, known)]
            if all(found):
                apart.append([lip_distance(faces[0], landmarks[k]) for faces in found])
    if len(apart) < FEWEST:
        return None
    before, after = np.array(apart).T
    return LipsJudged(
        float(before.mean()), float(after.mean()), float((after - before).std(ddof=1) / np.sqrt(len(apart)))
    )
