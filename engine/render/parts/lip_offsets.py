"""Lip offsets (VividTalk eq. 3's local branch): forty lip vertices moved one by one, and the skin that follows them."""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.morphable_model import face_model

LIPS = np.array(top.LIP_VERTICES)
REACH = 1.1  # centimetres of skin around the lips that follow
NEAR = 0.15  # centimetres within which a lip vertex outweighs all others
MOST = 0.5  # outer-eye-corner distances: no lip moves further


class LipOffsets:
    """Spreads offsets of the lips' vertices over the face: all of them on the lips, less and less beyond."""

    def __init__(self, rotation: FloatArray, unit: float) -> None:
        self._axes = (unit * rotation.T).astype(np.float32)  # head frame, outer-eye-corner distances -> pixels
        self._rows, self._spread = followers()

    def move(self, face: FloatArray, offsets: FloatArray) -> None:
        """Move ``face`` [468, 3] in place by ``offsets`` [40, 3] as `check_offsets` returned them."""
        face[self._rows] += self._spread @ (offsets @ self._axes)


@cache
def followers() -> tuple[np.ndarray, FloatArray]:
    """Which vertices follow the lips on any face [n], and how much each follows each of the forty [n, 40]."""
    spread = spread_lips()
    rows = np.flatnonzero(spread.max(1) > 1e-3)
    return rows, np.ascontiguousarray(spread[rows])


def check_offsets(offsets: FloatArray) -> FloatArray | None:
    """Finite offsets [40, 3], or None for an empty array. Raises `ValueError` for any other shape."""
    given = np.asarray(offsets, np.float32)
    if given.size == 0:
        return None
    if given.shape != (len(LIPS), 3):
        raise ValueError(
            f"Motion.lip_offsets was expected to be empty or of shape ({len(LIPS)}, 3), but came as {given.shape}."
        )
    if not np.isfinite(given).all():
        given = np.nan_to_num(given)
    return np.minimum(np.maximum(given, -MOST), MOST)


def spread_lips() -> FloatArray:
    """How much each vertex follows each of the forty [468, 40]: by nearness, upper and lower lip each for itself."""
    model = face_model().neutral
    distance = np.linalg.norm(model[:, None] - model[LIPS][None], axis=2)  # [468, 40]
    upper = set(top.LIP_INNER_UPPER + top.LIP_OUTER_UPPER)
    lower = set(top.LIP_INNER_LOWER + top.LIP_OUTER_LOWER)
    line = np.interp(model[:, 0], model[list(top.LIP_INNER_UPPER), 0], model[list(top.LIP_INNER_UPPER), 1])
    above = model[:, 1] < line
    for rows, side in ((top.LIP_ROWS_UPPER, True), (top.LIP_ROWS_LOWER, False)):
        for row in rows:
            above[list(row[1:-1])] = side
    theirs = np.stack([[v in upper for v in LIPS], [v in lower for v in LIPS]])  # corners belong to both
    share = np.where(theirs[np.where(above, 0, 1)], 1 / (distance**2 + NEAR**2) ** 2, 0)
    share /= share.sum(1, keepdims=True)
    away = distance.min(1)
    for rows in (top.LIP_ROWS_UPPER, top.LIP_ROWS_LOWER):
        for row in rows:
            away[list(row)] = 0  # the lips themselves
    share *= np.exp(-((away / REACH) ** 2))[:, None]
    share[LIPS] = np.eye(len(LIPS))
    return share.astype(np.float32)
