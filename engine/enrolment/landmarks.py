"""From a photograph to landmarks, crop and person mask: what the trackers see, chosen and checked."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.cropping import crop, framing
from engine.enrolment.face_search import Sighting, face_height, find_faces, look_again, look_everywhere
from engine.enrolment.trackers.face_detector import FAR, NEAR, detect
from engine.enrolment.trackers.face_mesh import MeshTracker
from engine.enrolment.trackers.person_matte import person_matte
from engine.enrolment.uprightness import look_closely
from engine.errors import VivifyError
from engine.face import topology as top
from engine.imaging.shapes import triangles_mask
from engine.imaging.smoothing import grow, soften

SIGHTS = ((NEAR, 0.5), (FAR, 0.6))  # the detector's networks, and from when each is believed
SMALLEST_FACE = 60  # pixels from forehead to chin
SECOND_LOOK = 256  # pixels a side
CONFIRMED = 0.6  # how sure the detector must then be
CERTAIN = 0.8  # and how sure that a face seen from the side is one
FRONTAL = 4.6  # what such a face scores when it only seems so: below hats and in drawings
IN_PROFILE = 0.25  # of a face's width: eyes nearer each other than this are seen from the side, beyond 60 degrees
SIDEWAYS = "The face is seen from the side, 60 degrees or more: give a photo that looks at the camera."
HUMAN = 5.5  # what a human face scores when looked at closely: animals have 5.4 at most, and people seldom less
STRANGE = "This hardly looks like a human face: whatever it is will move with human lips, teeth and lids."
TURNED = {  # quarter turns to the left that set a photo upright, and what is told about them
    0: (),
    1: ("The photo lay on its side and was turned upright.",),
    2: ("The photo stood on its head and was turned upright.",),
    3: ("The photo lay on its side and was turned upright.",),
}
SOFT = 6  # pixels
RIVAL = 0.8  # a second face this large beside the first makes the choice ambiguous


@dataclass(frozen=True)
class Portrait:
    """A head-and-shoulders crop and what was seen in it."""

    image: ByteArray  # [S, S, 3] RGB
    landmarks: FloatArray  # [478, 3] pixels of the crop; z in pixels too, smaller is nearer
    matte: FloatArray  # [S, S] in [0, 1], 1 on the person
    silhouette: FloatArray  # [S, S] the same by the picture alone, without the certainty of the face's mesh
    warnings: tuple[str, ...]
    framing: np.ndarray | None = None  # [2, 3] pixels of the crop from those of the upright photo


class FaceMesh:
    """478 landmarks of every face in a picture; use as a context manager.

    ``film``: the pictures follow one another, and faces are followed from each to the next instead of found anew.
    """

    def __init__(self, faces: int = 4, confidence: float = 0.3, film: bool = False) -> None:
        self._tracker = MeshTracker(faces, confidence, film)

    def __enter__(self) -> FaceMesh:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def find(self, rgb: ByteArray) -> list[FloatArray]:
        """Landmarks [478, 3] in pixels of every face found, the largest first."""
        # Pixel centres are whole numbers here, while the tracker counts from the picture's corner.
        faces = [face - np.array([0.5, 0.5, 0.0], np.float32) for face in self._tracker(rgb)]
        return sorted(faces, key=face_height, reverse=True)


class FaceDetector:
    """Two face detectors, for near and for distant faces; use as a context manager."""

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def __call__(self, rgb: ByteArray) -> list[Sighting]:
        """Where faces seem to be, those of both detectors."""
        out = []
        for sight, least in SIGHTS:
            for found in detect(rgb, sight, least):
                wide = max(found.box.width, 1.0)
                apart = float(np.linalg.norm(found.points[0] - found.points[1]))
                out.append(Sighting(found.box.x, found.box.y, wide, found.score, apart / wide))
        return out


def choose(faces: list[FloatArray]) -> tuple[FloatArray, list[str]]:
    """The face to enrol and what to tell about it. Raises `VivifyError` for none, a tiny one, or two alike."""
    if not faces:
        raise VivifyError("No face was found in the photo: give one where a single face looks towards the camera.")
    face, told = faces[0], []
    if len(faces) > 1:
        if face_height(faces[1]) > RIVAL * face_height(face):
            raise VivifyError(
                f"{len(faces)} faces of similar size were found in the photo: crop it to the one that shall speak."
            )
        told.append(f"{len(faces)} faces were found; the largest was taken.")
    if face_height(face) < SMALLEST_FACE:
        raise VivifyError(
            f"The face is only {face_height(face):.0f} pixels high, at least {SMALLEST_FACE} are needed: "
            "give a larger photo."
        )
    if face_height(face) < 2 * SMALLEST_FACE:
        told.append(f"The face is only {face_height(face):.0f} pixels high, so the picture will look soft.")
    return face, told


def person_silhouette(rgb: ByteArray) -> FloatArray:
    """How much of each pixel is the person [S, S], a little softened: the network's own edges are steps."""
    return soften(person_matte(rgb), SOFT)


