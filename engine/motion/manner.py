"""One person's way of moving, beside everybody's: what a film taught, laid over what the networks say."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX, NAMES
from engine.face.kept.film_memory import HEARD, Manner

LEAST, MOST = 0.2, 2.5  # factors of an opening
BARELY = 0.02  # an opening that is taken for none
PARTS = 0.17  # what lips that part by themselves open, beside jawOpen
_HEARD = [INDEX[name] for name in HEARD]
_PARTING = ("jawOpen", "mouthClose", "mouthLowerDown", "mouthUpperUp")
_OPENS = [k for k, name in enumerate(NAMES) if name.startswith(_PARTING)]


def opening(shapes: FloatArray) -> FloatArray:
    """How far blendshapes [..., 52] open the lips, in units of jawOpen [...]."""
    jaw = shapes[..., INDEX["jawOpen"]] - shapes[..., INDEX["mouthClose"]]
    lips = shapes[..., INDEX["mouthLowerDownLeft"]] + shapes[..., INDEX["mouthUpperUpLeft"]]
    return np.asarray(jaw + PARTS * lips)


def heard(shapes: FloatArray) -> FloatArray:
    """What of blendshapes [..., 52] tells how far this person opens [..., 11], a one last."""
    return np.concatenate([shapes[..., _HEARD], np.ones((*shapes.shape[:-1], 1), np.float32)], -1)


def opened(shapes: FloatArray, manner: Manner) -> FloatArray:
    """Blendshapes [..., 52] whose lips open as far as this person's; closed lips stay closed."""
    if not len(manner.opening):
        return shapes
    wanted = np.maximum(heard(shapes) @ manner.opening, 0)
    factor = np.clip(wanted / np.maximum(opening(shapes), BARELY), LEAST, MOST)
    out = shapes.copy()
    out[..., _OPENS] = np.clip(out[..., _OPENS] * factor[..., None], 0, 1)
    return out
