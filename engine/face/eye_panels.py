"""What a photo of an eye does not show: the white behind its iris, the iris behind its lids, a closed lid's skin."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.panels import LUMA, fill, place, polygon, take_window, window
from engine.face.surround import smoothstep
from engine.imaging.neighbours import nearest_points
from engine.imaging.smoothing import blur

LASHES = 0.5  # of the way from the lid's rim to the crease above it: lashes and eyeliner, which do not stretch
BARE_LID = 0.8  # of that way, where a lid's skin is free of them
LIT = 0.7  # how far a closing lid comes out of the brow's shade, into the light of the skin under the eye
BELOW = (0.25, 0.55)  # where that skin lies under the lower lid, in eye widths
UNDER = 3.0  # pixels of a portrait of 512 that the lashes' strip reaches under the lid's rim, into the eye
LASHES_DEEP = 0.6  # of that strip, which a drooping lid's lashes darken
SHADOW = 0.45  # brightness of what lies above the lid's rim
DISC = 1.40  # the resting iris is cut out with a ring of white around it, in radii
RIM = 1.22  # where the white certainly begins, in radii


def eye_panels(
    image: ByteArray, loop: FloatArray, opened: FloatArray, iris: FloatArray, side: str
) -> tuple[np.ndarray, np.ndarray]:
    """The white without the iris, and the iris without lids, around one eye.

    ``loop`` [16, >= 2] are its lids, ``opened`` the same where the photo shows a drooping eye, as it would be open.
    """
    size = image.shape[0]
    spot = place(f"white_{side}", size)
    corner = window(loop, spot)
    pixels = take_window(image, corner, spot)
    y, x = np.mgrid[0 : spot.height, 0 : spot.width]
    place_x, place_y = x + corner[0], y + corner[1]
    dx, dy = place_x - iris[0], place_y - iris[1]
    # What may show at the portrait's own pose is the portrait; at the upper rim the lashes' strip lies over a soft
    # change to what only a wider eye would show, in the lid's shadow. A drooping lid opens: its lashes go with it.
    lashes = LASHES_DEEP if np.abs(opened - loop).max() > 0 else 0.0
    open_ = _under_lid(loop, place_x, place_y, size, lashes)
    opening = polygon(loop, corner, spot, -1) & (open_[..., 0] > 0.5 * (lashes > 0))
    radius = np.hypot(dx, dy)
    bright = pixels @ LUMA > 0.6 * np.percentile((pixels @ LUMA)[opening], 90) if opening.any() else opening
    white = opening & (radius > RIM * iris[2]) & bright
    exact = polygon(loop, corner, spot, 1)[..., None] * open_
    sclera = fill(pixels, white, tall=0.5, soften=1.5) if white.sum() > 12 else pixels
    # Beside the iris the white is as light as its surroundings there: in a corner it lies in the shade.
    around = opening & (radius > RIM * iris[2])
    if around.sum() > 12:
        near = fill(pixels, around, soften=2.5)
        share = np.clip((radius / iris[2] - 0.45) / 0.55, 0, 1)[..., None]
        sclera = sclera + share * (np.minimum(near, sclera) - sclera)
    # Under the resting iris the white is invented; around it, it is the portrait, with a soft change between.
    own = np.clip((radius / iris[2] - RIM) / (DISC - RIM - 0.02), 0, 1)[..., None]
    sclera = sclera + exact * own * (pixels - sclera)
    seen = opening & (radius <= DISC * iris[2])
    filled = _round_fill(pixels, seen, dx, dy, radius)
    filled = filled + exact * (pixels - filled)
    shade = SHADOW + (1 - SHADOW) * _under_lid(opened, place_x, place_y, size)
    return shade * sclera, shade * filled


def _under_lid(loop: FloatArray, x: np.ndarray, y: np.ndarray, size: int, lower: float = 0.0) -> np.ndarray:
    """1 under the upper lid of ``loop``, 0 above its rim, changing softly within its lashes' strip [h, w, 1]."""
    line, reach = loop[: len(top.EYE_RIGHT_UPPER)], under_rim(size)
    order = np.argsort(line[:, 0])
    rim, under = (np.interp(x[0], line[order, 0], v[order]) for v in (line[:, 1], reach))
    open_ = np.clip((y - rim + (0.5 - lower) * under) / np.maximum(0.85 * under, 0.5), 0, 1)
    return np.asarray(np.maximum(open_, np.clip(1.6 - under, 0, 1)))[..., None]  # in the corners lies no strip


