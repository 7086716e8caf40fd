"""Head and shoulders cut out of a photograph: square, upright, and continued where the photo ends."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.imaging.resampling import covered, means, warped
from engine.imaging.smoothing import blur

FACE_SHARE = 0.45  # forehead to chin, as a share of the crop's side
TIGHT_SHARE = 0.64  # the same at most, where the photo is narrow
TILTED = 30.0  # degrees of roll from which a head is turned upright
SHARPEN = 0.38


def crop(rgb: ByteArray, landmarks: FloatArray, size: int) -> tuple[ByteArray, list[str]]:
    """Head and shoulders around the face, ``size`` pixels square, and what to tell about it.

    A head that lies on its side is turned upright. Where the photo is too narrow the face fills more of the square, and
    what is still missing continues the photo's edge, blurred.
    """
    matrix, told = framing(rgb.shape, landmarks, size)
    if covered(rgb.shape, matrix, size, size)[0].min() < 0.5:
        told.append(
            "The photo ends close to the face, so its surroundings are invented: a wider one would look better."
        )
    return cut_out(rgb, matrix, size), told


def framing(shape: tuple[int, ...], landmarks: FloatArray, size: int) -> tuple[np.ndarray, list[str]]:
    """Where `crop` puts a photo of ``shape`` (H, W, ...): the square's pixels from its own [2, 3], and what to tell."""
    told = []
    up = landmarks[top.FOREHEAD, :2] - landmarks[top.CHIN, :2]
    tall = float(np.linalg.norm(up))
    roll = float(np.arctan2(up[0], -up[1]))
    upright = abs(np.degrees(roll)) <= TILTED
    if not upright:
        told.append(f"The head is tilted by {abs(np.degrees(roll)):.0f} degrees and was turned upright.")
    side = tall / FACE_SHARE
    if upright:
        side = float(np.clip(min(shape[:2]), tall / TIGHT_SHARE, side))
    centre = landmarks[[top.FOREHEAD, top.CHIN], :2].mean(0) - 0.02 * side * up / tall
    if upright:  # a photo large enough is never left
        for axis, extent in enumerate(shape[1::-1]):
            low = min(side / 2, extent / 2)
            centre[axis] = np.clip(centre[axis], low - 0.5, extent - low - 0.5)
    factor, middle = size / side, (size - 1) / 2
    turn = 0.0 if upright else roll
    cos, sin = factor * np.cos(turn), factor * np.sin(turn)
    matrix = np.array([[cos, sin, 0.0], [-sin, cos, 0.0]])
    matrix[:, 2] = middle - matrix[:, :2] @ centre
    return matrix, told


def cut_out(rgb: ByteArray, matrix: np.ndarray, size: int) -> ByteArray:
    """The square that ``matrix`` frames in ``rgb`` [H, W, 3], ``size`` pixels wide; see `framing`."""
    factor = float(np.hypot(*matrix[0, :2]))
    there, beyond = covered(rgb.shape, matrix, size, size)
    rgb, matrix = _around(rgb, matrix, size, 4 + 2 / min(factor, 1))
    if factor < 1 / 1.3:  # shrinking: blurred first, or fine patterns alias
        rgb, matrix = _blurred(rgb, matrix, factor)
    out = np.clip(warped(rgb, matrix, size, size, "lanczos"), 0, 255)
    if factor > 1.3:  # enlarging: what looks soft is given back some of its edges
        out = out + SHARPEN * (out - blur(out, 0.55 * factor))
    if there.min() < 0.5:
        out = _melt(out, beyond)
    return np.clip(out + 0.5, 0, 255).astype(np.uint8)


def _around(rgb: ByteArray, matrix: np.ndarray, size: int, margin: float) -> tuple[ByteArray, np.ndarray]:
    """The part of ``rgb`` that a square of ``size`` pixels shows with a margin, and ``matrix`` from its pixels."""
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    ends = back @ np.array([[0, 0, 1], [size, 0, 1], [0, size, 1], [size, size, 1]]).T  # [2, 4]
    limit = np.array(rgb.shape[1::-1])
    x, y = np.clip(np.floor(ends.min(1) - margin), 0, limit - 1).astype(int)
    right, low = np.clip(np.ceil(ends.max(1) + margin), 1, limit).astype(int)
    moved = matrix.copy()
    moved[:, 2] += matrix[:, :2] @ [x, y]
    return rgb[y : max(low, y + 1), x : max(right, x + 1)], moved


def _blurred(rgb: ByteArray, matrix: np.ndarray, factor: float) -> tuple[np.ndarray, np.ndarray]:
    """``rgb`` softened by half a pixel of the picture it is shrunk to, and ``matrix`` from its pixels.

    Squares of pixels become their means first, as far as these are no softer than that: a large photo takes room.
    """
    step = max(1, int(0.5 / factor))
    if step > 1:
        rgb = means(rgb, step)
        matrix = matrix @ np.array([[step, 0, (step - 1) / 2], [0, step, (step - 1) / 2], [0, 0, 1]])
    rest = (0.5 / factor) ** 2 - (step**2 - 1) / 12  # variances: what is wanted, and what the means have done
    return blur(rgb, np.sqrt(rest) / step), matrix


def _melt(picture: FloatArray, distance: FloatArray) -> FloatArray:
    """Missing surroundings get blurrier with ``distance`` [S, S] from the photo's edge."""
    size = len(picture)
    out: np.ndarray = picture
    for reach, sigma in ((0.0, 0.006), (0.02, 0.02), (0.06, 0.05)):
        soft = blur(out, sigma * size)
        share = np.clip((distance / size - reach) / (reach + 0.01), 0, 1)[..., None]
        out = out * (1 - share) + soft * share
    return out.astype(np.float32)
