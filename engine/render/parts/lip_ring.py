"""Rounded lips (O, U, W) as one ring: both rims on an ellipse, the lips around it like a tyre, and skin that follows.

The face mesh opens its lips column by column, so its corners stay sharp however the shapes round them. Here columns
slide along the lips until they stand at even angles of an ellipse, corners included.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.surround import smoothstep
from engine.render.parts.lip_offsets import spread_lips

UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
LOOP = np.array(top.LIP_INNER)
WIDENERS = [INDEX[name + side] for name in ("mouthSmile", "mouthStretch") for side in ("Left", "Right")]
NARROW = 0.12  # of its half width that a fully rounded opening loses, beyond what the shapes take
TALL = 0.25  # and how much taller it is
SINKS = 0.8  # of the way from the corners' line to the opening's middle that rounded corners go
EVEN = 0.6  # of the way from the columns' own places to even angles
FROM, FULL = 0.05, 0.45  # centimetres of opening between which lips become a ring
PLUMP = 1.2  # how much thicker rounded lips are
PINCH = 0.45  # of it that their corners get: the dark painted there must not be dragged over the cheek
FLAT = 0.5  # how much of the lips' depth from middle to corner a ring keeps
GAPING, GAPES = 0.45, (0.6, 2.2)  # how round a gaping mouth is, between which openings in centimetres


class LipRing:
    """Turns open lips into a ring as far as they are rounded."""

    def __init__(self, neutral: FloatArray, scale: float, rotation: FloatArray) -> None:
        self._scale, self._rotation = scale, np.asarray(rotation, np.float32)
        head = neutral @ self._rotation / scale  # [468, 3] centimetres along the head's axes
        self._sides = []
        for rim, rows, sign in ((UPPER, top.LIP_ROWS_UPPER, -1.0), (LOWER, top.LIP_ROWS_LOWER, 1.0)):
            thick = [PLUMP * np.linalg.norm((head[list(row)] - head[rim])[:, :2], axis=1) for row in rows]
            taper = np.interp(np.arange(11), (0, 3, 7, 10), (PINCH, 1, 1, PINCH))
            thick = [t * taper for t in thick]
            across = (head[rim, 0] - head[rim[0], 0]) / (head[rim[-1], 0] - head[rim[0], 0])
            own = np.arccos(np.clip(1 - 2 * across, -1, 1))
            angle = own + EVEN * (np.linspace(0, np.pi, len(rim)) - own)
            self._sides.append((rim, [np.array(row) for row in rows], np.array(thick), angle, sign))
        spread = spread_lips()
        lips = np.unique(np.r_[LOOP, [v for row in (*top.LIP_ROWS_UPPER, *top.LIP_ROWS_LOWER) for v in row]])
        spread[lips] = 0  # they have places of their own
        self._skin = np.flatnonzero(spread.max(1) > 1e-3)
        self._spread = np.ascontiguousarray(spread[self._skin])
        self._lips = lips

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
        moved[self._lips] = amount * (goal - head)[self._lips]
        moved[self._skin] = self._spread @ moved[list(top.LIP_VERTICES)]
        face += self._scale * moved @ self._rotation.T


def rounding(beta: FloatArray) -> float:
    """How round the lips of ``beta`` [52] are, 0 to 1."""
    return float(np.clip(beta[INDEX["mouthPucker"]] + 0.5 * beta[INDEX["mouthFunnel"]], 0, 1))


def widening(beta: FloatArray) -> float:
    """How much the lips of ``beta`` [52] are drawn apart sideways, 0 to 1."""
    return float(np.clip(beta[WIDENERS].sum(), 0, 1))
