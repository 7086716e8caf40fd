"""The visible badge: words in a corner that the face does not reach, laid into pictures and their mattes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from engine.contracts import ByteArray, FloatArray
from engine.face.avatar import Avatar

WORDS = "AI-generated"
LETTERS, SMALLEST = 0.046, 12.0  # height of letters, as a share of the picture's side; pixels at least
PAD = 0.45  # around the words, in heights of letters
INSET = 0.02  # from the picture's edges, as a share of its side
SHADE = 0.62  # how much of the picture the ground behind the words hides
ROOM = 0.12  # of a face's width and height, for its movements
BLACK, WHITE, GREY = 16.0, 235.0, 128.0  # in luma and chroma


@dataclass(frozen=True, slots=True)
class Badge:
    """A picture of grey levels to be laid over others of ``size`` x ``size`` pixels; places are even."""

    size: int
    left: int
    top: int
    white: FloatArray  # [h, w] 0 to 1
    alpha: FloatArray  # [h, w] 0 to 1

    @property
    def box(self) -> tuple[int, int, int, int]:
        """Left, top, right, bottom in pixels."""
        height, width = self.alpha.shape
        return self.left, self.top, self.left + width, self.top + height

    def over_planes(self, planes: ByteArray) -> None:
        """Lay it into planar I420 [S * 3 // 2, S] in place; with a matte beside the colours [.., 2 S], in both."""
        size, width = self.size, planes.shape[1]
        left, top, right, bottom = self.box
        share = self.alpha
        if width > size:
            matte = planes[top:bottom, size + left : size + right]
            there = (matte.astype(np.float32) - BLACK) / (WHITE - BLACK)
            share, whole = _over(self.alpha, np.clip(there, 0, 1))
            matte[...] = _bytes(BLACK + (WHITE - BLACK) * whole)
        _towards(planes[top:bottom, left:right], BLACK + (WHITE - BLACK) * self.white, share)
        quarter = share.reshape(share.shape[0] // 2, 2, share.shape[1] // 2, 2).mean((1, 3))
        for at in (size, size + size // 4):
            chroma = planes[at : at + size // 4].reshape(size // 2, width // 2)
            _towards(chroma[top // 2 : bottom // 2, left // 2 : right // 2], GREY, quarter)

    def over_picture(self, picture: ByteArray) -> ByteArray:
        """A copy of RGB [S, S, 3] or RGBA [S, S, 4] with it."""
        left, top, right, bottom = self.box
        out = picture.copy()
        patch, share = out[top:bottom, left:right], self.alpha
        if picture.shape[2] == 4:
            share, whole = _over(self.alpha, patch[..., 3].astype(np.float32) / 255)
            patch[..., 3] = _bytes(255 * whole)
        for channel in range(3):
            _towards(patch[..., channel], 255 * self.white, share)
        return out


def badge_of(avatar: Avatar, size: int) -> Badge:
    """The badge for pictures of ``avatar``, ``size`` pixels wide, in the first corner that its face leaves free."""
    face = avatar.reference[:, :2] * (size / avatar.size)
    return badge_beside((*face.min(0), *face.max(0)), size, size)


def badge_beside(face: tuple[float, float, float, float], across: int, down: int) -> Badge:
    """The badge for pictures ``across`` x ``down`` pixels large, in the first corner that ``face`` leaves free.

    ``face``: left, top, right, bottom in pixels.
    """
    size = min(across, down)
    white, alpha = _drawn(size)
    height, width = alpha.shape
    inset = 2 * round(INSET * size / 2)
    near, right, low = inset, across - inset - width, down - inset - height
    first, last = np.array(face[:2], float), np.array(face[2:], float)
    first, last = first - ROOM * (last - first), last + ROOM * (last - first)

    def covered(corner: tuple[int, int]) -> float:
        both = np.minimum(last, np.add(corner, (width, height))) - np.maximum(first, corner)
        return float(np.prod(np.maximum(both, 0)))

    left, top = min(((right, low), (near, low), (right, near), (near, near)), key=covered)
    return Badge(size, left, top, white, alpha)


def _drawn(size: int) -> tuple[FloatArray, FloatArray]:
    font = ImageFont.load_default(max(LETTERS * size, SMALLEST))
    x0, y0, x1, y1 = font.getbbox(WORDS)
    pad = PAD * (y1 - y0)
    width, height = (2 * int(np.ceil((n + 2 * pad) / 2)) for n in (x1 - x0, y1 - y0))
    words = Image.new("L", (width, height))
    ImageDraw.Draw(words).text(((width - x1 - x0) / 2, (height - y1 - y0) / 2), WORDS, 255, font)
    ground = Image.new("L", (4 * width, 4 * height))
    ImageDraw.Draw(ground).rounded_rectangle((0, 0, 4 * width - 1, 4 * height - 1), 4 * pad, 255)
    small = ground.resize((width, height), Image.Resampling.BOX)
    white, shade = (np.asarray(image, np.float32) / 255 for image in (words, small))
    alpha = SHADE * shade + (1 - SHADE) * white
    return np.asarray(white / np.maximum(alpha, 1e-6), np.float32).clip(0, 1), np.asarray(alpha, np.float32)


def _over(alpha: FloatArray, there: FloatArray) -> tuple[FloatArray, FloatArray]:
    """How much of the colour is the badge's where the picture covers ``there``; how much both cover."""
    whole = alpha + there * (1 - alpha)
    return alpha / np.maximum(whole, 1e-6), whole


def _towards(values: ByteArray, wanted: FloatArray | float, share: FloatArray) -> None:
    values[...] = _bytes(values + (wanted - values.astype(np.float32)) * share)


def _bytes(values: FloatArray) -> ByteArray:
    return np.asarray(np.rint(np.clip(values, 0, 255)), np.uint8)
