"""A face cut out as the 3DMM network wants it: upright it stays, its scale and place by five points."""

from __future__ import annotations

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from engine.contracts import ByteArray, FloatArray
from engine.sadtalker.face3d.coefficient_network import SIZE

RESCALE = 102.0  # pixels of one unit of the standard face


def projection(points: FloatArray, standard: FloatArray) -> tuple[FloatArray, float]:
    """Where the standard face's middle lies [2], y upwards, and how large it is: by least squares of an affine camera.

    ``points`` [5, 2] are in the picture, y upwards; ``standard`` [5, 3] in space.
    """
    rows = np.zeros((2 * len(points), 8))
    rows[0::2, 0:3] = rows[1::2, 4:7] = standard
    rows[0::2, 3] = rows[1::2, 7] = 1.0
    found = np.linalg.lstsq(rows, points.reshape(-1), rcond=None)[0]
    return found[[3, 7]], float(0.5 * (np.linalg.norm(found[0:3]) + np.linalg.norm(found[4:7])))


def aligned_face(rgb: ByteArray, points: FloatArray, standard: FloatArray) -> tuple[Tensor, FloatArray]:
    """The face [1, 3, 224, 224] in [0, 1], and the alignment's scale and shift [3], which "full" pictures ask for.

    ``rgb`` [H, W, 3], ``points`` [5, 2] in its pixels, y downwards; ``standard`` [5, 3].
    """
    height, width = rgb.shape[:2]
    upwards = np.stack([points[:, 0], height - 1 - points[:, 1]], 1)
    middle, size = projection(upwards, standard)
    scale = RESCALE / size
    wide, high = int(width * scale), int(height * scale)
    left = int(wide / 2 - SIZE / 2 + (middle[0] - width / 2) * scale)
    above = int(high / 2 - SIZE / 2 + (height / 2 - middle[1]) * scale)
    whole = Image.fromarray(rgb).resize((max(wide, 1), max(high, 1)), Image.Resampling.BICUBIC)
    face = np.asarray(whole.crop((left, above, left + SIZE, above + SIZE)), np.float32) / 255.0
    return torch.from_numpy(face).permute(2, 0, 1)[None], np.array([scale, *middle], np.float32)
