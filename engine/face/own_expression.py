"""The portrait's own expression: which coefficients come closest to what enrolment took away to make it neutral."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.lids import open_eyes
from engine.face.morphable_model import face_model

SIDED = ("mouthSmile", "mouthStretch", "mouthUpperUp", "mouthLowerDown")
SHAPES = ("jawOpen", *(name + side for name in SIDED for side in ("Left", "Right")))
RIDGE = 0.5  # square centimetres that a coefficient of 1 must explain to be worth it
REACH = 2.5  # centimetres around the lips that count


def own_expression(avatar: Avatar) -> FloatArray:
    """ARKit coefficients [52] in [0, 1] of the photo's expression; all zero where the portrait is neutral itself."""
    out = np.zeros(len(NAMES), np.float32)
    out[[INDEX["eyeBlinkRight"], INDEX["eyeBlinkLeft"]]] = avatar.shut
    if avatar.smile <= 0:
        return out
    model = face_model()
    lips = model.neutral[list(top.LIP_INNER)]
    away = np.linalg.norm(model.neutral[:, None] - lips[None], axis=2).min(1)
    weight = np.exp(-((away / REACH) ** 2))[:, None]
    taken = (open_eyes(avatar.reference, avatar.shut) - avatar.neutral) @ avatar.rotation / avatar.scale * weight
    chosen = [INDEX[name] for name in SHAPES]
    shapes = (model.expressions[chosen] * weight).reshape(len(chosen), -1).astype(np.float64)
    square = shapes @ shapes.T + RIDGE * np.eye(len(chosen))
    found = np.zeros(len(chosen))
    aim = shapes @ taken.reshape(-1)
    for _ in range(100):  # least squares within bounds, one coefficient after the other
        for k in range(len(chosen)):
            found[k] = np.clip(found[k] + (aim[k] - square[k] @ found) / square[k, k], 0, 1)
    out[chosen] = found
    return out
