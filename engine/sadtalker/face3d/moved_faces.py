"""Coefficients of portraits and of films: our landmarks, the alignment, and the 3DMM network."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.landmarks import FaceDetector, FaceMesh, choose, find_portrait
from engine.enrolment.photos.photo import read_photo
from engine.errors import VivifyError
from engine.sadtalker.face3d.coefficient_network import CoefficientNetwork, motion_of
from engine.sadtalker.face3d.photo_alignment import aligned_face
from engine.sadtalker.face3d.photo_crop import Square, face_square
from engine.sadtalker.weights.standard_points import five_of_mesh
from engine.sadtalker.weights.weight_file import Weights

MOST_FRAMES = 1500  # of a film that is followed; one that is shorter than the speech begins again


@dataclass(frozen=True)
class MovedPortrait:
    """A photo, the square of it that moves, and how the face in it is turned."""

    photo: ByteArray  # [H, W, 3]
    square: Square
    picture: Tensor  # [1, 3, S, S] in [0, 1]
    coefficients: Tensor  # [73] expression, angles, translation, and the alignment's scale and shift
    face: tuple[float, float, float, float]  # left, top, right, bottom of its landmarks in the photo
    notes: tuple[str, ...]


def read_portrait(path: Path, weights: Weights) -> MovedPortrait:
    """Find the face of a photo and read its coefficients. Raises VivifyError for a photo without a usable face."""
    rgb = read_photo(path)
    with FaceDetector() as detector, FaceMesh() as mesh:
        quarter, faces = find_portrait(detector, mesh, rgb)
        upright = np.ascontiguousarray(np.rot90(rgb, quarter))
        face, told = choose(faces)
        square = face_square(face, *upright.shape[:2])
        picture = square.of(upright, weights.pixels)
        coefficients = _read(picture, mesh, weights, weights.network("coefficients", CoefficientNetwork))
    if coefficients is None:
        raise VivifyError("The face was lost after cropping: give a photo where it is larger and looks at the camera.")
    seen = torch.from_numpy(picture).permute(2, 0, 1)[None].float() / 255.0
    first, last = face[:, :2].min(0), face[:, :2].max(0)
    around = float(first[0]), float(first[1]), float(last[0]), float(last[1])
    return MovedPortrait(upright, square, seen, coefficients, around, tuple(told))


def film_coefficients(path: Path, weights: Weights) -> Tensor:
    """Coefficients [T, 73] of a film's first minute, each frame's; where no face is seen, those before.

    The first frame's face decides the square. Raises VivifyError for a film that cannot be read or shows no face.
    """
    network = weights.network("coefficients", CoefficientNetwork)
    square: Square | None = None
    found: list[Tensor] = []
    with FaceMesh(film=True) as mesh:
        for rgb in _pictures(path):
            if square is None:
                faces = mesh.find(rgb)
                if not faces:
                    continue
                square = face_square(faces[0], *rgb.shape[:2])
            read = _read(square.of(rgb, weights.pixels), mesh, weights, network)
            if read is not None or found:
                found.append(found[-1] if read is None else read)
    if not found:
        raise VivifyError(f"A film of a face was expected at {path}, but no face was seen in it: give another one.")
    return torch.stack(found)


def _read(picture: ByteArray, mesh: FaceMesh, weights: Weights, network: CoefficientNetwork) -> Tensor | None:
    faces = mesh.find(picture)
    if not faces:
        return None
    aligned, placed = aligned_face(picture, five_of_mesh(faces[0][:, :2].astype(np.float64)), _points(weights))
    with torch.inference_mode():
        moving = motion_of(network(aligned))[0]
    return torch.cat([moving, torch.from_numpy(placed)])


def _points(weights: Weights) -> FloatArray:
    return weights.points.astype(np.float64)


def _pictures(path: Path) -> Iterator[ByteArray]:
    if not path.is_file():
        raise VivifyError(f"A film was expected at '{path}', but there is none: check the path.")
    try:
        with av.open(str(path)) as film:
            for number, frame in enumerate(film.decode(video=0)):
                if number == MOST_FRAMES:
                    return
                yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
    except (av.FFmpegError, IndexError, ValueError) as problem:
        raise VivifyError(f"{path.name} was expected to be a film, but cannot be read as one ({problem}).") from problem
