"""How light a mouth's inside is beside the real one: the mean, and the brightest tenth, which the teeth are."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import measures
from engine.face import topology as top
from engine.face.panels import LUMA
from engine.imaging.shapes import polygon_mask

OPEN = 0.08  # of the outer eye corners' distance: lips further apart than this show what is inside
FEWEST = 20  # pixels within the lips that say anything


@dataclass(frozen=True)
class InsideLight:
    """Brightness (luma, 0 to 255) within the inner lips, over the frames in which they are open."""

    frames: int
    mean: float
    tenth: float  # of the brightest tenth of each frame's pixels, on average


def inside_light(pictures: ByteArray, landmarks: FloatArray) -> InsideLight | None:
    """Of pictures [T, H, W, 3] within the inner lips of ``landmarks`` [T, 478, 3] in their pixels; NaN is left out.

    The landmarks of the real film serve for the made one as well, so that both are judged in the same places.
    None when no frame shows an open mouth.
    """
    found = []
    for picture, face in zip(pictures, landmarks, strict=True):
        if not measures.aperture(face) > OPEN:
            continue
        height, width = picture.shape[:2]
        luma = picture[polygon_mask(face[list(top.LIP_INNER), :2], width, height)].astype(np.float32) @ LUMA
        if len(luma) >= FEWEST:
            brightest = np.sort(luma)[-(len(luma) // 10) :]
            found.append((luma.mean(), brightest.mean()))
    if not found:
        return None
    mean, tenth = np.mean(found, axis=0)
    return InsideLight(len(found), float(mean), float(tenth))
