"""Head and shoulders cut out of a photograph: square, upright, and continued where the photo ends."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top

FACE_SHARE = 0.45  # forehead to chin, as a share of the crop's side
TIGHT_SHARE = 0.64  # the same at most, where the photo is narrow
TILTED = 30.0  # degrees of roll from which a head is turned upright
SHARPEN = 0.38


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
