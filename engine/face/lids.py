"""Eyelids: how far a photo shows them shut, opening them, closing them."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.measures import eye_aspect_ratio
from engine.face.morphable_model import face_model
from engine.face.surround import smoothstep

LID_REST = 0.88  # closed lids meet this far down from the upper row: the upper lid does the closing
LID_FADE = 0.4  # centimetres of skin that follow a lower lid
CREASE_FADE = 0.22  # and an upper one: it comes out from under its crease, and stretches little of what is above
USUAL = (0.24, 0.31)  # height over width of an open eye, lids pushed off the eyeball (`widen_eyes`)
DROOPS = (0.20, 0.25)  # height over width at which an eye is certainly, and begins to be, too little open
SLIGHT, MOST = 0.05, 0.55  # of a blink: less is not worth it, of more too little of the eye is seen


def as_closed(blink: FloatArray, usual: float) -> FloatArray:
    """``blink`` [...] as told by who saw only ``usual`` of an eye close that closed: at that it is 1.

    Small ones stay as they are: lids that hang a little are no blinks.
    """
    return np.minimum(blink * (1 + (1 / usual - 1) * np.clip(blink / usual, 0, 1)), 1)


def as_told(closed: float, usual: float) -> float:
    """What `as_closed` makes ``closed``, in 0 to 1, of."""
    bent = (1 / usual - 1) / usual
    return float((np.sqrt(1 + 4 * bent * closed) - 1) / (2 * bent)) if bent > 0 else closed


class Lids:
    """Closing and opening one eye: both rows meet low in the opening, and the skin around follows."""

    def __init__(self, upper: tuple[int, ...], lower: tuple[int, ...], model: FloatArray) -> None:
        self.upper, self.lower = np.array(upper), np.array(lower)
        x, y = model[:, 0], model[:, 1]
        left, right = x[self.upper].min() - 0.5, x[self.upper].max() + 0.5
        top_line = np.interp(x, x[self.upper], y[self.upper])
        low_line = np.interp(x, x[self.lower], y[self.lower])
        within = (x >= left) & (x <= right)
        # Beyond the corners the pull fades out sideways instead of ending.
        beyond = np.maximum(np.maximum(x[self.upper].min() - x, x - x[self.upper].max()), 0)
        side = np.exp(-((beyond / 0.3) ** 2)) * within
        above = np.exp(-(((top_line - y) / CREASE_FADE) ** 2)) * (y <= top_line) * side
        below = np.exp(-(((y - low_line) / LID_FADE) ** 2)) * (y > low_line) * side
        rows = np.r_[self.upper, self.lower]
        above[rows] = below[rows] = 0
        self.skin_above, self.skin_below = np.flatnonzero(above > 0.01), np.flatnonzero(below > 0.01)
        # How much those follow each vertex of their lid's row [n, 9].
        self.pull_above = _between(x[self.skin_above], x[self.upper]) * above[self.skin_above, None]
        self.pull_below = _between(x[self.skin_below], x[self.lower]) * below[self.skin_below, None]

    def open(self, face: FloatArray, amount: float) -> None:
        """Undo `close` by ``amount`` in [0, 1) in place: the face that, closed by as much, is this one."""
        gap = (face[self.lower] - face[self.upper]) / (1 - amount)
        down, up = amount * LID_REST * gap, amount * (LID_REST - 1) * gap
        face[self.skin_above] -= self.pull_above @ down
        face[self.skin_below] -= self.pull_below @ up
        face[self.upper] -= down
        face[self.lower[1:-1]] -= up[1:-1]

    def close(self, face: FloatArray, amount: float) -> None:
        """Move ``face`` [468, 3] in place; 0 leaves it untouched, 1 closes."""
        if amount <= 0:
            return
        amount = min(amount, 1.0)
        goal = (1 - LID_REST) * face[self.upper] + LID_REST * face[self.lower]
        down, up = amount * (goal - face[self.upper]), amount * (goal - face[self.lower])
        face[self.skin_above] += self.pull_above @ down
        face[self.skin_below] += self.pull_below @ up
        face[self.upper] += down
        face[self.lower[1:-1]] += up[1:-1]


def both_lids() -> tuple[Lids, Lids]:
    """The lids of the person's right and left eye."""
    model = face_model().neutral
    return (
        Lids(top.EYE_RIGHT_UPPER, top.EYE_RIGHT_LOWER, model),
        Lids(top.EYE_LEFT_UPPER, top.EYE_LEFT_LOWER, model),
    )


def how_shut(face: FloatArray) -> FloatArray:
    """How far each eye of ``face`` [468, 3] is shut [2], as a blink: 0 for eyes that are open, right one first.

    A drooping eye is to open as far as the other one, within what is usual.
    """
    ratios = np.array([eye_aspect_ratio(face, side) for side in ("right", "left")])
    usual = float(np.clip(ratios.max(), *USUAL))
    shut = (1 - ratios / usual) * smoothstep((DROOPS[1] - ratios) / (DROOPS[1] - DROOPS[0]))
    return np.where((shut > SLIGHT) & (shut < MOST), shut, 0).astype(np.float32)


def open_eyes(face: FloatArray, shut: FloatArray) -> FloatArray:
    """``face`` [468, 3] with eyes that are ``shut`` [2] opened."""
    out = np.array(face, np.float32)
    for lids, amount in zip(both_lids(), shut, strict=True):
        if amount > 0:
            lids.open(out, float(amount))
    return out


def _between(x: np.ndarray, knots: np.ndarray) -> FloatArray:
    """Linear interpolation as a matrix [len(x), len(knots)]; ends are repeated."""
    identity = np.eye(len(knots))
    return np.stack([np.interp(x, knots, row) for row in identity], 1).astype(np.float32)
