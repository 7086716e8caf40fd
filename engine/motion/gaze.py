"""Where eyes look, out of the eyeLook coefficients."""

from __future__ import annotations

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX

GAZE_DEGREES = 32.0  # how far an eye turns at a coefficient of 1
Angles = tuple[float, float]


def gaze(shapes: FloatArray) -> tuple[Angles, Angles]:
    """Of the left and the right eye: degrees to the person's own left, and degrees up, within the head.

    ``shapes`` are the coefficients [52].
    """

    def value(name: str) -> float:
        return GAZE_DEGREES * float(shapes[INDEX[name]])

    left = value("eyeLookOutLeft") - value("eyeLookInLeft"), value("eyeLookUpLeft") - value("eyeLookDownLeft")
    right = value("eyeLookInRight") - value("eyeLookOutRight"), value("eyeLookUpRight") - value("eyeLookDownRight")
    return left, right
