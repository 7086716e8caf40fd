"""Rounded lips (O, U, W) as one ring: both rims on an ellipse, the lips around it like a tyre, and skin that follows.

The face mesh opens its lips column by column, so its corners stay sharp however the shapes round them. Here columns
slide along the lips until they stand at even angles of an ellipse, corners included.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.surround import smoothstep
from engine.render.parts.lip_offsets import spread_lips

UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
ROWS = np.unique(np.r_[top.LIP_INNER, np.ravel((*top.LIP_ROWS_UPPER, *top.LIP_ROWS_LOWER))])  # all of the lips
WIDENERS = [INDEX[name + side] for name in ("mouthSmile", "mouthStretch") for side in ("Left", "Right")]
NARROW = 0.12  # of its half width that a fully rounded opening loses, beyond what the shapes take
TALL = 0.25  # and how much taller it is
SINKS = 0.8  # of the way from the corners' line to the opening's middle that rounded corners go
FROM, FULL = 0.05, 0.45  # centimetres of opening between which lips become a ring
FLAT = 0.5  # how much of the lips' depth from middle to corner a ring keeps
GAPING, GAPES = 0.45, (0.6, 2.2)  # how round a gaping mouth is, between which openings in centimetres


class LipRing:
    """Turns open lips into a ring as far as they are rounded."""

    def __init__(self, thick: np.ndarray, angle: np.ndarray, scale: float, rotation: FloatArray) -> None:
        """``thick`` [2, 3, 11] and ``angle`` [2, 11] as in `PreparedLips`; a head of ``scale`` and ``rotation``."""
        self._scale, self._rotation = scale, np.asarray(rotation, np.float32)
        self._skin, self._spread = skin()
        rows = [[np.array(row) for row in rows] for rows in (top.LIP_ROWS_UPPER, top.LIP_ROWS_LOWER)]
        self._sides = list(zip((UPPER, LOWER), rows, thick, angle, (-1.0, 1.0), strict=True))

    def shape(self, face: FloatArray, beta: FloatArray) -> None:
        """Move ``face`` [468, 3] in place; lips that are closed, or neither rounded nor far apart, stay as they are."""
        head = face @ self._rotation / self._scale
        left, right = head[UPPER[0]], head[UPPER[-1]]
        share = ((head[:, 0] - left[0]) / max(float(right[0] - left[0]), 1e-3))[:, None]
        line = left + np.clip(share, -0.2, 1.2) * (right - left)  # [468, 3] from corner to corner
        up, low = (line - head)[UPPER[3:-3], 1], (head - line)[LOWER[3:-3], 1]
        opening = float((up + low).max())
        gape = float(smoothstep((opening - GAPES[0]) / (GAPES[1] - GAPES[0])))
        rounded = max(rounding(beta), GAPING * gape * (1 - widening(beta)))
        amount = float(smoothstep((opening - FROM) / (FULL - FROM)) * smoothstep(rounded / 0.6))
        if amount <= 0:
            return
        wide = 0.5 * float(right[0] - left[0]) * (1 - NARROW * rounded)
        tall = 0.5 * opening * (1 + TALL * rounded)
        sunk = 0.5 * (float(low.max()) - float(up.max()))
        middle = 0.5 * (left + right)
        slope = (right - left)[1:] / max(float(right[0] - left[0]), 1e-3)
        goal = head.copy()
        for rim, rows, thick, angle, sign in self._sides:
            x, y = -wide * np.cos(angle), sign * tall * np.sin(angle)
            normal = np.stack([-np.cos(angle) * tall, sign * np.sin(angle) * wide], 1)
            normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-6)
            places = [np.stack([x, y], 1)] + [np.stack([x, y], 1) + t[:, None] * normal for t in thick]
            for row, place in zip((rim, *rows), places, strict=True):
                front, back = head[row[len(row) // 2], 2], 0.5 * (head[row[0], 2] + head[row[-1], 2])
                tilt = 0.5 * (head[row[-1], 2] - head[row[0], 2])
                aside = place[:, 0] / max(wide, 1e-3)
                goal[row, 2] = front + FLAT * (back - front) * aside**2 + tilt * aside
                goal[row, 0] = middle[0] + place[:, 0]
                goal[row, 1] = middle[1] + place[:, 1] + SINKS * sunk + slope[0] * place[:, 0]
        moved = np.zeros_like(head)
        moved[ROWS] = amount * (goal - head)[ROWS]
        moved[self._skin] = self._spread @ moved[list(top.LIP_VERTICES)]
        face += self._scale * moved @ self._rotation.T


@cache
def skin() -> tuple[np.ndarray, FloatArray]:
    """Which vertices beyond the lips follow them on any face [n], and how much each of the forty [n, 40]."""
    spread = spread_lips()
    spread[ROWS] = 0  # they have places of their own
    rows = np.flatnonzero(spread.max(1) > 1e-3)
    return rows, np.ascontiguousarray(spread[rows])


def rounding(beta: FloatArray) -> float:
    """How round the lips of ``beta`` [52] are, 0 to 1."""
    return float(np.clip(beta[INDEX["mouthPucker"]] + 0.5 * beta[INDEX["mouthFunnel"]], 0, 1))


def widening(beta: FloatArray) -> float:
    """How much the lips of ``beta`` [52] are drawn apart sideways, 0 to 1."""
    return float(np.clip(beta[WIDENERS].sum(), 0, 1))
