"""Pictures in another size, turned, or read between their pixels."""

from __future__ import annotations

import numpy as np
from PIL import Image

from engine.contracts import ByteArray, FloatArray


def resized(rgb: ByteArray, width: int, height: int) -> ByteArray:
    """``rgb`` [H, W, 3] at another size: means where it shrinks, a smooth curve where it grows."""
    old_height, old_width = rgb.shape[:2]
    if (width, height) == (old_width, old_height):
        return rgb
    if width > old_width or height > old_height:
        way = Image.Resampling.BICUBIC
    elif old_width % width == 0 and old_height % height == 0:
        way = Image.Resampling.BOX  # whole pixels: their plain mean
    else:
        way = Image.Resampling.HAMMING
    return np.array(Image.fromarray(np.ascontiguousarray(rgb)).resize((width, height), way))


def means(rgb: ByteArray, step: int) -> ByteArray:
    """``rgb`` [H, W, 3] with each square of ``step`` pixels a side become one; at the far edges of what is left."""
    return np.array(Image.fromarray(np.ascontiguousarray(rgb)).reduce(step))


def read_at(picture: FloatArray, x: np.ndarray, y: np.ndarray) -> FloatArray:
    """Values of ``picture`` [H, W, ...] at places [...], straight between pixels; beyond its edge, those on it."""
    height, width = picture.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), max(width - 2, 0)), np.minimum(y.astype(int), max(height - 2, 0))
    right, low = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    deep = (...,) + (None,) * (picture.ndim - 2)
    across, down = np.asarray(x - left, np.float32)[deep], np.asarray(y - top, np.float32)[deep]
    upper = picture[top, left] * (1 - across) + picture[top, right] * across
    lower = picture[low, left] * (1 - across) + picture[low, right] * across
    return np.asarray(upper * (1 - down) + lower * down, np.float32)


def _linear(share: FloatArray) -> FloatArray:
    return np.stack([1 - share, share], -1)


def _cubic(share: FloatArray) -> FloatArray:
    """A sharp cubic (a = -0.75) over four pixels."""
    near, far, a = (lambda t: ((1.25 * t - 2.25) * t) * t + 1), (lambda t: ((t - 5) * t + 8) * t - 4), -0.75
    return np.stack([a * far(share + 1), near(share), near(1 - share), a * far(2 - share)], -1)


def _lanczos(share: FloatArray) -> FloatArray:
    """A windowed sinc over eight pixels."""
    away = share[..., None] - np.arange(-3, 5)
    weights = np.sinc(away) * np.sinc(away / 4)
    return np.asarray(weights / weights.sum(-1, keepdims=True))


AT_ONCE = 8192  # pixels: what is small stays in the cache
KERNELS = {"linear": (_linear, 0), "cubic": (_cubic, 1), "lanczos": (_lanczos, 3)}  # weights, pixels before the place


