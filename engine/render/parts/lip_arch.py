"""The shape of open lips: an arch instead of a wedge.

The face mesh has eleven columns of lip vertices, and its shapes open them like a wedge. Here what the shapes open is
spread over the columns along an arch.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.morphable_model import face_model
from engine.face.surround import smoothstep

UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
LENS, ARCH = 1.0, 0.55  # exponents of the opening's outline: pointed when barely open, round when wide
WIDE = 1.3  # centimetres of opening that count as wide
KEPT = 0.85  # of the arch is followed, the rest is the shapes' own
BARELY = 0.2  # centimetres of opening from which it is
REACH = 0.9  # centimetres of skin around the lips that follow
ROWS = (1.0, 0.97, 0.90, 0.72)  # how much of it the lips' own rows follow, inner rim first
TEETH_SHOW, BARED = 0.28, 0.16  # centimetres of teeth seen in an F, and how much of it the upper lip bares


class Columns(NamedTuple):
    """The lips' columns on the mean face, and what follows them: the same for every portrait."""

    share: FloatArray  # [11] of the way from corner to corner
    place: FloatArray  # [9] the inner ones' from -1 to 1
    up: FloatArray  # [468, 9] how much each vertex follows the upper lip's inner columns
    low: FloatArray  # [468, 9] and the lower lip's


@cache
def columns() -> Columns:
    """Worked out once."""
    model = face_model().neutral
    across = model[UPPER, 0]
    share = (across - across[0]) / (across[-1] - across[0])
    up = _follow(model, UPPER, top.LIP_ROWS_UPPER, above=True)
    return Columns(share, (2 * share - 1)[1:-1], up, _follow(model, LOWER, top.LIP_ROWS_LOWER, above=False))


class LipArch:
    """Spreads the parting of the lips along an arch; nothing moves while they part no further than at rest."""

    def __init__(self, neutral: FloatArray, scale: float, down: FloatArray) -> None:
        self._columns = columns()
        self._scale, self._down = scale, down / scale
        self._rest = neutral

    def shape(self, face: FloatArray) -> None:
        """Move ``face`` [468, 3] in place."""
        moved = (face - self._rest) @ self._down  # [468] centimetres downwards
        corners = moved[UPPER[0]] + self._columns.share * (moved[UPPER[-1]] - moved[UPPER[0]])
        upper, lower = (corners - moved[UPPER])[1:-1], (moved[LOWER] - corners)[1:-1]  # away from the corners' line
        most = float((upper + lower)[2:-2].max())
        if most <= 0:
            return
        power = LENS + float(smoothstep(most / WIDE)) * (ARCH - LENS)
        outline = (1 - self._columns.place**2) ** power
        kept = KEPT * float(smoothstep(most / BARELY))
        rise, fall = kept * (upper[4] * outline - upper), kept * (lower[4] * outline - lower)
        self._shift(face, rise, fall)

    def tuck(self, face: FloatArray, amount: float) -> None:
        """Bring the lower lip to the upper teeth's ends and bare those a little, in place: 0 nothing, 1 an F."""
        if amount <= 0:
            return
        arch = 1 - self._columns.place**2
        gap = (face[LOWER] - face[UPPER])[1:-1] @ self._down  # [9] centimetres
        want = amount * (TEETH_SHOW * arch - gap)
        bare = np.clip(want, -0.3, BARED * amount)  # what the upper lip does of it
        self._shift(face, bare, want - bare)

    def _shift(self, face: FloatArray, rise: FloatArray, fall: FloatArray) -> None:
        """Move the lips' columns [9] up and down by centimetres, with the skin that follows them."""
        face += ((self._columns.low @ fall - self._columns.up @ rise) * self._scale**2)[:, None] * self._down


def _follow(model: FloatArray, rim: np.ndarray, rows: tuple[tuple[int, ...], ...], above: bool) -> FloatArray:
    """How much each vertex follows each inner column [468, 9]: the lip as a whole, the skin beyond it less and less."""
    outer = np.array(rows[-1])
    line = np.interp(model[:, 0], model[outer, 0], model[outer, 1])
    beyond = (line - model[:, 1]) if above else (model[:, 1] - line)
    inside = (model[:, 0] > model[rim[0], 0]) & (model[:, 0] < model[rim[-1], 0])
    fade = ROWS[-1] * np.exp(-((beyond / REACH) ** 2)) * (beyond > 0) * inside
    columns = np.stack([np.interp(model[:, 0], model[rim, 0], row) for row in np.eye(len(rim))], 1)
    out = columns * fade[:, None]
    for row, share in zip((tuple(rim), *rows), ROWS, strict=True):
        out[list(row)] = share * np.eye(len(rim))
    return out[:, 1:-1].astype(np.float32)
