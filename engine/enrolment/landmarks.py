"""From a photograph to landmarks, crop and person mask. The only file that imports mediapipe, and only when called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.cropping import crop
from engine.enrolment.face_search import Sighting, face_height, find_faces, look_again, look_everywhere
from engine.errors import VivifyError
from engine.face import topology as top

SMALLEST_FACE = 60  # pixels from forehead to chin
SECOND_LOOK = 256  # pixels a side
CONFIRMED = 0.6  # how sure the detector must then be
CERTAIN = 0.8  # and how sure that a face seen from the side is one
IN_PROFILE = 0.25  # of a face's width: eyes nearer each other than this are seen from the side, beyond 60 degrees
SIDEWAYS = "The face is seen from the side, 60 degrees or more: give a photo that looks at the camera."
TURNED = {  # quarter turns to the left that set a photo upright, and what is told about them
    0: (),
    1: ("The photo lay on its side and was turned upright.",),
    2: ("The photo stood on its head and was turned upright.",),
    3: ("The photo lay on its side and was turned upright.",),
}
RIVAL = 0.8  # a second face this large beside the first makes the choice ambiguous


@dataclass(frozen=True)
class Portrait:
    """A head-and-shoulders crop and what was seen in it."""

    image: ByteArray  # [S, S, 3] RGB
    landmarks: FloatArray  # [478, 3] pixels of the crop; z in pixels too, smaller is nearer
    matte: FloatArray  # [S, S] in [0, 1], 1 on the person
    silhouette: FloatArray  # [S, S] the same by the picture alone, without the certainty of the face's mesh
    warnings: tuple[str, ...]


def _mediapipe() -> Any:
    os.environ.setdefault("GLOG_minloglevel", "3")
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    try:
        import mediapipe
    except ImportError as missing:
        raise VivifyError(
            "Enrolling a photo needs mediapipe, which is not installed: run pip install 'vivify[enroll]'."
        ) from missing
    return mediapipe


class FaceMesh:
    """MediaPipe's 478 landmarks of every face in a picture; use as a context manager."""

    def __init__(self, faces: int = 4, confidence: float = 0.3) -> None:
        self._net = _mediapipe().solutions.face_mesh.FaceMesh(
            static_image_mode=True, refine_landmarks=True, max_num_faces=faces, min_detection_confidence=confidence
        )

    def __enter__(self) -> FaceMesh:
        return self

    def __exit__(self, *_: object) -> None:
        self._net.close()

    def find(self, rgb: ByteArray) -> list[FloatArray]:
        """Landmarks [478, 3] in pixels of every face found, the largest first."""
        height, width = rgb.shape[:2]
        found = self._net.process(np.ascontiguousarray(rgb)).multi_face_landmarks or []
        size = np.array([width, height, width], np.float32)
        faces = [np.array([(p.x, p.y, p.z) for p in f.landmark], np.float32) * size for f in found]
        # Pixel centres are whole numbers here, while MediaPipe counts from the picture's corner.
        faces = [f - np.array([0.5, 0.5, 0.0], np.float32) for f in faces]
        return sorted(faces, key=face_height, reverse=True)


class FaceDetector:
    """MediaPipe's two face detectors, for near and for distant faces; use as a context manager."""

    def __init__(self, confidence: float = 0.3) -> None:
        make = _mediapipe().solutions.face_detection.FaceDetection
        self._nets = [make(confidence, model) for model in (0, 1)]

    def __enter__(self) -> FaceDetector:
        return self

    def __exit__(self, *_: object) -> None:
        for net in self._nets:
            net.close()

    def __call__(self, rgb: ByteArray) -> list[Sighting]:
        """Where faces seem to be, those of both detectors."""
        height, width = rgb.shape[:2]
        out = []
        for net in self._nets:
            for found in net.process(np.ascontiguousarray(rgb)).detections or []:
                place = found.location_data
                box, eyes = place.relative_bounding_box, place.relative_keypoints[:2]
                apart = np.hypot((eyes[0].x - eyes[1].x) * width, (eyes[0].y - eyes[1].y) * height)
                centre = (box.xmin + box.width / 2) * width, (box.ymin + box.height / 2) * height
                wide = max(box.width * width, 1.0)
                out.append(Sighting(*centre, wide, float(found.score[0]), float(apart / wide)))
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
    """How much of each pixel is the person [S, S], sharpened along the picture's own edges."""
    import cv2

    segmentation = _mediapipe().solutions.selfie_segmentation.SelfieSegmentation(model_selection=0)
    with segmentation:
        mask = np.asarray(segmentation.process(np.ascontiguousarray(rgb)).segmentation_mask, np.float32)
    if hasattr(cv2, "ximgproc"):
        mask = np.asarray(cv2.ximgproc.guidedFilter(rgb.astype(np.float32) / 255, mask, 6, 1e-4), np.float32)
    return mask


def face_mask(vertices: FloatArray, triangles: np.ndarray, size: int) -> FloatArray:
    """1 where the projected mesh lies [S, S]."""
    import cv2

    mask = np.zeros((size, size), np.float32)
    for corners in vertices[triangles][:, :, :2]:
        cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), (1.0,))
    return mask


def find_portrait(detector: FaceDetector, net: FaceMesh, rgb: ByteArray) -> tuple[int, list[FloatArray]]:
    """How many quarter turns set ``rgb`` upright, and the faces [478, 3] in it that a second look confirms.

    Raises `VivifyError` when the surest thing seen is a face from the side.
    """
    for quarter, sightings in look_everywhere(detector, rgb):
        upright = np.ascontiguousarray(np.rot90(rgb, quarter))
        surest = max(sightings, key=lambda s: s.sure, default=None)
        if surest and surest.sure >= CERTAIN and surest.eyes_apart < IN_PROFILE:
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
        image, more = crop(np.ascontiguousarray(np.rot90(rgb, quarter)), face, size)
        seen = net.find(image)
    if not seen:
        raise VivifyError("The face was lost after cropping: give a photo where it is larger and looks at the camera.")
    middle = np.array([size / 2, size / 2], np.float32)
    landmarks = min(seen, key=lambda f: float(np.linalg.norm(f[: top.VERTICES, :2].mean(0) - middle)))
    import cv2

    silhouette = person_silhouette(image)
    face = np.asarray(cv2.erode(face_mask(landmarks[: top.VERTICES], triangles, size), np.ones((3, 3))))
    matte = np.clip((np.maximum(silhouette, face) - 0.15) / 0.7, 0, 1).astype(np.float32)
    return Portrait(image, landmarks, matte, silhouette, (*TURNED[quarter], *told, *more))
