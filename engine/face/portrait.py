"""From a photograph to landmarks, crop and person mask. The only file that imports mediapipe, and only when called."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.errors import VivifyError
from engine.face import topology as top
from engine.types import ByteArray, FloatArray

FACE_SHARE = 0.45  # forehead to chin, as a share of the crop's side
SMALLEST_FACE = 60  # pixels from forehead to chin
TIGHT_SHARE = 0.64  # the same at most, where the photo is narrow
TILTED = 30.0  # degrees of roll from which a head is turned upright
SHARPEN = 0.38
SURER = 0.04  # by how much a turned photo must look more like a face than the photo as it came
LOOK_AT = 640  # pixels of the longer side that suffice to tell up from down
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


def face_height(landmarks: FloatArray) -> float:
    """Forehead to chin in pixels."""
    return float(np.linalg.norm(landmarks[top.FOREHEAD] - landmarks[top.CHIN]))


def find_faces(net: FaceMesh, rgb: ByteArray) -> list[FloatArray]:
    """Look at the whole picture, then enlarged, then window by window: small faces hide from the detector."""
    import cv2

    height, width = rgb.shape[:2]
    for factor in (1.0, 2.0, 0.5):
        if max(height, width) * factor > 4000 or min(height, width) * factor < 64:
            continue
        scaled = rgb if factor == 1 else cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        faces = net.find(np.asarray(scaled, np.uint8))
        if faces:
            return [_rescale(f, factor, 0, 0) for f in faces]
    for share in (0.6, 0.35):
        side = int(max(height, width) * share)
        factor = max(1.0, 512 / side)
        step = max(side // 2, 1)
        best: list[FloatArray] = []
        for y in range(0, max(height - side, 0) + step, step):
            for x in range(0, max(width - side, 0) + step, step):
                window = rgb[y : y + side, x : x + side]
                if min(window.shape[:2]) < 48:
                    continue
                larger = np.asarray(cv2.resize(window, None, fx=factor, fy=factor), np.uint8)
                best += [_rescale(f, factor, x, y) for f in net.find(larger)[:1]]
        if best:
            return _distinct(best)
    return []


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


def stand_upright(rgb: ByteArray) -> tuple[ByteArray, list[str]]:
    """The photo in that of its four orientations in which a face looks most like a face, and what to tell about it.

    The landmarks do not notice a face that stands on its head; the detector's certainty does.
    """
    import cv2

    factor = min(1.0, LOOK_AT / max(rgb.shape[:2]))
    small = rgb if factor == 1 else cv2.resize(rgb, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    sure = []
    with _mediapipe().solutions.face_detection.FaceDetection(0.3, 0) as detector:
        for quarter in range(4):
            found = detector.process(np.ascontiguousarray(np.rot90(small, quarter))).detections or []
            sure.append(max((float(d.score[0]) for d in found), default=0.0))
    best = int(np.argmax(sure))
    if sure[best] < sure[0] + SURER:
        return rgb, []
    lay = "stood on its head" if best == 2 else "lay on its side"
    return np.ascontiguousarray(np.rot90(rgb, best)), [f"The photo {lay} and was turned upright."]


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


def crop(rgb: ByteArray, landmarks: FloatArray, size: int) -> tuple[ByteArray, list[str]]:
    """Head and shoulders around the face, ``size`` pixels square, and what to tell about it.

    A head that lies on its side is turned upright. Where the photo is too narrow the face fills more of the square, and
    what is still missing continues the photo's edge, blurred.
    """
    import cv2

    told = []
    up = landmarks[top.FOREHEAD, :2] - landmarks[top.CHIN, :2]
    tall = float(np.linalg.norm(up))
    roll = float(np.arctan2(up[0], -up[1]))
    upright = abs(np.degrees(roll)) <= TILTED
    if not upright:
        told.append(f"The head is tilted by {abs(np.degrees(roll)):.0f} degrees and was turned upright.")
    side = tall / FACE_SHARE
    if upright:
        side = float(np.clip(min(rgb.shape[:2]), tall / TIGHT_SHARE, side))
    centre = landmarks[[top.FOREHEAD, top.CHIN], :2].mean(0) - 0.02 * side * up / tall
    if upright:  # a photo large enough is never left
        for axis, extent in enumerate(rgb.shape[1::-1]):
            low = min(side / 2, extent / 2)
            centre[axis] = np.clip(centre[axis], low - 0.5, extent - low - 0.5)
    factor, middle = size / side, (size - 1) / 2
    turn = 0.0 if upright else roll
    cos, sin = factor * np.cos(turn), factor * np.sin(turn)
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
    matrix[:, 2] = middle - matrix[:, :2] @ centre
    if factor < 1 / 1.3:  # shrinking: blur first, or fine patterns alias
        rgb = np.asarray(cv2.GaussianBlur(rgb, (0, 0), 0.5 / factor), np.uint8)
    out = np.asarray(
        cv2.warpAffine(rgb, matrix, (size, size), flags=cv2.INTER_LANCZOS4, borderMode=cv2.BORDER_REPLICATE), np.float32
    )
    if factor > 1.3:  # enlarging: what looks soft is given back some of its edges
        out = out + SHARPEN * (out - np.asarray(cv2.GaussianBlur(out, (0, 0), 0.55 * factor)))
    there = np.asarray(cv2.warpAffine(np.ones(rgb.shape[:2], np.float32), matrix, (size, size)))
    if there.min() < 0.5:
        told.append(
            "The photo ends close to the face, so its surroundings are invented: a wider one would look better."
        )
        out = _melt(out, np.asarray(there, np.float32))
    return np.clip(out + 0.5, 0, 255).astype(np.uint8), told


def _melt(picture: FloatArray, there: FloatArray) -> FloatArray:
    """Missing surroundings get blurrier with distance from the photo's edge."""
    import cv2

    missing = (there < 0.5).astype(np.uint8)
    distance = np.asarray(cv2.distanceTransform(missing, cv2.DIST_L2, 5))
    size = len(picture)
    out: np.ndarray = picture
    for reach, sigma in ((0.0, 0.006), (0.02, 0.02), (0.06, 0.05)):
        soft = np.asarray(cv2.GaussianBlur(out, (0, 0), sigma * size))
        share = np.clip((distance / size - reach) / (reach + 0.01), 0, 1)[..., None]
        out = out * (1 - share) + soft * share
    return out.astype(np.float32)


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


def take_portrait(rgb: ByteArray, triangles: np.ndarray, size: int) -> Portrait:
    """Find the face, crop around it, and measure the crop. Raises `VivifyError` with one sentence."""
    rgb, turned = stand_upright(rgb)
    with FaceMesh() as net:
        face, told = choose(find_faces(net, rgb))
        image, more = crop(rgb, face, size)
        seen = net.find(image)
    if not seen:
        raise VivifyError("The face was lost after cropping: give a photo where it is larger and looks at the camera.")
    middle = np.array([size / 2, size / 2], np.float32)
    landmarks = min(seen, key=lambda f: float(np.linalg.norm(f[: top.VERTICES, :2].mean(0) - middle)))
    import cv2

    silhouette = person_silhouette(image)
    face = np.asarray(cv2.erode(face_mask(landmarks[: top.VERTICES], triangles, size), np.ones((3, 3))))
    matte = np.clip((np.maximum(silhouette, face) - 0.15) / 0.7, 0, 1).astype(np.float32)
    return Portrait(image, landmarks, matte, silhouette, (*turned, *told, *more))
