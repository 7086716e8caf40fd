"""Skin and lips that keep their colour while they move.

Light wanders while a film is made, and from shot to shot. Told by what lips and lids do, it would come and go with
them: faces that a voice moved had purple or dark stains around their mouths. So what skin differs in evenly from the
portrait's is what it differs in all through the film, and a little by how the head is turned.
"""

from __future__ import annotations

from functools import cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.kept.film_memory import SQUARED
from engine.imaging.shapes import polygon_mask
from engine.imaging.smoothing import blur
from engine.render.remembered.canvases import canvas, cells, inside

EVEN, MEET = 8.0, 2.0  # pixels of the canvas within which skin, or lips, have one colour; and over which they meet
TURNED = 0.2  # of the square of a usual turn: few films show enough turns to tell light by
PRODUCTS = SQUARED * (SQUARED + 1) // 2  # terms that follow those of the axes; the last two axes are the head's turn


def steadied(region: str, phi: np.ndarray, onto: FloatArray, over: FloatArray) -> FloatArray:
    """What must be added to a look's layers [m, n, 3] for that.

    ``onto`` [m, T] made them of differences ``over`` [T, n, 3] by terms ``phi`` [T, m], of which the first is there
    once anything moves.
    """
    turns = len(onto) - PRODUCTS - np.array([2, 1])
    few = [0, *turns.tolist()]
    ridge = np.diag([1e-6, TURNED * len(phi), TURNED * len(phi)])
    alone = np.zeros_like(onto)
    alone[few] = np.linalg.solve(phi[:, few].T @ phi[:, few] + ridge, phi[:, few].T)
    wanted = ((alone - onto) @ over.reshape(len(over), -1)).reshape(len(onto), -1, 3)
    on, shape = cells(region)[0], canvas(region).shape
    flat = np.zeros((len(onto), shape[0] * shape[1], 3), np.float32)
    flat[:, on] = wanted
    known = np.zeros(flat.shape[1], np.float32)
    known[on] = 1
    out = np.zeros_like(flat)
    for area in _areas(region):
        share = area * known.reshape(shape)
        total = np.maximum(blur(share, EVEN), 1e-3)[..., None]
        for k, layer in enumerate(flat):
            even = blur(layer.reshape(*shape, 3) * share[..., None], EVEN) / total
            out[k] += (area[..., None] * even).reshape(-1, 3)
    return out[:, on]


@cache
def _areas(region: str) -> tuple[FloatArray, ...]:
    """How much of a canvas's pixels [h, w] is skin, and of the mouth's how much is lip; neither where they meet."""
    flat = canvas(region)
    ring = {"mouth": top.LIP_OUTER, "eye_right": top.EYE_RIGHT, "eye_left": top.EYE_LEFT}[region]
    places = flat.places[list(ring)].astype(np.float64)
    within = blur(polygon_mask(places, flat.shape[1], flat.shape[0]).reshape(flat.shape).astype(np.float32), MEET)
    skin = np.clip(1 - 2 * within, 0, 1)
    if region != "mouth":
        return (skin,)
    return skin, np.clip(2 * within - 1, 0, 1) * np.clip(1 - 2 * blur(inside(region), MEET), 0, 1)
