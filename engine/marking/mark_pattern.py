"""The mark as a picture: chips made smooth, and the grid that a reader lays over a picture to get them back."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

from engine.contracts import ByteArray, FloatArray
from engine.marking.mark_code import SIDE, MarkIds, chips
from kernels.plain.marking_reference import USUAL

CELL = USUAL.cell  # pixels: sides of marked squares are multiples of it


def grid(pixels: int, pitch: float, start: float) -> FloatArray:
    """How much each of a row's pixels [pixels, 96] belongs to each chip; ``start`` is where the first chip begins.

    A raised cosine, two chips wide: what is laid in is smooth, and neighbours add up to one.
    """
    place = (np.arange(pixels) + 0.5 - start) / pitch - 0.5
    first = np.floor(place).astype(int)  # the chip before; the other is the next
    share = np.sin(0.5 * np.pi * (place - first)) ** 2
    out = np.zeros((pixels, SIDE + 2), np.float32)  # a column at either end for what lies outside
    rows = np.arange(pixels)
    out[rows, np.clip(first + 1, 0, SIDE + 1)] = 1 - share
    out[rows, np.clip(first + 2, 0, SIDE + 1)] = share
    return out[:, 1:-1]


@lru_cache(maxsize=8)
def pattern(ids: MarkIds, size: int) -> npt.NDArray[np.int8]:
    """The mark for pictures of ``size`` x ``size`` pixels, as whole numbers: 127 is 1."""
    smooth = grid(size, size / SIDE, 0.0)
    picture = np.rint(127 * (smooth @ chips(ids) @ smooth.T)).astype(np.int8)
    picture.setflags(write=False)
    return picture


def mark_planes(planes: ByteArray, ids: MarkIds) -> None:
    """Mark planar I420 [H * 3 // 2, W] in place; with a matte beside the colours [H * 3 // 2, 2 H], the colours."""
    from kernels.cpu import mark_luma  # the engine alone compiles

    size = planes.shape[0] * 2 // 3
    mark_luma.add_mark(planes[:size, :size], pattern(ids, size))


def square_in(height: int, width: int, face: tuple[float, float, float, float]) -> tuple[int, int, int]:
    """Left, top and side of the largest square that can be marked in a picture, about ``face``: left, top, right,
    bottom."""
    side = min(height, width) // CELL * CELL
    left, top = (round(0.5 * (low + high - side)) for low, high in (face[::2], face[1::2]))
    return min(max(left, 0), width - side), min(max(top, 0), height - side), side


def mark_picture(picture: ByteArray, ids: MarkIds, square: tuple[int, int, int] | None = None) -> ByteArray:
    """A copy of RGB [H, W, 3] or RGBA [H, W, 4] with the mark in it: what its luma would get, given to R, G and B.

    In ``square``: left, top and side, a multiple of 8; if none is given, all of the picture is one.
    """
    if square is not None:
        left, top, side = square
        out = picture.copy()
        inside = np.ascontiguousarray(picture[top : top + side, left : left + side])
        out[top : top + side, left : left + side] = mark_picture(inside, ids)
        return out
    from kernels.cpu import mark_luma

    colours = picture[..., :3].astype(np.int16)
    luma = ((77 * colours[..., 0] + 150 * colours[..., 1] + 29 * colours[..., 2]) * np.int32(1) >> 8).astype(np.uint8)
    marked = luma.copy()
    mark_luma.add_mark(marked, pattern(ids, len(picture)))
    step = marked.astype(np.int16) - np.clip(luma, 16, 235)
    out = picture.copy()
    out[..., :3] = np.clip(colours + step[..., None], 0, 255)
    return out
