"""Where in a photograph faces are, and which way up it is: small, turned and off-centre ones too.

A detector says where a face seems to be; the landmark net then looks closely. Which way up the photo is, both tell
together (`uprightness`): a photo stays as it stands unless a quarter turn clearly shows more of a face.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.uprightness import Place, glimpses, way_up
from engine.face import topology as top
from engine.imaging.resampling import resized

LOOK_AT = 640  # pixels of the longer side that suffice to see a face that fills a tenth of it
CANDIDATES = 3  # of the faces seen closer, those that tell which way up the photo is
SURE = 0.5  # from which a face in a window of the photo is looked at closely
WINDOWS = (0.5, 0.25, 0.125)  # of the longer side: where no face is found, look closer
SMALLEST_WINDOW = 96  # pixels
PLAIN = 6.0  # grey levels of variation below which a window holds nothing
AROUND = 2.4  # how much wider than the face the window for the landmarks is
FAR = 6.0  # a face narrower than the photo's longer side over this is read once more
CLOSELY = 512  # pixels it is enlarged to


@dataclass(frozen=True)
class Sighting:
    """A face as the detector sees it."""

    x: float  # its centre in pixels
    y: float
    width: float
    sure: float  # in [0, 1]
    eyes_apart: float  # of its width


Detector = Callable[[ByteArray], list[Sighting]]
Landmarker = Callable[[ByteArray], list[FloatArray]]


def face_height(landmarks: FloatArray) -> float:
    """Forehead to chin in pixels."""
    return float(np.linalg.norm(landmarks[top.FOREHEAD] - landmarks[top.CHIN]))


def look_everywhere(see: Detector, rgb: ByteArray) -> Iterator[tuple[int, list[Sighting]]]:
    """First at the whole photo ``rgb`` [H, W, 3], then closer and closer; each time, what is seen and how it is turned.

    Yields how many quarter turns to the left set the photo upright, and the sightings in the photo so turned. What is
    left to turn, up to 45 degrees, is left to the landmarks and the crop.
    """
    small, factor = _shrink(rgb, LOOK_AT)
    if small.std() < PLAIN:
        return
    turned = [np.ascontiguousarray(np.rot90(small, k)) for k in range(4)]
    quarter = way_up(turned, lambda k: glimpses(turned[k]))
    yield quarter, [_place(s, factor, 0, 0) for s in see(turned[quarter])]
    turned = [np.rot90(rgb, k) for k in range(4)]
    for share in WINDOWS:
        found = [_look_closer(see, picture, share) for picture in turned]
        quarter = way_up(turned, [_surest(sightings) for sightings in found].__getitem__)
        yield quarter, found[quarter]


def _surest(found: list[Sighting]) -> list[Place]:
    most = sorted(found, key=lambda s: -s.sure)[:CANDIDATES]
    return [(s.x, s.y, s.width) for s in most]


def _shrink(rgb: ByteArray, most: int) -> tuple[ByteArray, float]:
    """The picture with a longer side of at most ``most`` pixels, and by which factor it was shrunk."""
    factor = min(1.0, most / max(rgb.shape[:2]))
    return _scaled(rgb, factor), factor


def _scaled(rgb: ByteArray, factor: float) -> ByteArray:
    height, width = (max(round(factor * side), 1) for side in rgb.shape[:2])
    return np.ascontiguousarray(resized(rgb, width, height))


def _place(seen: Sighting, factor: float, x: float, y: float) -> Sighting:
    """A sighting in a window that begins at ``x``, ``y`` and was enlarged by ``factor``, in the photo's pixels."""
    return replace(seen, x=seen.x / factor + x, y=seen.y / factor + y, width=seen.width / factor)


def _look_closer(see: Detector, rgb: ByteArray, share: float) -> list[Sighting]:
    """What is surely seen in overlapping windows of ``share`` of the photo's longer side."""
    side = int(max(rgb.shape[:2]) * share)
    if side < SMALLEST_WINDOW:
        return []
    height, width = rgb.shape[:2]
    found: list[Sighting] = []
    for y in range(0, max(height - side // 2, 1), side // 2):
        for x in range(0, max(width - side // 2, 1), side // 2):
            window, factor = _shrink(np.ascontiguousarray(rgb[y : y + side, x : x + side]), LOOK_AT // 2)
            if min(window.shape[:2]) >= SMALLEST_WINDOW // 2 and window.std() > PLAIN:
                found += [_place(s, factor, x, y) for s in see(window) if s.sure >= SURE]
    return found


def find_faces(landmarks: Landmarker, rgb: ByteArray, sightings: list[Sighting]) -> list[FloatArray]:
    """Landmarks [478, 3] of every face in an upright photo, the largest first.

    The whole photo is looked at, also enlarged and shrunk; where that shows nothing, each sighting by itself.
    """
    height, width = rgb.shape[:2]
    for factor in (1.0, 2.0, 0.5):
        if max(height, width) * factor > 4000 or min(height, width) * factor < 64:
            continue
        faces = landmarks(_scaled(rgb, factor))
        if faces:
            return [_rescale(f, factor, 0, 0) for f in faces]
    found = [face for seen in sightings for face in _look_into(landmarks, rgb, seen.x, seen.y, seen.width)[:1]]
    return _distinct(found)


def look_again(landmarks: Landmarker, rgb: ByteArray, face: FloatArray) -> FloatArray:
    """``face`` [478, 3] read once more where it fills little of the photo: from afar its size is a guess."""
    width = float(np.ptp(face[:, 0]))
    if width * FAR > max(rgb.shape[:2]):
        return face
    middle = 0.5 * (face[:, :2].min(0) + face[:, :2].max(0))
    return next(iter(_look_into(landmarks, rgb, float(middle[0]), float(middle[1]), width)), face)


def _look_into(landmarks: Landmarker, rgb: ByteArray, x: float, y: float, width: float) -> list[FloatArray]:
    """Faces in a window around a place where one of ``width`` pixels seems to be."""
    half = AROUND * width / 2
    left, above = max(int(x - half), 0), max(int(y - half), 0)
    window = rgb[above : int(y + half) + 1, left : int(x + half) + 1]
    factor = CLOSELY / max(window.shape[:2])
    return [_rescale(f, factor, left, above) for f in landmarks(_scaled(window, factor))]


def _rescale(landmarks: FloatArray, factor: float, x: float, y: float) -> FloatArray:
    out = landmarks.copy()
    out[:, :2] = (out[:, :2] + 0.5) / factor - 0.5 + np.array([x, y], np.float32)
    out[:, 2] /= factor
    return out


def _distinct(faces: list[FloatArray]) -> list[FloatArray]:
    """Overlapping windows see one face more than once."""
    kept: list[FloatArray] = []
    for face in sorted(faces, key=face_height, reverse=True):
        centre = face[:, :2].mean(0)
        if all(np.linalg.norm(centre - other[:, :2].mean(0)) > 0.5 * face_height(other) for other in kept):
            kept.append(face)
    return kept
