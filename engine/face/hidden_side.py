"""The side of a turned head that the photograph hides, found at enrolment and shown when the head turns back.

Where a vertex faces away while its mirror twin is well seen, the twin's texture will take over. Where the face's rim
lies hidden inside the outline, the sheet behind it gets a second texture place beyond the outline, so that it drags no
smear of the cheek along when the rim turns into view. And where a vertex lies on the outline's soft pixels, its texture
place moves into the skin, or the background in those pixels would be stretched over the jaw.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.surround import smoothstep
from engine.imaging.neighbours import nearest_points
from engine.imaging.smoothing import blur

OVAL = list(top.OVAL)
BEYOND = 0.022  # of the face's width: how far past the outline the sheet takes its texture
TUCK = 0.024  # of the face's width: how far texture places move off a soft outline at most
TRUST = (1.4, 2.0)  # factors between the light of the two sides up to which, and beyond which not, they are exchanged
SMOOTHED = 3  # rounds of evening out between the hidden and the visible rim
NOSE_SHADOW = 2.2  # centimetres from the midline within which nothing is mirrored


@dataclass(frozen=True)
class Hidden:
    """See the fields of the same meaning in `engine.face.avatar.Avatar`."""

    share: FloatArray  # [468] how much of the twin's texture a vertex takes once it turns into view
    gain: FloatArray  # [3] RGB factors from the twin's light to this side's
    beyond: FloatArray  # [36, 2]
    tucked: FloatArray  # [468, 2]


def mirror_twins(model: FloatArray) -> np.ndarray:
    """The vertex on the other side of the model's midline for each of the 468."""
    flipped = model * np.array([-1, 1, 1], np.float32)
    return np.asarray(np.linalg.norm(flipped[:, None] - model[None], axis=2).argmin(1))


def facing(vertices: FloatArray, triangles: np.ndarray) -> FloatArray:
    """Unit normals of the mesh [468, 3], pointing out of the face (-z is towards the viewer)."""
    a, b, c = (vertices[triangles[:, i]] for i in range(3))
    flat = np.cross(b - a, c - a)
    normals = np.zeros_like(vertices)
    for i in range(3):
        np.add.at(normals, triangles[:, i], flat)
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-9
    return np.asarray(normals * -np.sign(normals[4, 2]), np.float32)


def find_hidden(
    face: FloatArray,
    triangles: np.ndarray,
    model: FloatArray,
    image: ByteArray,
    face_area: FloatArray,
    silhouette: FloatArray,
) -> Hidden:
    """What ``face`` [468, 3] hides in ``image`` [S, S, 3], where its mesh covers ``face_area`` [S, S]."""
    toward = -facing(face, triangles)[:, 2]
    twins = mirror_twins(model)
    better = toward[twins] - toward
    share = smoothstep((0.30 - toward) / 0.25) * smoothstep((better - 0.15) / 0.25)
    share *= smoothstep((np.abs(model[:, 0]) - NOSE_SHADOW) / 1.0)
    both = (toward > 0.25) & (toward < 0.6) & (better > 0.05)
    gain = _gain(face, twins, both, image)
    share *= _trust(gain)
    return Hidden(share.astype(np.float32), gain, _beyond(face, face_area), _tuck(face, silhouette))


def _trust(gain: FloatArray) -> float:
    """How far the twin's skin can stand in, 0 to 1: a lit cheek cannot be made of one in deep shade, nor the reverse.

    Where it cannot, the skin beside the outline is stretched instead.
    """
    apart = float(np.abs(np.log(gain)).max())
    return float(smoothstep((np.log(TRUST[1]) - apart) / np.log(TRUST[1] / TRUST[0])))


def _gain(face: FloatArray, twins: np.ndarray, both: np.ndarray, image: ByteArray) -> FloatArray:
    if both.sum() <= 5:
        return np.ones(3, np.float32)
    soft = blur(image, 3)
    at = np.clip(face[:, :2].astype(int), 0, image.shape[0] - 1)
    colour = soft[at[:, 1], at[:, 0]]
    ratio = colour[both].mean(0) / np.maximum(colour[twins[both]].mean(0), 8)
    return np.clip(ratio, 0.4, 2.5).astype(np.float32)


def _tuck(face: FloatArray, silhouette: FloatArray) -> FloatArray:
    """Texture places of all vertices [468, 2]; those on soft pixels walk inwards until they are on skin."""
    places = face[:, :2].copy()
    inward = face[5, :2] - places
    inward /= np.maximum(np.linalg.norm(inward, axis=1, keepdims=True), 1e-6)
    reach = TUCK * float(np.linalg.norm(face[top.EAR_RIGHT] - face[top.EAR_LEFT]))
    for step in np.linspace(0, reach, 10):
        at = np.clip(np.round(places).astype(int), 0, len(silhouette) - 1)
        soft = silhouette[at[:, 1], at[:, 0]] < 0.93
        places[soft] = (face[:, :2] + step * inward)[soft]
    return places.astype(np.float32)


def _beyond(face: FloatArray, face_area: FloatArray) -> FloatArray:
    """Texture places of the oval's vertices [36, 2]; one that lies inside the visible face moves past its outline."""
    width = float(np.linalg.norm(face[top.EAR_RIGHT] - face[top.EAR_LEFT]))
    rim = face[OVAL, :2]
    empty = np.argwhere(face_area == 0)[:, ::-1].astype(np.float32)
    nearest, distance = nearest_points(rim, empty)
    away = (empty[nearest] - rim) / np.maximum(distance, 1e-6)[:, None]
    outside = empty[nearest] + away * BEYOND * width
    share = smoothstep((distance - 1.5) / 3.0)
    for _ in range(SMOOTHED):  # along the oval, or the outline would jump where its hidden part ends
        share = np.maximum(share, 0.25 * np.roll(share, 1) + 0.5 * share + 0.25 * np.roll(share, -1))
    share = share[:, None]
    return np.asarray(rim + share * (outside - rim), np.float32)
