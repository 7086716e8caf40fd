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
from engine.render.parts.lip_offsets import spread_lips
from kernels.cpu.compiled import compiled

UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
ROWS = np.unique(np.r_[top.LIP_INNER, np.ravel((*top.LIP_ROWS_UPPER, *top.LIP_ROWS_LOWER))])  # all of the lips
SIDES = np.array([(UPPER, *top.LIP_ROWS_UPPER), (LOWER, *top.LIP_ROWS_LOWER)])  # [2, 4, 11] from inside outwards
LIPS = np.array(top.LIP_VERTICES)
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
        head = np.ascontiguousarray(rotation, np.float32), np.float32(scale)
        self._known = *head, np.asarray(thick, np.float32), np.asarray(angle, np.float32), *skin()

    def shape(self, face: FloatArray, beta: FloatArray) -> None:
        """Move ``face`` [468, 3] in place; lips that are closed, or neither rounded nor far apart, stay as they are."""
        _curl(face, np.float32(rounding(beta)), np.float32(widening(beta)), *self._known)


@compiled
def _curl(
    face: FloatArray,
    rounded: float,
    widened: float,
    rotation: FloatArray,
    scale: float,
    thick: FloatArray,
    angle: FloatArray,
    skin: np.ndarray,
    spread: FloatArray,
) -> None:
    """`LipRing.shape` (numba): in numpy these fifty small steps took as long as a posed frame's all others."""
    head = np.empty((SIDES.size, 3), np.float32)  # of each row's vertices, in the head's frame
    rows = SIDES.reshape(-1)
    for n in range(rows.size):
        x, y, z = face[rows[n], 0], face[rows[n], 1], face[rows[n], 2]
        for k in range(3):
            head[n, k] = (x * rotation[0, k] + y * rotation[1, k] + z * rotation[2, k]) / scale
    columns = SIDES.shape[2]
    last = columns - 1
    left_x, left_y, right_x, right_y = head[0, 0], head[0, 1], head[last, 0], head[last, 1]
    across = max(right_x - left_x, np.float32(1e-3))
    gape = highest = deepest = np.float32(-1e9)
    for column in range(3, columns - 3):
        up = low = np.float32(0.0)  # from the corners' line
        for side in range(2):
            n = side * 4 * columns + column
            share = min(max((head[n, 0] - left_x) / across, np.float32(-0.2)), np.float32(1.2))
            away = left_y + share * (right_y - left_y) - head[n, 1]
            up, low = (away, low) if side == 0 else (up, -away)
        gape, highest, deepest = max(gape, up + low), max(highest, up), max(deepest, low)
    wide_open = _smooth((gape - GAPES[0]) / (GAPES[1] - GAPES[0]))
    rounded = max(rounded, GAPING * wide_open * (1 - widened))
    amount = _smooth((gape - FROM) / (FULL - FROM)) * _smooth(rounded / 0.6)
    if amount <= 0:
        return
    wide, tall = 0.5 * (right_x - left_x) * (1 - NARROW * rounded), 0.5 * gape * (1 + TALL * rounded)
    middle_x, middle_y = 0.5 * (left_x + right_x), 0.5 * (left_y + right_y) + SINKS * 0.5 * (deepest - highest)
    slope = (right_y - left_y) / across
    moved = np.zeros((face.shape[0], 3), np.float32)
    for side in range(2):
        sign = -1.0 if side == 0 else 1.0
        for row in range(4):
            first = (side * 4 + row) * columns
            ends = head[first, 2], head[first + columns - 1, 2]
            front, back, tilt = head[first + columns // 2, 2], 0.5 * (ends[0] + ends[1]), 0.5 * (ends[1] - ends[0])
            for column in range(columns):
                n = first + column
                cosine, sine = np.cos(angle[side, column]), np.sin(angle[side, column])
                out_x, out_y = -cosine * tall, sign * sine * wide
                length = max(np.sqrt(out_x * out_x + out_y * out_y), 1e-6)
                beyond = thick[side, row - 1, column] if row else 0.0
                x, y = -wide * cosine + beyond * out_x / length, sign * tall * sine + beyond * out_y / length
                aside = x / max(wide, 1e-3)
                moved[rows[n], 0] = amount * (middle_x + x - head[n, 0])
                moved[rows[n], 1] = amount * (middle_y + y + slope * x - head[n, 1])
                goal = front + FLAT * (back - front) * aside * aside + tilt * aside
                moved[rows[n], 2] = amount * (goal - head[n, 2])
    for n in range(skin.size):
        for k in range(3):
            total = np.float32(0)
            for i in range(LIPS.size):
                total += spread[n, i] * moved[LIPS[i], k]
            moved[skin[n], k] = total
    for v in range(face.shape[0]):
        x, y, z = scale * moved[v, 0], scale * moved[v, 1], scale * moved[v, 2]
        for k in range(3):
            face[v, k] += x * rotation[k, 0] + y * rotation[k, 1] + z * rotation[k, 2]


@compiled(inline="always")
def _smooth(x: float) -> float:
    x = min(max(x, 0.0), 1.0)
    return x * x * (3.0 - 2.0 * x)


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
