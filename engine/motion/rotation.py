"""Head rotations as matrices, in the frame that `engine.contracts` describes."""

from __future__ import annotations

from math import atan2, cos, sin

import numpy as np

from engine.contracts import FloatArray


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


def scaled(rotation: FloatArray, factor: float) -> FloatArray:
    """The rotation [3, 3] about the same axis, by ``factor`` times its angle (which must be below half a turn)."""
    axis = np.array([rotation[2, 1] - rotation[1, 2], rotation[0, 2] - rotation[2, 0], rotation[1, 0] - rotation[0, 1]])
    length = float(np.linalg.norm(axis))
    if length < 1e-9 or factor == 1.0:
        return rotation
    angle = factor * atan2(length / 2, (float(np.trace(rotation)) - 1) / 2)
    x, y, z = axis / length
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + sin(angle) * cross + (1 - cos(angle)) * cross @ cross, np.float32)


def euler_angles(rotation: FloatArray) -> FloatArray:
    """The (yaw, pitch, roll) [..., 3] in radians of which `rotation_matrix` makes ``rotation`` [..., 3, 3]."""
    r = np.asarray(rotation, np.float64)
    yaw = np.arcsin(np.clip(-r[..., 2, 0], -1, 1))
    pitch = np.arctan2(r[..., 2, 1], r[..., 2, 2])
    roll = np.arctan2(r[..., 1, 0], r[..., 0, 0])
    return np.stack([yaw, pitch, roll], -1).astype(np.float32)