def under_rim(size: int) -> FloatArray:
    """How far the lashes' strip reaches under each vertex of a lid's rim [9], in pixels; not at all in the corners."""
    return (UNDER * size / 512 * np.sin(np.linspace(0, np.pi, len(top.EYE_RIGHT_UPPER))) ** 0.5).astype(np.float32)


def lid_panel(
    image: ByteArray, face: FloatArray, loop: tuple[int, ...], row: list[int], crease: list[int], name: str
) -> np.ndarray:
    """The skin of an upper lid [h, w, 3], smoothed along the eye: a closing lid stretches it downwards.

    Folded under the brow it lies in a shade that a closed lid has not: a dark one is read as an eye that stands open.
    """
    spot = place(name, image.shape[0])
    corner = window(face[list(loop)], spot)
    pixels = take_window(image, corner, spot)
    rim, fold = face[row, :2], face[crease, :2]
    base = rim + LASHES * (fold - rim)
    strip = polygon(np.vstack([base, fold[::-1]]), corner, spot, 1).astype(np.float32)
    wide = float(np.linalg.norm(rim[-1] - rim[0]))
    bare = polygon(np.vstack([rim + BARE_LID * (fold - rim), fold[::-1]]), corner, spot, 1).astype(np.float32)
    own = _along(pixels, strip, 0.06 * wide, 0.4)
    lid, tone = (_along(pixels, bare, share * wide, 1.0) for share in (0.14, 0.30))
    under = face[list(loop)][len(row) - 1 :, :2]  # the lower lid, corners included
    low, high = (np.vstack([under, face[loop[0], :2]]) + np.array([0, share * wide]) for share in BELOW)
    cheek = _along(pixels, polygon(np.vstack([low, high[::-1]]), corner, spot).astype(np.float32), 0.30 * wide, 2.0)
    # At the crease the lid meets the portrait's own skin; further down it takes the tone of the whole lid.
    x, y = np.arange(spot.width) + corner[0], np.arange(spot.height)[:, None] + corner[1]
    upper, lower = (np.interp(x, *row[np.argsort(row[:, 0])].T)[None] for row in (fold, base))
    down = smoothstep((y - upper) / np.maximum(lower - upper, 1.0))[..., None]
    # Neither at the lashes nor in the corners does the light end in an edge.
    left, right = rim[:, 0].min(), rim[:, 0].max()
    inner = np.minimum(x - left, right - x)[None] / (0.2 * (right - left))
    lit = LIT * (smoothstep(inner) * np.clip(0.5 * (lower - y) + 0.5, 0.3, 1))[..., None]
    lid, tone = (skin + lit * np.maximum(cheek - skin, 0) for skin in (lid, tone))
    return own + down * (0.4 * lid + 0.6 * tone - own)


def _along(pixels: np.ndarray, known: np.ndarray, reach: float, tall: float) -> np.ndarray:
    """``pixels`` [h, w, 3] evened by ``reach`` sideways and ``tall`` downwards within ``known``, and spread beyond."""
    across = max(reach, 1.0)
    weight, colour = blur(known, across, tall), blur(pixels * known[..., None], across, tall)
    return fill(colour / np.maximum(weight, 1e-4)[..., None], weight > 0.02)


def _round_fill(pixels: np.ndarray, seen: np.ndarray, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Hidden parts of an iris from seen ones at the same radius, the nearest angle first."""
    if not seen.any():
        return pixels
    angle = np.arctan2(np.abs(dy), dx)  # above and below look alike
    polar = np.stack([radius * 3.0, angle * np.maximum(radius, 1.0)], -1)
    near, _ = nearest_points(polar[~seen], polar[seen])
    out = pixels.copy()
    out[~seen] = pixels[seen][near]
    return np.where(seen[..., None], pixels, blur(out, 1.0))  # lashes leave specks
