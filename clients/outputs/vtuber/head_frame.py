"""Turns of the head and the eyes as other programs ask for them.

Ours (`engine.contracts`): x to the picture's right, y down, z away from the viewer; right-handed. The person looks at
the viewer, so his own right is -x, up is -y, forwards is -z.
"""

from __future__ import annotations

from math import cos, radians, sin

import numpy as np

from engine.contracts import FloatArray

EYES_M = 0.09  # metres between the outer corners of an adult's eyes (Farkas: 88 mm in women, 91 mm in men)

Quaternion = tuple[float, float, float, float]  # x, y, z, w


def quaternion(rotation: FloatArray) -> Quaternion:
    """The rotation [3, 3] as a unit quaternion with w >= 0."""
    r = np.asarray(rotation, np.float64)
    symmetric = np.array(  # its eigenvector of the largest eigenvalue is the quaternion; no case needs an exception
        [
            [r[0, 0] - r[1, 1] - r[2, 2], r[1, 0] + r[0, 1], r[2, 0] + r[0, 2], r[2, 1] - r[1, 2]],
            [r[1, 0] + r[0, 1], r[1, 1] - r[0, 0] - r[2, 2], r[2, 1] + r[1, 2], r[0, 2] - r[2, 0]],
            [r[2, 0] + r[0, 2], r[2, 1] + r[1, 2], r[2, 2] - r[0, 0] - r[1, 1], r[1, 0] - r[0, 1]],
            [r[2, 1] - r[1, 2], r[0, 2] - r[2, 0], r[1, 0] - r[0, 1], r[0, 0] + r[1, 1] + r[2, 2]],
        ]
    )
    x, y, z, w = np.linalg.eigh(symmetric)[1][:, -1]
    sign = 1.0 if w >= 0 else -1.0
    return float(sign * x), float(sign * y), float(sign * z), float(sign * w)


def turned(left: float, up: float) -> FloatArray:
    """An eye's rotation [3, 3] in our frame: first up, then to the person's left; degrees."""
    a, b = radians(left), radians(up)
    about_y = np.array([[cos(a), 0, -sin(a)], [0, 1, 0], [sin(a), 0, cos(a)]])
    about_x = np.array([[1, 0, 0], [0, cos(b), sin(b)], [0, -sin(b), cos(b)]])
    return np.asarray(about_y @ about_x, np.float32)


def yaw_pitch_roll(rotation: FloatArray) -> tuple[float, float, float]:
    """The turn [3, 3] as a neck does it, in radians: first roll, then pitch, then yaw about the upright axis.

    Game engines and Live2D put angles together so (Unreal's FRotator); `engine.contracts` rolls last.
    """
    r = np.asarray(rotation, np.float64)
    pitch = np.arcsin(np.clip(-r[1, 2], -1, 1))
    return float(np.arctan2(r[0, 2], r[2, 2])), float(pitch), float(np.arctan2(r[1, 0], r[1, 1]))
