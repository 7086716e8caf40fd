"""Glasses in a photo, and what keeps still under them.

Read from plain pixels around the eyes: a frame crosses the nose's root, and lies under both eyes in lines alike, with
an arm to each temple. Bare faces have one or the other: frowns and fringes cross the root, and bags lie under eyes.
Thresholds were set on 370 faces of photos, paintings, films and busts, 10 of them with glasses, and on drawn ones.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.measures import unit
from engine.face.morphable_model import FaceModel
from engine.face.surround import smoothstep
from engine.imaging.resampling import warped
from engine.imaging.smoothing import blur

LUMA = np.array([0.299, 0.587, 0.114], np.float32)
EYES_APART = 100.0  # pixels between the outer eye corners of the little picture in which glasses are looked for
EYES_AT = (80.0, 50.0)  # and the point between them
LITTLE = (160, 120)
BRIDGE = slice(35, 72), slice(74, 87)  # the nose's root: rows, columns
LIT_CHEEKS = slice(70, 95), slice(40, 120)
UNDER = slice(60, 88), (slice(32, 60), slice(100, 128))  # where lenses end: rows, columns of both sides
TEMPLES = slice(34, 66), (slice(8, 22), slice(138, 152))
BRIDGE_EDGE = 0.085  # of the cheeks' light: thin wire has 0.11, dark frames 0.3 and more; so have frowns and fringes
RIM_EDGE = 0.095  # all along a lens but for a tenth of it
ARM_EDGE = 0.115
ALIKE = 6.0  # pixels by which both lenses may end at different heights
SURE_BRIDGE, SURE_RIM, SURE_ALIKE, SURE_SHAPE = 0.12, 0.13, 3.0, 1.25  # where no arm is seen, as from the front
STEEP, BENT = 2, 0.04  # rows by which a line may step from column to column, and what a step squared costs
LENS_BELOW, LENS_ASIDE = 2.1, 5.8  # centimetres from the middle of the eyes to a lens's rim
OVER_BROWS = 0.1  # centimetres over the brows that keep still with them: a brow half of which moves would swell
LID_FREE, SOFT = 0.35, 0.5  # centimetres around an eye that stay free, and over which stiffness ends
BROWS = ((70, 63, 105, 66, 107), (336, 296, 334, 293, 300))  # their upper edges


def wears_glasses(image: ByteArray, landmarks: FloatArray) -> bool:
    """Whether a frame lies over nose and cheeks in ``image`` [S, S, 3]."""
    right, left = landmarks[top.OUTER_CORNER_RIGHT, :2], landmarks[top.OUTER_CORNER_LEFT, :2]
    along = (left - right) * EYES_APART / unit(landmarks) ** 2
    matrix = np.array([[along[0], along[1], 0.0], [-along[1], along[0], 0.0]])
    matrix[:, 2] = EYES_AT - matrix[:, :2] @ (0.5 * (left + right))
    grey = warped(image, matrix, *LITTLE, "cubic") @ LUMA
    calm = blur(grey, 1.0)
    light = max(float(np.median(calm[LIT_CHEEKS])), 1.0)
    bridge = float(np.abs(_edges(calm, light)[BRIDGE].mean(1)).max())
    if bridge < BRIDGE_EDGE:
        return False
    edges = np.abs(_edges(blur(grey, 0.7), light))
    (rim, low), (other_rim, other_low) = (
        _line(edges, UNDER[0], side, mirrored) for mirrored, side in enumerate(UNDER[1])
    )
    weakest = min(float(np.percentile(strength, 15)) for strength in (rim, other_rim))
    apart = abs(float(low.mean() - other_low.mean()))
    if weakest < RIM_EDGE or apart > ALIKE:
        return False
    arm = min(float(_line(edges, TEMPLES[0], side, 0)[0].mean()) for side in TEMPLES[1])
    shape = float(np.abs((low - low.mean()) - (other_low - other_low.mean())).mean())
    sure = bridge > SURE_BRIDGE and weakest > SURE_RIM and apart <= SURE_ALIKE and shape <= SURE_SHAPE
    return sure or arm >= ARM_EDGE


def _edges(grey: FloatArray, light: float) -> FloatArray:
    """How much lighter it is under each pixel than over it, as a share of ``light``."""
    out = np.zeros_like(grey)
    out[1:-1] = (grey[2:] - grey[:-2]) / light
    return out


def _line(edges: FloatArray, rows: slice, columns: slice, mirrored: int) -> tuple[FloatArray, FloatArray]:
    """The clearest line across a part of ``edges``: how clear it is in each column, and at which row."""
    part = edges[rows, columns][:, :: -1 if mirrored else 1]
    row = np.arange(len(part))
    step = np.abs(row[:, None] - row)
    cost = np.where(step > STEEP, np.inf, BENT * step**2)
    total, back = part[:, 0].copy(), []
    for column in part.T[1:]:
        ways = total - cost
        back.append(ways.argmax(1))
        total = ways.max(1) + column
    at = [int(total.argmax())]
    for choice in reversed(back):
        at.append(int(choice[at[-1]]))
    line = np.array(at[::-1])
    return part[line, np.arange(len(line))], line.astype(np.float32)


def stiffness(model: FaceModel) -> FloatArray:
    """How much each vertex [468] under glasses keeps its place whatever brows, cheeks and lids do: 0 free, 1 stiff.

    Brows keep theirs as a whole: frames reach into them, and what moves in part is stretched.
    """
    mean = model.neutral
    eyes = [list(top.EYE_RIGHT), list(top.EYE_LEFT)]
    middle = mean[eyes[0] + eyes[1], 1].mean()
    edge = np.concatenate([mean[list(brow)] for brow in BROWS])
    under_brows = mean[:, 1] - np.interp(mean[:, 0], edge[:, 0], edge[:, 1]) + OVER_BROWS
    inside = np.minimum(LENS_BELOW - (mean[:, 1] - middle), under_brows)
    inside = np.minimum(inside, LENS_ASIDE - np.abs(mean[:, 0]))
    to_eye = np.min([np.linalg.norm(mean[:, None] - mean[None, ring], axis=2).min(1) for ring in eyes], axis=0)
    out = smoothstep(1 + inside / SOFT) * smoothstep((to_eye - LID_FREE) / SOFT)
    out[[*eyes[0], *eyes[1]]] = 0
    return out.astype(np.float32)
