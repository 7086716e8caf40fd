"""Taking the portrait's own expression away, so that driving starts from closed lips and open eyes.

Lips that look closed are snapped to the dark line between them: upper and lower row then share their places, the split
falls exactly on the seam and nothing else in the picture changes. Lips that stand open (a smile with teeth) are moved
together, each side carrying its surroundings along.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.solve import Solution
from engine.face import topology as top
from engine.face.morphable_model import face_model
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur

OPEN_FROM = 0.45  # centimetres between the lips; FaceMesh reports up to 0.3 for closed ones
UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
LUMA = np.array([0.299, 0.587, 0.114], np.float32)


def lip_opening(vertices: FloatArray, scale: float) -> float:
    """Distance of the inner lips' middles in centimetres."""
    return float(np.linalg.norm(vertices[13] - vertices[14])) / scale


def widen_eyes(vertices: FloatArray) -> FloatArray:
    """Lid rows pushed off the eyeball: the landmarks lie a little inside the opening and would drag the white along."""
    out = vertices.copy()
    for upper, lower in ((top.EYE_RIGHT_UPPER, top.EYE_RIGHT_LOWER), (top.EYE_LEFT_UPPER, top.EYE_LEFT_LOWER)):
        for u, low in zip(upper[1:-1], lower[1:-1], strict=True):
            middle = 0.5 * (vertices[u] + vertices[low])
            out[u] = middle + 1.16 * (vertices[u] - middle)
            out[low] = middle + 1.10 * (vertices[low] - middle)
    return out


def snap_to_seam(vertices: FloatArray, image: ByteArray, scale: float) -> FloatArray:
    """Both inner-lip rows on the darkest smooth line between them (dynamic programming over the columns)."""
    grey = blur(image.astype(np.float32) @ LUMA, 0.6)
    up, low = vertices[UPPER[1:-1]], vertices[LOWER[1:-1]]
    reach = np.linspace(-0.12 * scale, 0.12 * scale, 5)
    shares = np.linspace(0, 1, 9)
    middle = up[:, None] * (1 - shares[:, None]) + low[:, None] * shares[:, None]  # [9, 9, 3]
    down = (low - up)[:, :2].mean(0)
    down = down / max(float(np.linalg.norm(down)), 1e-6)
    offsets = np.unique(np.r_[reach, 0.0])
    places = middle[:, :, None, :2] + offsets[:, None] * down
    places = places.reshape(len(up), -1, 2)
    dark = read_at(grey, places[..., 0], places[..., 1])
    height = ((places - middle.mean(1)[:, None, :2]) @ down) / scale  # centimetres along the search line
    cost = dark[0] / 255 + 0.3 * height[0] ** 2
    back = []
    for k in range(1, len(up)):
        bend = 18.0 * (height[k][:, None] - height[k - 1][None, :]) ** 2
        total = cost[None, :] + bend
        back.append(total.argmin(1))
        cost = total.min(1) + dark[k] / 255 + 0.3 * height[k] ** 2
    best = [int(cost.argmin())]
    for choice in reversed(back):
        best.append(int(choice[best[-1]]))
    seam = places[np.arange(len(up)), best[::-1]]
    out = vertices.copy()
    z = 0.5 * (up[:, 2] + low[:, 2])
    out[UPPER[1:-1]] = out[LOWER[1:-1]] = np.c_[seam, z]
    return out


RELAX = 0.75  # of the portrait's expression that is taken away; all of it would fight the folds painted in the cheeks
MEET = 0.7  # of the way up from the lower inner lip to the upper, where they meet
PLUMP = 0.9  # centimetres from its rim that the lower lip moves as one: stretched, it would grow thicker
FADE = 1.3  # centimetres of skin that follow


def relax_mouth(vertices: FloatArray, solution: Solution) -> FloatArray:
    """The jaw raised and the smile taken back by most of what they are, before the lips are closed."""
    return np.asarray(vertices - RELAX * solution.expression(), np.float32)


def close_lips(vertices: FloatArray) -> FloatArray:
    """Open lips brought together, the upper row moving the less, each side fading over skin."""
    model = face_model().neutral
    goal = MEET * vertices[UPPER] + (1 - MEET) * vertices[LOWER]
    order = np.argsort(model[UPPER, 0])
    column = model[:, 0]

    def spread(move: FloatArray) -> np.ndarray:
        return np.stack([np.interp(column, model[UPPER[order], 0], move[order, k]) for k in range(3)], 1)

    distance = np.linalg.norm(model[:, None] - model[None, np.r_[UPPER, LOWER]], axis=2).min(1)
    line = np.interp(column, model[UPPER[order], 0], model[UPPER[order], 1])
    above = model[:, 1] < line
    above[UPPER], above[LOWER[1:-1]] = True, False
    fade = _following(distance, np.where(above, 0, PLUMP))
    move = np.where(above[:, None], spread(goal - vertices[UPPER]), spread(goal - vertices[LOWER]))
    out = vertices + move * fade
    # The lips' own rows move column by column: near the corners a neighbour's larger step would fold them.
    for inner, rows, plump in ((UPPER, top.LIP_ROWS_UPPER, 0.0), (LOWER, top.LIP_ROWS_LOWER, PLUMP)):
        for row in rows:
            reach = np.linalg.norm(model[list(row)] - model[inner], axis=1)
            share = _following(reach, plump)
            out[list(row[1:-1])] = (vertices[list(row)] + share * (goal - vertices[inner]))[1:-1]
    out[UPPER], out[LOWER] = goal, goal
    return out.astype(np.float32)


def _following(distance: np.ndarray, plump: np.ndarray | float) -> np.ndarray:
    """How much of a rim's movement is left ``distance`` [n] from it, in centimetres [n, 1]."""
    return np.asarray(np.exp(-((np.maximum(distance - plump, 0) / FADE) ** 2)))[:, None]
