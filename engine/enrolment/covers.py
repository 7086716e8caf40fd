"""What lies before the mouth in a photo: hands, hair, a microphone.

Read from plain pixels around the landmarks; thresholds were set on 21 people and on things drawn over them.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.measures import unit
from engine.imaging.shapes import polygon_mask
from engine.imaging.smoothing import blur

LIP_REDNESS = -2.5  # CIE a* of lips beside cheeks: lips have 4 and more, what hides them less than this
LIKE_SKIN = 7.0  # CIE Lab distance below which a mouth looks like a cheek: a hand
TO_XYZ = np.array([[0.412453, 0.357580, 0.180423], [0.212671, 0.715160, 0.072169], [0.019334, 0.119193, 0.950227]])
COLOURED = 8.0  # chroma of skin below which a photo is grey and says nothing


def mouth_is_covered(image: ByteArray, landmarks: FloatArray) -> bool:
    """Whether the lips of ``image`` [S, S, 3] have a colour that lips do not have, beside the cheeks."""
    reach, soft = max(2, round(0.03 * unit(landmarks))), max(0.5, len(image) / 512)
    used = landmarks[[*top.LIP_OUTER, *top.CHEEKS], :2]
    margin = reach + 4 * soft + 2
    left, above = np.clip(used.min(0) - margin, 0, len(image) - 1).astype(int)
    right, below = np.clip(used.max(0) + margin, 1, len(image)).astype(int)
    window, corner = image[above : max(below, above + 1), left : max(right, left + 1)], np.array([left, above])
    lab = to_lab(blur(window, soft) / 255)
    outer, inner = (
        polygon_mask(landmarks[list(ring), :2] - corner, *window.shape[1::-1])
        for ring in (top.LIP_OUTER, top.LIP_INNER)
    )
    lips = outer & ~inner
    y, x = np.mgrid[: window.shape[0], : window.shape[1]]
    centres = np.round(landmarks[list(top.CHEEKS), :2]) - corner
    cheeks = np.any([np.hypot(x - cx, y - cy) <= reach for cx, cy in centres], axis=0)
    if not lips.any() or not cheeks.any():
        return False
    skin = np.median(lab[cheeks], axis=0)
    difference = np.median(lab[lips], axis=0) - skin
    if np.hypot(skin[1], skin[2]) < COLOURED:
        return False
    return bool(difference[1] < LIP_REDNESS or np.linalg.norm(difference) < LIKE_SKIN)


def to_lab(rgb: FloatArray) -> FloatArray:
    """CIE L*, a*, b* [..., 3] of sRGB in [0, 1], in daylight (D65)."""
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((np.maximum(rgb, 0) + 0.055) / 1.055) ** 2.4)
    xyz = linear @ (TO_XYZ / TO_XYZ.sum(1, keepdims=True)).T
    x, y, z = np.moveaxis(np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116), -1, 0)
    return np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1).astype(np.float32)
