"""Canvases on which looks of a film are kept: parts of the face mesh laid flat, the mouth opened so far as to be seen.

What lies between the lips and between the lids belongs to them: the mesh has triangles there.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.morphable_model import face_model

OPENED = 0.45  # jawOpen of the mouth that is laid flat
MOUTH_HALF, EYE_HALF = np.array([3.6, 3.2]), np.array([2.4, 1.9])  # centimetres from the middle to the canvas's ends
MOUTH_WIDE, EYE_WIDE = 112, 72  # pixels
FADES = 0.2  # of the way to the ends, over which nothing is left of it
WITHIN = 1.15  # of the ends: triangles beyond are left out


@dataclass(frozen=True)
class Canvas:
    """One region: h x w pixels."""

    triangles: np.ndarray  # [F, 3] int32 of the face's mesh
    places: FloatArray  # [468, 2] where each vertex lies on the canvas, pixels
    fade: FloatArray  # [h, w, 1]

    @property
    def shape(self) -> tuple[int, int]:
        """Height and width."""
        return int(self.fade.shape[0]), int(self.fade.shape[1])


@cache
def canvas(region: str) -> Canvas:
    """The canvas of ``region``: "mouth", "eye_right" or "eye_left"."""
    model = face_model()
    if region == "mouth":
        shape = model.neutral + OPENED * model.expressions[INDEX["jawOpen"]]
        ring, half, wide = top.LIP_OUTER, MOUTH_HALF, MOUTH_WIDE
    else:
        shape, half, wide = model.neutral, EYE_HALF, EYE_WIDE
        ring = top.EYE_RIGHT if region == "eye_right" else top.EYE_LEFT
    away = (shape[:, :2] - shape[list(ring), :2].mean(0)) / half
    near = np.linalg.norm(away, axis=1) < WITHIN
    tall = round(wide * half[1] / half[0])
    places = (away + 1) * np.array([wide, tall]) / 2 - 0.5
    y, x = np.mgrid[0:tall, 0:wide]
    radius = np.hypot((x - (wide - 1) / 2) / (wide / 2), (y - (tall - 1) / 2) / (tall / 2))
    return Canvas(
        np.ascontiguousarray(model.triangles[near[model.triangles].all(1)], np.int32),
        np.ascontiguousarray(places, np.float32),
        np.clip((1 - radius) / FADES, 0, 1)[..., None].astype(np.float32),
    )


@cache
def cells(region: str) -> tuple[np.ndarray, np.ndarray, FloatArray]:
    """Which pixels of a canvas lie on its triangles: their numbers [n], vertices [n, 3] and barycentrics [n, 3]."""
    flat = canvas(region)
    tall, wide = flat.shape
    which = np.full((tall, wide), -1)
    weights = np.zeros((tall, wide, 3), np.float32)
    y, x = np.mgrid[0:tall, 0:wide]
    for number, corners in enumerate(flat.triangles):
        a, b, c = flat.places[corners].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-6:
            continue
        second = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        share = np.stack([1 - second - third, second, third], -1)
        inside = (share >= -1e-6).all(-1)
        which[inside], weights[inside] = number, share[inside]
    on = np.flatnonzero(which.reshape(-1) >= 0)
    return on, flat.triangles[which.reshape(-1)[on]], weights.reshape(-1, 3)[on]
