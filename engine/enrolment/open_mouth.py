"""What an open mouth shows: its own upper teeth, and lips over whose rims teeth and dark spill."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.panels import LUMA, SKIN, TEETH, fill, place, polygon, take_window, window
from engine.imaging.smoothing import blur

SHINES = 0.08  # of an open mouth's pixels that must be brighter than teeth are expected to be
DIM = 0.74  # of a lip's brightness; what is darker beside the mouth is the mouth's dark
PALE = 0.80  # of a lip's redness; what is paler beside the mouth are the teeth's ends


@dataclass(frozen=True)
class SeenTeeth:
    """Upper teeth that the portrait shows."""

    panel: np.ndarray  # [h, w, 3] the window around the mouth, filled with their colours
    edge: FloatArray  # [n, 2] their lower edge in pixels of the portrait
    tone: FloatArray  # [3] RGB of their lit parts


def own_teeth(image: ByteArray, face: FloatArray, tones: FloatArray) -> SeenTeeth | None:
    """The portrait's own upper teeth out of an open smile, or None where it shows none."""
    size = image.shape[0]
    spot = place("upper", size)
    inner = face[list(top.LIP_INNER)]
    corner = window(inner, spot)
    pixels = take_window(image, corner, spot)
    mouth = polygon(inner, corner, spot)
    luma = pixels @ LUMA
    bright = mouth & (luma > 0.72 * float(tones[SKIN] @ LUMA)) & (pixels[..., 0] - pixels[..., 1] < 0.22 * luma)
    if mouth.sum() < 80 or bright.sum() < 0.25 * mouth.sum():
        return None
    columns = np.flatnonzero(bright.sum(0) >= 3)
    lowest = np.array([np.flatnonzero(bright[:, x]).max() for x in columns], np.float64)
    kernel = np.hanning(9)[1:-1]
    padded = np.pad(lowest, 3, mode="edge")
    lowest = np.convolve(padded, kernel / kernel.sum(), mode="valid")
    known = polygon(inner, corner, spot, -1) & bright
    known &= np.arange(spot.height)[:, None] <= np.interp(np.arange(spot.width), columns, lowest) - 0.5
    tone = np.median(pixels[known & (luma > np.percentile(luma[known], 40))], axis=0)
    core = known & polygon(inner, corner, spot, -2)  # nearest the lips, teeth are tinted by them
    panel = fill(pixels, core if core.sum() > 40 else known, tall=3.0)
    x = np.arange(spot.width)
    beyond = np.maximum(np.maximum(columns.min() - x, x - columns.max()), 0) / 6.0
    side = np.clip(beyond, 0, 1)[None, :, None]
    panel = panel * (1 - side) + side * tone * np.array([0.42, 0.33, 0.28])
    edge = np.c_[columns + corner[0], lowest + corner[1]]
    return SeenTeeth(panel, edge.astype(np.float32), tone.astype(np.float32))


def teeth_tone(image: ByteArray, face: FloatArray, tones: FloatArray) -> FloatArray:
    """RGB [3] of teeth in the open mouth of ``face``, where some are brighter than ``tones`` [4, 3] expect them."""
    spot = place("lips", image.shape[0])
    inner = face[list(top.LIP_INNER)]
    corner = window(inner, spot)
    pixels = take_window(image, corner, spot)[polygon(inner, corner, spot)]
    bright = pixels[pixels @ LUMA > tones[TEETH] @ LUMA]
    if len(bright) < SHINES * len(pixels):
        return np.asarray(tones[TEETH])
    return np.asarray(np.median(bright, axis=0), np.float32)


def _midline(face: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the line halfway between upper and lower inner lip, by rising x."""
    line = 0.5 * (face[list(top.LIP_INNER_UPPER), :2] + face[list(top.LIP_INNER_LOWER), :2])
    line = line[np.argsort(line[:, 0])]
    return line[:, 0], line[:, 1]


def clean_lips(image: ByteArray, face: FloatArray) -> np.ndarray:
    """The lips of an open smile without dark and teeth that spill over their rims, and would show when closed."""
    size = image.shape[0]
    spot = place("lips", size)
    inner = face[list(top.LIP_INNER)]
    corner = window(inner, spot)
    pixels = take_window(image, corner, spot)
    reach = max(3, size // 100)
    rim = polygon(inner, corner, spot, reach)
    mouth = polygon(inner, corner, spot, 0)
    flesh = polygon(face[list(top.LIP_OUTER)], corner, spot, -1) & ~mouth
    luma = pixels @ LUMA
    red = blur((pixels[..., 0] - pixels[..., 1]) / np.maximum(luma, 1), 0.8)
    spill = np.zeros_like(mouth)
    middle = np.interp(np.arange(spot.width) + corner[0], *_midline(face))
    above = np.arange(spot.height)[:, None] + corner[1] < middle[None]
    for side in (above, ~above):  # one lip may lie in shadow: each is compared with itself
        lip = side & rim & ~mouth
        if lip.any() and (side & flesh).any():
            spill |= lip & (luma < DIM * np.median(luma[lip]))
            spill |= lip & flesh & (red < PALE * np.percentile(red[side & flesh], 75))
    unknown = spill | mouth
    cleaned = fill(pixels, ~unknown, soften=1.0)
    return np.where((rim & unknown)[..., None], cleaned, pixels)