def face_mask(vertices: FloatArray, triangles: np.ndarray, size: int) -> FloatArray:
    """1 where the projected mesh lies [S, S]."""
    return triangles_mask(vertices[triangles], size, size).astype(np.float32)


def person_mask(silhouette: FloatArray, landmarks: FloatArray, triangles: np.ndarray) -> FloatArray:
    """The person [S, S] by picture and mesh together: where the face is, is certain."""
    face = grow(face_mask(landmarks[: top.VERTICES], triangles, len(silhouette)), -1)
    return np.clip((np.maximum(silhouette, face) - 0.15) / 0.7, 0, 1).astype(np.float32)


def find_portrait(detector: FaceDetector, net: FaceMesh, rgb: ByteArray) -> tuple[int, list[FloatArray]]:
    """How many quarter turns set ``rgb`` upright, and the faces [478, 3] in it that a second look confirms.

    Raises `VivifyError` when the surest thing seen is a face from the side.
    """
    for quarter, sightings in look_everywhere(detector, rgb):
        upright = np.ascontiguousarray(np.rot90(rgb, quarter))
        surest = max(sightings, key=lambda s: s.sure, default=None)
        if surest and surest.sure >= CERTAIN and surest.eyes_apart < IN_PROFILE:
            seen = look_closely(upright, surest.x, surest.y, surest.width)
            if seen is None or seen.score < FRONTAL:
                raise VivifyError(SIDEWAYS)
        faces = [face for face in find_faces(net.find, upright, sightings) if _is_face(detector, net, upright, face)]
        faces = [look_again(net.find, upright, face) for face in faces]
        if faces:
            return quarter, faces
    return 0, []


def _is_face(detector: FaceDetector, net: FaceMesh, rgb: ByteArray, face: FloatArray) -> bool:
    """Whether both nets see a face again when it fills the picture: cups and cats are seen once."""
    close = crop(rgb, face, SECOND_LOOK)[0]
    return max((s.sure for s in detector(close)), default=0.0) >= CONFIRMED and bool(net.find(close))


def take_portrait(rgb: ByteArray, triangles: np.ndarray, size: int) -> Portrait:
    """Find the face, crop around it, and measure the crop. Raises `VivifyError` with one sentence."""
    with FaceDetector() as detector, FaceMesh() as net:
        quarter, faces = find_portrait(detector, net, rgb)
        face, told = choose(faces)
        upright = np.ascontiguousarray(np.rot90(rgb, quarter))
        image, more = crop(upright, face, size)
        seen = [face for face in net.find(image) if face[top.FOREHEAD, 1] < face[top.CHIN, 1]]  # upright, as cropped
    if not seen:
        raise VivifyError("The face was lost after cropping: give a photo where it is larger and looks at the camera.")
    middle = np.array([size / 2, size / 2], np.float32)
    landmarks = min(seen, key=lambda f: float(np.linalg.norm(f[: top.VERTICES, :2].mean(0) - middle)))
    (x, y), wide = landmarks[: top.VERTICES, :2].mean(0).tolist(), float(np.ptp(landmarks[: top.VERTICES, 0]))
    closely = look_closely(image, x, y, wide)
    strange = () if closely and closely.score >= HUMAN else (STRANGE,)
    silhouette = person_silhouette(image)
    matte = person_mask(silhouette, landmarks, triangles)
    words = (*TURNED[quarter], *told, *strange, *more)
    return Portrait(image, landmarks, matte, silhouette, words, framing(upright.shape, face, size)[0])