def warped(picture: np.ndarray, matrix: np.ndarray, width: int, height: int, kernel: str = "linear") -> FloatArray:
    """``picture`` [H, W, C] moved by ``matrix`` [2, 3], which takes its pixels to those of the result [h, w, C].

    Beyond its edge the picture is continued by the edge's colours.
    """
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    weigh, before = KERNELS[kernel]
    column, row = np.arange(width), np.arange(height)
    if abs(back[0, 1]) + abs(back[1, 0]) < 1e-12:  # not turned: rows and columns one after the other
        across, wide = _taps(back[0, 0] * column + back[0, 2], weigh, before, picture.shape[1])
        down, tall = _taps(back[1, 1] * row + back[1, 2], weigh, before, picture.shape[0])
        low, high = int(across.min()), int(across.max()) + 1
        strip = picture[:, low:high]
        lines = sum(tall[:, k, None, None] * strip[down[:, k]] for k in range(tall.shape[1]))  # [h, W, C]
        return np.asarray(
            sum(wide[:, k, None] * lines[:, across[:, k] - low] for k in range(wide.shape[1])), np.float32
        )
    flat = np.ascontiguousarray(picture).reshape(-1, picture.shape[2])
    out = np.zeros((height, width, picture.shape[2]), np.float32)
    for part in np.array_split(row, max(1, height * width // AT_ONCE)):
        x = back[0, 0] * column + back[0, 1] * part[:, None] + back[0, 2]
        y = back[1, 0] * column + back[1, 1] * part[:, None] + back[1, 2]
        across, wide = _taps(x.reshape(-1), weigh, before, picture.shape[1])
        down, tall = _taps(y.reshape(-1), weigh, before, picture.shape[0])
        total = np.zeros((picture.shape[2], len(across)), np.float32)
        for j in range(tall.shape[1]):
            begin = down[:, j] * picture.shape[1]
            for k in range(wide.shape[1]):
                seen = flat.take(begin + across[:, k], axis=0).T.astype(np.float32, order="C")
                seen *= tall[:, j] * wide[:, k]
                total += seen
        out[part] = total.T.reshape(len(part), width, -1)
    return out


def _taps(at: FloatArray, weigh, before: int, size: int) -> tuple[np.ndarray, FloatArray]:  # type: ignore[no-untyped-def]
    """Which pixels along an axis count at each place, and how much: [..., taps]."""
    first = np.floor(at)
    weights = np.asarray(weigh(at - first), np.float32)
    pixels = first.astype(int)[..., None] + np.arange(weights.shape[-1]) - before
    return pixels.clip(0, size - 1), weights


def read_by(picture: FloatArray, x: np.ndarray, y: np.ndarray, kernel: str) -> FloatArray:
    """As `read_at`, of a ``picture`` [H, W, C] at places [n], by one of `KERNELS`; sharp ones overshoot at edges."""
    weigh, before = KERNELS[kernel]
    planes = np.ascontiguousarray(np.moveaxis(picture, 2, 0), np.float32).reshape(picture.shape[2], -1)
    out = np.empty((len(x), len(planes)), np.float32)
    for begin in range(0, len(x), AT_ONCE):
        part = slice(begin, begin + AT_ONCE)
        across, wide = (taps.T.copy() for taps in _taps(x[part], weigh, before, picture.shape[1]))
        down, tall = (taps.T.copy() for taps in _taps(y[part], weigh, before, picture.shape[0]))
        down *= picture.shape[1]
        total = np.zeros((len(planes), across.shape[1]), np.float32)
        seen = np.empty_like(total[0])
        for lines, high in zip(down, tall, strict=True):
            for columns, broad in zip(across, wide, strict=True):
                at, weight = lines + columns, high * broad
                for plane, sum_ in zip(planes, total, strict=True):
                    plane.take(at, out=seen, mode="clip")  # or it is copied to be checked
                    seen *= weight
                    sum_ += seen
        out[part] = total.T
    return out


def covered(shape: tuple[int, ...], matrix: np.ndarray, width: int, height: int) -> tuple[FloatArray, FloatArray]:
    """How much of each pixel [h, w] of a picture so `warped` a picture of ``shape`` [H, W, ...] really shows.

    And how many pixels [h, w] the others are from what it shows.
    """
    back = np.linalg.inv(np.vstack([matrix, [0, 0, 1]]))[:2]
    column, row = np.arange(width), np.arange(height)[:, None]
    x, y = (b[0] * column + b[1] * row + b[2] for b in back)
    across, down = (np.clip(np.minimum(v + 1, size - v), 0, 1) for v, size in ((x, shape[1]), (y, shape[0])))
    aside = [np.maximum(np.maximum(-v, v - (size - 1)), 0) for v, size in ((x, shape[1]), (y, shape[0]))]
    away = np.hypot(*aside) * np.sqrt(abs(np.linalg.det(matrix[:, :2])))
    return np.asarray(across * down, np.float32), np.asarray(away, np.float32)


def to_bytes(picture: FloatArray) -> ByteArray:
    """Rounded, and held to 0 to 255."""
    rounded = np.rint(picture)
    return np.clip(rounded, 0, 255, out=rounded).astype(np.uint8)
