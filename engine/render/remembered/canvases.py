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
from engine.imaging.shapes import polygon_mask

OPENED = 0.45  # jawOpen of the mouth that is laid flat
MOUTH_HALF, EYE_HALF = np.array([3.6, 3.2]), np.array([2.4, 1.9])  # centimetres from the middle to the canvas's ends
MOUTH_WIDE, EYE_WIDE = 96, 60  # pixels: as many as such a region has in a picture of 512
FADES = 0.2  # of the way to the ends, over which nothing is left of it
WITHIN = 1.15  # of the ends: triangles wholly beyond are left out
RIM, SOFT = 0.8, 1.6  # pixels beyond the inner lips, and over which, what is between them gives way


@dataclass(frozen=True)
class Canvas:
    """One region: h x w pixels."""

    triangles: np.ndarray  # [F, 3] int32 of the face's mesh
    places: FloatArray  # [468, 2] where each vertex lies on the canvas, pixels
    fade: FloatArray  # [h, w]

    @property
    def spans(self) -> np.ndarray:
        """The pixels [h, 2] of each row that are not faded out: from the first to before the last, int32."""
        shown = self.fade > 0
        first, last = shown.argmax(1), self.shape[1] - shown[:, ::-1].argmax(1)
        return np.stack([np.where(shown.any(1), first, 0), np.where(shown.any(1), last, 0)], 1).astype(np.int32)

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
    tall = round(wide * half[1] / half[0])
    places = (away + 1) * np.array([wide, tall]) / 2 - 0.5
    y, x = np.mgrid[0:tall, 0:wide]
    radius = np.hypot((x - (wide - 1) / 2) / (wide / 2), (y - (tall - 1) / 2) / (tall / 2))
    fade = np.clip((1 - radius) / FADES, 0, 1).astype(np.float32)
    far = np.linalg.norm(away, axis=1)[model.triangles]
    triangles = model.triangles[(far < WITHIN).any(1)].astype(np.int32)
    which = _covered(triangles, places, fade.shape)[0]
    kept = (far < 1).any(1)[(far < WITHIN).any(1)]  # folds of the lips that are too thin for a pixel here, too
    kept[np.unique(which[(which >= 0) & (fade > 0)])] = True
    return Canvas(np.ascontiguousarray(triangles[kept]), np.ascontiguousarray(places, np.float32), fade)


@cache
def inside(region: str) -> FloatArray:
    """What lies between the lips [h, w], 0 to 1; nothing of eyes."""
    flat = canvas(region)
    if region != "mouth":
        return np.zeros(flat.shape, np.float32)
    ring = flat.places[list(top.LIP_INNER)].astype(np.float64)
    y, x = np.mgrid[0 : flat.shape[0], 0 : flat.shape[1]]
    points = np.stack([x, y], -1).reshape(-1, 2)
    away = np.full(len(points), np.inf)
    for a, b in zip(ring, np.roll(ring, -1, axis=0), strict=True):
        along = np.clip((points - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-6), 0, 1)
        away = np.minimum(away, np.linalg.norm(points - a - along[:, None] * (b - a), axis=1))
    within = polygon_mask(ring, flat.shape[1], flat.shape[0]).reshape(-1)
    beyond = np.where(within, -away, away) - RIM
    return np.clip(0.5 - beyond / SOFT, 0, 1).reshape(flat.shape).astype(np.float32)


@cache
def cells(region: str) -> tuple[np.ndarray, np.ndarray, FloatArray]:
    """Which pixels of a canvas lie on its triangles: their numbers [n], vertices [n, 3] and barycentrics [n, 3]."""
    flat = canvas(region)
    which, weights = _covered(flat.triangles, flat.places, flat.shape)
    on = np.flatnonzero(which.reshape(-1) >= 0)
    return on, flat.triangles[which.reshape(-1)[on]], weights.reshape(-1, 3)[on]


def _covered(triangles: np.ndarray, places: np.ndarray, shape: tuple[int, ...]) -> tuple[np.ndarray, FloatArray]:
    """Which of the ``triangles`` lies on each pixel [h, w], -1 for none, and its barycentrics there [h, w, 3]."""
    tall, wide = shape
    which = np.full((tall, wide), -1)
    weights = np.zeros((tall, wide, 3), np.float32)
    y, x = np.mgrid[0:tall, 0:wide]
    for number, corners in enumerate(triangles):
        a, b, c = places[corners].astype(np.float64)
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-6:
            continue
        second = ((x - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (y - a[1])) / area
        third = ((b[0] - a[0]) * (y - a[1]) - (x - a[0]) * (b[1] - a[1])) / area
        share = np.stack([1 - second - third, second, third], -1)
        within = (share >= -1e-6).all(-1)
        which[within], weights[within] = number, share[within]
    return which, weights
