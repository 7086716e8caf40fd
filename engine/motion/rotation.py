"""Head rotations as matrices, in the frame that `engine.types` describes."""

from __future__ import annotations

from math import cos, sin

import numpy as np

from engine.types import FloatArray


def rotation_matrix(yaw: float, pitch: float, roll: float) -> FloatArray:
    """``Rz(roll) @ Ry(yaw) @ Rx(pitch)`` [3, 3] float32, angles in radians.

    Positive yaw takes the nose to the picture's left, positive pitch takes it down, positive roll tilts the head
    clockwise.
    """
    cy, sy, cp, sp, cr, sr = cos(yaw), sin(yaw), cos(pitch), sin(pitch), cos(roll), sin(roll)
    return np.array(
        [
            [cr * cy, cr * sy * sp - sr * cp, cr * sy * cp + sr * sp],
            [sr * cy, sr * sy * sp + cr * cp, sr * sy * cp - cr * sp],
            [-sy, cy * sp, cy * cp],
        ],
        np.float32,
    )
