"""Five points of a standard face, by which photos are aligned for the 3DMM network.

The release has them in a MATLAB file, ``similarity_Lm3D_all.mat``, of which this reads the one array ``lm``. Where that
file is not at hand, points of our own face model stand in.
"""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.morphable_model import face_model

MAX_BYTES = 1_000_000
HEADER = 128
COMPRESSED, MATRIX = 15, 14
NUMBERS = {1: "<i1", 2: "<u1", 3: "<i2", 4: "<u2", 5: "<i4", 6: "<u4", 7: "<f4", 9: "<f8"}
EYES, NOSE, MOUTH = ((36, 39), (42, 45)), 30, (48, 54)  # of the 68
MESH_EYES, MESH_NOSE, MESH_MOUTH = ((33, 133), (362, 263)), 4, (61, 291)  # of the face mesh, the viewer's left first
EYES_APART, EYES_UP, EYES_DEEP = 0.62, 0.29, 0.13  # of the standard face, about decimetres


def five(points: FloatArray) -> FloatArray:
    """Both eyes, the nose's tip and both corners of the mouth [5, n] of 68 points [68, n]."""
    eyes = [points[list(pair)].mean(0) for pair in EYES]
    return np.stack([*eyes, points[NOSE], points[MOUTH[0]], points[MOUTH[1]]])


def five_of_mesh(landmarks: FloatArray) -> FloatArray:
    """The same five [5, n] of the face mesh's landmarks [468 or 478, n]."""
    eyes = [landmarks[list(pair)].mean(0) for pair in MESH_EYES]
    return np.stack([*eyes, landmarks[MESH_NOSE], landmarks[MESH_MOUTH[0]], landmarks[MESH_MOUTH[1]]])


def own_standard_points() -> FloatArray:
    """Five points [5, 3] of our face model, as large and as high as the release's."""
    points = five_of_mesh(face_model().neutral.astype(np.float64)) * [1.0, -1.0, -1.0]  # y up, z towards the viewer
    points *= EYES_APART / np.linalg.norm(points[1] - points[0])
    points -= 0.5 * (points[0] + points[1])
    points += np.array([0.0, EYES_UP, EYES_DEEP])
    return points.astype(np.float32)


def read_standard_points(path: Path) -> FloatArray:
    """The five points [5, 3] of the release's file. Raises VivifyError when it does not hold them."""
    odd = VivifyError(f"{path.name} was expected to hold an array 'lm' of 68 points: take the file from the release.")
    if path.stat().st_size > MAX_BYTES:
        raise odd
    try:
        points = _array(path.read_bytes()[HEADER:], b"lm")
    except (struct.error, zlib.error, ValueError, KeyError, IndexError) as problem:
        raise odd from problem
    if points is None or points.shape != (68, 3) or not np.isfinite(points).all():
        raise odd
    return five(points).astype(np.float32)


def _elements(data: bytes) -> list[tuple[int, bytes]]:
    """Types and contents of a stretch of MATLAB's level 5 format."""
    found, at = [], 0
    while at + 8 <= len(data):
        kind, length = struct.unpack_from("<II", data, at)
        if kind >> 16:  # a small one: type and length share a word
            found.append((kind & 0xFFFF, data[at + 4 : at + 4 + (kind >> 16)]))
            at += 8
            continue
        found.append((kind, data[at + 8 : at + 8 + length]))
        at += 8 + length + (0 if kind == COMPRESSED else -length % 8)
    return found


def _array(data: bytes, name: bytes) -> FloatArray | None:
    for kind, inside in _elements(data):
        if kind == COMPRESSED:
            reader = zlib.decompressobj()
            found = _array(reader.decompress(inside, MAX_BYTES), name)
            if found is not None:
                return found
        elif kind == MATRIX:
            parts = _elements(inside)
            if len(parts) >= 4 and parts[2][1] == name:
                shape = np.frombuffer(parts[1][1], "<i4")
                values = np.frombuffer(parts[3][1], NUMBERS[parts[3][0]]).astype(np.float64)
                return values.reshape(shape, order="F")
    return None
