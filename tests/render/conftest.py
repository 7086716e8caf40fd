from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import Motion
from engine.face.blendshapes import INDEX, NAMES


def rotation(yaw: float = 0, pitch: float = 0, roll: float = 0) -> np.ndarray:
    """Rz(roll) Ry(yaw) Rx(pitch) of degrees, as `engine.contracts` defines them."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def motion(
    turn: tuple[float, float, float] = (0, 0, 0), shift: tuple[float, ...] = (0, 0, 0), **shapes: float
) -> Motion:
    """A motion out of names; ``eyeBlink`` stands for both sides."""
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        for full in (name, name + "Left", name + "Right"):
            if full in INDEX:
                beta[INDEX[full]] = value
    return Motion(0, beta, rotation(*turn), np.array(shift, np.float32))


@pytest.fixture(scope="session")
def talk():
    return motion
