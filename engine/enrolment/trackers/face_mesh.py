"""478 landmarks of each face: one network that looks closely, at a square around the face turned as its eyes are.

The square comes from the detector, or, in films, from the landmarks of the picture before: then a face is followed
without being looked for, which is steadier. mediapipe's graph decides what follows what, so that landmarks are its own.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.trackers.face_detector import NEAR, detect
from engine.enrolment.trackers.region import Region
from engine.enrolment.trackers.tracker_session import tracker

SIDE = 192  # pixels of the square
AROUND = 1.5  # how much larger it is than the face's box
PRESENT = 0.5  # how sure the network must be that there is a face
SAME_FACE = 0.5  # shared over joint area from which two squares hold one face
EYES = (33, 263)  # outer corners, between which a face's turn is read


@dataclass
class MeshTracker:
    """Landmarks of up to ``faces`` faces; ``film``: pictures follow one another, and so do the faces in them."""

    faces: int
    confidence: float  # from which the detector is believed
    film: bool = False
    _followed: list[Region] = field(default_factory=list)

    def __call__(self, rgb: ByteArray) -> list[FloatArray]:
        """Landmarks [478, 3] of each face in ``rgb`` [H, W, 3], in pixels counted from the picture's corner."""
        squares = self._followed if self.film else []
        if len(squares) < self.faces:
            seen = detect(rgb, NEAR, self.confidence)[: self.faces]
            squares = _apart([*(face_square(face.box, *face.points[:2]) for face in seen), *squares])
        out, self._followed = [], []
        for square in squares:
            landmarks, present = look(rgb, square)
            if present > PRESENT:
                out.append(landmarks)
                self._followed.append(next_square(landmarks))
        return out


def look(rgb: ByteArray, square: Region) -> tuple[FloatArray, float]:
    """Landmarks [478, 3] of the face in ``square``, and how sure it is that there is one."""
    cut = square.cut(rgb, SIDE, repeat=True)
    landmarks, present = tracker("face_mesh").run(None, {"picture": cut})
    landmarks /= SIDE
    return np.c_[square.outside(landmarks[:, :2]), landmarks[:, 2:] * np.float32(square.width)], float(present[0])


def face_square(box: Region, right: FloatArray, left: FloatArray) -> Region:
    """Where to look closely: the ``box`` of a face with its surroundings, turned as its eyes are."""
    across, down = (left - right).astype(float)
    return Region(box.x, box.y, box.width, box.height, float(np.arctan2(down, across))).squared(AROUND)


def next_square(landmarks: FloatArray) -> Region:
    low, high = landmarks[:, :2].min(0).astype(float), landmarks[:, :2].max(0).astype(float)
    box = Region(*(low + high) / 2, *(high - low))
    return face_square(box, *landmarks[list(EYES), :2])


def _apart(squares: list[Region]) -> list[Region]:
    """``squares`` of which no two hold the same face: a later one replaces those before it."""
    kept: list[Region] = []
    for square in squares:
        kept = [other for other in kept if square.overlap(other) <= SAME_FACE]
        kept.append(square)
    return kept
