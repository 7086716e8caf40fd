"""Whether a film, and a photo beside it, show one person: by the numbers of their faces (`face_likeness.py`).

Measured on 77 films of 23 people: a person's single frames lie at most .46 from their mean in another film, also in
other light, rooms and clothes; of 38,837 such pairs of two people .02 % are nearer than SAME, 1 % nearer than OTHER.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import numpy as np

from engine.contracts import FloatArray
from engine.errors import TwoPeople

SAME = 0.5  # apart, below which two faces are one person's
OTHER = 0.6  # and above which they are two people's, as whoever made the network says
PLAINLY = 3  # glances that suffice
FEWEST, MOST = 2, 4  # glimpses on each side of a change that no cut shows, which are compared


@dataclass(frozen=True)
class Person:
    """Somebody whom a film shows."""

    shots: tuple[int, ...]  # which of its stretches
    seconds: float
    likeness: FloatArray  # [128]


def apart(one: FloatArray, other: FloatArray) -> float:
    return float(np.linalg.norm(one - other))


def people(shots: list[slice], likeness: FloatArray, at: np.ndarray, rate: int) -> list[Person]:
    """Whom ``shots`` (of frames, ``rate`` a second) show, the longest shown first; [M, 128] seen at frames ``at`` [M].

    Of shots in which nobody was seen well enough nothing is said.
    """
    means = {k: likeness[_within(at, shot)].mean(0) for k, shot in enumerate(shots) if _within(at, shot).any()}
    seconds = {k: (shots[k].stop - shots[k].start) / rate for k in means}
    left, out = set(means), []

    def around(middle: FloatArray) -> list[int]:
        return sorted(k for k in left if apart(means[k], middle) <= OTHER)

    while left:
        first = max(sorted(left), key=lambda k: sum(seconds[other] for other in around(means[k])))
        mine = around(means[first])
        middle = np.average([means[k] for k in mine], axis=0, weights=[seconds[k] for k in mine])
        mine = around(middle) or mine
        left -= set(mine)
        out.append(Person(tuple(mine), sum(seconds[k] for k in mine), middle.astype(np.float32)))
    return sorted(out, key=lambda person: -person.seconds)


def parted(shot: slice, likeness: FloatArray, at: np.ndarray) -> list[slice]:
    """``shot``, parted where one person follows another without a cut that shows; what lies between is left out."""
    rows = np.flatnonzero(_within(at, shot))
    best, where = OTHER, 0
    for k in range(FEWEST, len(rows) - FEWEST + 1):
        gap = apart(likeness[rows[max(k - MOST, 0) : k]].mean(0), likeness[rows[k : k + MOST]].mean(0))
        if gap > best:
            best, where = gap, k
    if not where:
        return [shot]
    first, second = slice(shot.start, int(at[rows[where - 1]]) + 1), slice(int(at[rows[where]]), shot.stop)
    return [*parted(first, likeness, at), *parted(second, likeness, at)]


def of_photo(photo: FloatArray, shown: list[Person]) -> tuple[Person, str | None]:
    """Who of those whom a film shows the photo shows, and what to tell of doubts. Raises TwoPeople for nobody."""
    person = min(shown, key=lambda one: apart(photo, one.likeness))
    away = apart(photo, person.likeness)
    if away > OTHER:
        raise TwoPeople
    if away > SAME:
        return (
            person,
            "Photo and film may show two people, which cannot be told for certain: look whether it is one face.",
        )
    return person, None


def strangers(photo: FloatArray, glances: list[FloatArray]) -> bool:
    """Whether a few ``glances`` at a film plainly show one person, who is not the ``photo``'s."""
    alone = all(apart(one, other) < OTHER for one, other in combinations(glances, 2))
    return len(glances) >= PLAINLY and alone and min(apart(photo, one) for one in glances) > OTHER


def _within(at: np.ndarray, shot: slice) -> np.ndarray:
    return (at >= shot.start) & (at < shot.stop)
