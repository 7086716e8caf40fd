"""What lies over the skin in a photo: glasses, and hands, hair or a microphone before the mouth.

Both are read from plain pixels around the landmarks; thresholds were set on 21 people and on things drawn over them.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.measures import unit
from engine.face.morphable_model import FaceModel

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
EYES_APART = 100.0  # pixels between the outer eye corners of the little picture in which glasses are looked for
EYES_AT = (80.0, 50.0)  # and the point between them
LITTLE = (160, 120)
BRIDGE = slice(35, 72), slice(74, 87)  # the nose's root: rows, columns
LIT_CHEEKS = slice(70, 95), slice(40, 120)
BRIDGE_EDGE = 0.085  # of the cheeks' light: bare noses stay under 0.07, thin wire has 0.11, dark frames 0.3 and more
LENS_ABOVE, LENS_BELOW, LENS_ASIDE = 1.4, 2.1, 5.2  # centimetres from the middle of the eyes to a lens's rim
LID_FREE, SOFT = 0.35, 0.5  # centimetres around an eye that stay free, and over which stiffness ends
LIP_REDNESS = -2.5  # CIE a* of lips beside cheeks: lips have 4 and more, what hides them less than this
LIKE_SKIN = 7.0  # CIE Lab distance below which a mouth looks like a cheek: a hand
COLOURED = 8.0  # chroma of skin below which a photo is grey and says nothing


def wears_glasses(image: ByteArray, landmarks: FloatArray) -> bool:
    """Whether a frame crosses the nose's root in ``image`` [S, S, 3]: bare skin has no edge there."""
    import cv2

    right, left = landmarks[top.OUTER_CORNER_RIGHT, :2], landmarks[top.OUTER_CORNER_LEFT, :2]
    along = (left - right) * EYES_APART / unit(landmarks) ** 2
    matrix = np.array([[along[0], along[1], 0.0], [-along[1], along[0], 0.0]])
    matrix[:, 2] = EYES_AT - matrix[:, :2] @ (0.5 * (left + right))
    little = np.asarray(cv2.warpAffine(image, matrix, LITTLE, flags=cv2.INTER_CUBIC), np.float32) @ LUMA
    little = np.asarray(cv2.GaussianBlur(little, (0, 0), 1.0))
    light = max(float(np.median(little[LIT_CHEEKS])), 1.0)
    edges = np.asarray(cv2.Sobel(little, cv2.CV_32F, 0, 1, ksize=1)) / light
    return bool(np.abs(edges[BRIDGE].mean(1)).max() > BRIDGE_EDGE)


def stiffness(model: FaceModel) -> FloatArray:
    """How much each vertex [468] under glasses keeps its place whatever brows, cheeks and lids do: 0 free, 1 stiff."""
    from engine.face.surround import smoothstep

    mean = model.neutral
    eyes = [list(top.EYE_RIGHT), list(top.EYE_LEFT)]
    middle = mean[eyes[0] + eyes[1], 1].mean()
    below = mean[:, 1] - middle
    inside = np.minimum(LENS_BELOW - below, LENS_ABOVE + below)
    inside = np.minimum(inside, LENS_ASIDE - np.abs(mean[:, 0]))
    to_eye = np.min([np.linalg.norm(mean[:, None] - mean[None, ring], axis=2).min(1) for ring in eyes], axis=0)
    out = smoothstep(1 + inside / SOFT) * smoothstep((to_eye - LID_FREE) / SOFT)
    out[[*eyes[0], *eyes[1]]] = 0
    return out.astype(np.float32)


def mouth_is_covered(image: ByteArray, landmarks: FloatArray) -> bool:
    """Whether the lips of ``image`` [S, S, 3] have a colour that lips do not have, beside the cheeks."""
    import cv2

    soft = cv2.GaussianBlur(image, (0, 0), max(0.5, len(image) / 512))
    lab = np.asarray(cv2.cvtColor(soft.astype(np.float32) / 255, cv2.COLOR_RGB2LAB), np.float32)
    lips, cheeks = np.zeros(image.shape[:2], np.uint8), np.zeros(image.shape[:2], np.uint8)
    for ring, value in ((list(top.LIP_OUTER), 1), (list(top.LIP_INNER), 0)):
        cv2.fillPoly(lips, [np.round(landmarks[ring, :2]).astype(np.int32)], (value,))
    for vertex in top.CHEEKS:
        x, y = np.round(landmarks[vertex, :2]).astype(int)
        cv2.circle(cheeks, (int(x), int(y)), max(2, round(0.03 * unit(landmarks))), (1,), -1)
    if not lips.any() or not cheeks.any():
        return False
    skin = np.median(lab[cheeks > 0], axis=0)
    difference = np.median(lab[lips > 0], axis=0) - skin
    if np.hypot(skin[1], skin[2]) < COLOURED:
        return False
    return bool(difference[1] < LIP_REDNESS or np.linalg.norm(difference) < LIKE_SKIN)
