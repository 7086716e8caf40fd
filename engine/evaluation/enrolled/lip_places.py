"""Where lips lie beside a film's own, by the pictures themselves and not by a tracker.

A tracker finds lips by the whole face: other eyes alone move them. Here a few small pictures from the lips' outline are
looked for in another picture (Lucas, Kanade 1981).
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.evaluation.picture_figures import grey_of
from engine.face import topology as top
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur

PLACES = (0, 17, 61, 291)  # of the mesh: the middles of both lips' outlines, the corners
REACH, SOFT = 11, 1.5  # pixels of such a picture from its middle to its end, and by which all are blurred
ROUNDS, FARTHEST = 6, 5.0  # of Gauss and Newton; pixels, for what is not found either


def lips_beside(made: ByteArray, truth: ByteArray, face: FloatArray) -> FloatArray:
    """How far [4] lips in ``made`` [S, S, 3] lie from those in ``truth``, in outer-eye-corner distances.

    ``face`` [478, 3] are the truth's landmarks, in its pixels.
    """
    there, here = (blur(grey_of(picture), SOFT) for picture in (truth, made))
    y, x = np.mgrid[-REACH : REACH + 1, -REACH : REACH + 1]
    out = []
    for place in face[list(PLACES), :2].astype(np.float64):
        goal = read_at(there, x + place[0], y + place[1])
        at = place.copy()
        for _ in range(ROUNDS):
            found = read_at(here, x + at[0], y + at[1])
            down, across = np.gradient(found)
            apart = (goal - goal.mean()) - (found - found.mean())
            step = np.linalg.lstsq(np.stack([across.ravel(), down.ravel()], 1), apart.ravel(), rcond=None)[0]
            at += np.clip(step, -1, 1)
        out.append(min(float(np.hypot(*(at - place))), FARTHEST))
    unit = np.linalg.norm(face[top.OUTER_CORNER_RIGHT, :2] - face[top.OUTER_CORNER_LEFT, :2])
    return np.array(out, np.float32) / np.float32(unit)
