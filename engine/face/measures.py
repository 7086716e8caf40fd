"""What a face tracker's landmarks say about a picture: how far lips and lids stand open, how the head is turned.

Everything is relative to the distance of the outer eye corners, so pictures of any size compare.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.morphable_model import FaceModel, face_model, similarity

LIPS_MIDDLE = (13, 14)
# Upper and lower lid points, then the corners: Soukupova & Cech (2016), eq. 1.
EYES = {
    "right": ((160, 158), (144, 153), (33, 133)),
    "left": ((385, 387), (380, 373), (362, 263)),
}


def unit(face: FloatArray) -> float:
    """Distance of the outer eye corners of ``face`` [N, >= 2], in its own units."""
    return float(np.linalg.norm(face[top.OUTER_CORNER_RIGHT, :2] - face[top.OUTER_CORNER_LEFT, :2]))


def aperture(face: FloatArray) -> float:
    """Distance of the inner lips' middles in outer-eye-corner distances."""
    upper, lower = LIPS_MIDDLE
    return float(np.linalg.norm(face[upper, :2] - face[lower, :2])) / unit(face)


def eye_aspect_ratio(face: FloatArray, side: str) -> float:
    """Height over width of the eye on the person's ``side`` ("right", "left"); about 0.3 open, below 0.12 closed."""
    upper, lower, corners = EYES[side]
    tall = sum(float(np.linalg.norm(face[u, :2] - face[low, :2])) for u, low in zip(upper, lower, strict=True))
    return tall / (len(upper) * float(np.linalg.norm(face[corners[0], :2] - face[corners[1], :2])))


def head_angles(face: FloatArray, model: FaceModel) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of ``face`` [>= 468, 3], as in `engine.contracts`; 0 looks at the camera."""
    used = model.pose_weights > 0
    points = face[: top.VERTICES]
    rotation = similarity(model.neutral[used], points[used], model.pose_weights[used])[1]
    return rotation_angles(rotation)


def rotation_angles(rotation: np.ndarray) -> tuple[float, float, float]:
    """Yaw, pitch and roll in degrees of ``rotation`` [3, 3] = Rz(roll) Ry(yaw) Rx(pitch)."""
    yaw = np.arcsin(np.clip(-rotation[2, 0], -1, 1))
    pitch = np.arctan2(rotation[2, 1], rotation[2, 2])
    roll = np.arctan2(rotation[1, 0], rotation[0, 0])
    return float(np.degrees(yaw)), float(np.degrees(pitch)), float(np.degrees(roll))


def landmark_error(seen: FloatArray, wanted: FloatArray, rows: list[int] | None = None) -> float:
    """Mean distance in the picture of ``seen`` from ``wanted`` [>= 468, >= 2], as a share of ``wanted``'s `unit`."""
    chosen = rows if rows is not None else list(range(top.VERTICES))
    return float(np.linalg.norm(seen[chosen, :2] - wanted[chosen, :2], axis=1).mean()) / unit(wanted)


def lip_distance(made: FloatArray, truth: FloatArray) -> float:
    """Mean distance of the lips' landmarks after a similarity of the whole face, in outer-eye-corner distances."""
    a, b = made[: top.VERTICES], truth[: top.VERTICES]
    a, b = (np.pad(x[:, :2], ((0, 0), (0, 1))) for x in (a, b))
    still = [k for k in range(top.VERTICES) if face_model().pose_weights[k] > 0]
    scale, rotation, shift = similarity(a[still], b[still])
    moved = scale * a @ rotation.T + shift
    lips = list(top.LIP_VERTICES)
    unit = np.linalg.norm(b[top.OUTER_CORNER_RIGHT] - b[top.OUTER_CORNER_LEFT])
    return float(np.linalg.norm(moved[lips] - b[lips], axis=1).mean() / unit)
