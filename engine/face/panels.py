"""Painted panels beside the portrait: what a photograph does not show, or shows only in part.

The renderer samples one texture: the portrait with its margin, and under it these panels. They are windows of the
portrait's own pixels around a place, one to one, with the hidden part filled in (teeth when they are seen, the white of
the eyes without the iris, the iris without the lids), so at the portrait's pose they are exact. What is invented (drawn
teeth, tongue, cavity) has its places here too, but is painted by the renderer (`engine.render.mouth`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.face import topology as top
from engine.face.surround import smoothstep
from engine.types import ByteArray, FloatArray

MARGIN = 16  # the portrait's side over this is the mirrored margin around it
SKIN, LIPS, TEETH, CAVITY = range(4)  # rows of Avatar.tones
LUMA = np.array([0.299, 0.587, 0.114], np.float32)

# Panel places for a portrait of 512: x, y, width, height.
PLACES = {
    "upper": (0, 0, 192, 96),
    "lower": (192, 0, 192, 96),
    "flesh": (384, 0, 96, 96),
    "white_right": (0, 96, 80, 64),
    "white_left": (80, 96, 80, 64),
    "iris_right": (160, 96, 80, 64),
    "iris_left": (240, 96, 80, 64),
    "lips": (320, 96, 208, 96),
    "lid_right": (0, 192, 80, 64),
    "lid_left": (80, 192, 80, 64),
}
PANEL_HEIGHT = 256
LASHES = 0.5  # of the way from the lid's rim to the crease above it: lashes and eyeliner, which do not stretch
BARE_LID = 0.8  # of that way, where a lid's skin is free of them
LIT = 0.5  # how far a closing lid comes out of the brow's shade, into the light of the skin under the eye
BELOW = (0.25, 0.55)  # where that skin lies under the lower lid, in eye widths
UNDER = 3.0  # pixels of a portrait of 512 that the lashes' strip reaches under the lid's rim, into the eye
SHADOW = 0.45  # brightness of what lies above the lid's rim
DISC = 1.40  # the resting iris is cut out with a ring of white around it, in radii
RIM = 1.22  # where the white certainly begins, in radii


@dataclass(frozen=True)
class Place:
    """Where a panel lies under the portrait, in pixels of the panels' own picture."""

    x: int
    y: int
    width: int
    height: int

    def cut(self, panels: np.ndarray) -> np.ndarray:
        """The panel's pixels, as a view."""
        return panels[self.y : self.y + self.height, self.x : self.x + self.width]


def place(name: str, size: int) -> Place:
    """The panel ``name`` of a portrait ``size`` pixels wide."""
    return Place(*(v * size // 512 for v in PLACES[name]))


def panel_shape(size: int) -> tuple[int, int]:
    """Height and width of the panels' picture under a portrait ``size`` pixels wide."""
    return PANEL_HEIGHT * size // 512, size + 2 * (size // MARGIN)


def window(points: FloatArray, spot: Place) -> tuple[int, int]:
    """Upper left portrait pixel of a window panel that is centred on ``points`` [N, >= 2]."""
    low, high = points[:, :2].min(0), points[:, :2].max(0)
    x, y = np.round(0.5 * (low + high)).astype(int)
    return int(x - spot.width // 2), int(y - spot.height // 2)


def take_window(image: np.ndarray, corner: tuple[int, int], spot: Place) -> np.ndarray:
    """Copy a window out of the portrait, edges repeated."""
    rows = np.clip(np.arange(corner[1], corner[1] + spot.height), 0, image.shape[0] - 1)
    columns = np.clip(np.arange(corner[0], corner[0] + spot.width), 0, image.shape[1] - 1)
    return image[rows[:, None], columns[None]].astype(np.float32)


def polygon(points: FloatArray, corner: tuple[int, int], spot: Place, grow: int = 0) -> np.ndarray:
    """A window's pixels inside ``points`` [N, 2], grown or shrunk by whole pixels: bool [h, w]."""
    import cv2

    blank = np.zeros((spot.height, spot.width), np.uint8)
    local = np.round((points[:, :2] - np.array(corner)) * 16).astype(np.int32)
    mask = np.asarray(cv2.fillPoly(blank, [local], (1,), cv2.LINE_8, 4))
    if grow:
        kernel = np.ones((2 * abs(grow) + 1,) * 2, np.uint8)
        mask = np.asarray(cv2.dilate(mask, kernel) if grow > 0 else cv2.erode(mask, kernel))
    return np.asarray(mask > 0)


def fill(window_pixels: np.ndarray, known: np.ndarray, tall: float = 1.0, soften: float = 1.2) -> np.ndarray:
    """Unknown pixels take the nearest known colour; ``tall`` > 1 prefers what lies above or below."""
    import cv2
    from scipy.spatial import cKDTree

    if known.all() or not known.any():
        return window_pixels
    scale = np.array([1.0, tall])  # rows, columns
    here, there = np.argwhere(~known), np.argwhere(known)
    near = there[cKDTree(there * scale).query(here * scale)[1]]
    out = window_pixels.copy()
    out[here[:, 0], here[:, 1]] = window_pixels[near[:, 0], near[:, 1]]
    blurred = cv2.GaussianBlur(out, (0, 0), soften)
    return np.where(known[..., None], out, blurred)


def measure_tones(image: ByteArray, face: FloatArray) -> FloatArray:
    """RGB of skin, lips, teeth and cavity [4, 3]; the last two are derived from the light on the skin."""
    pixels = image.astype(np.float32)

    def sample(vertices: tuple[int, ...], reach: int) -> np.ndarray:
        at = np.clip(face[list(vertices), :2].astype(int), reach, image.shape[0] - 1 - reach)
        spots = [pixels[y - reach : y + reach + 1, x - reach : x + reach + 1].reshape(-1, 3).mean(0) for x, y in at]
        return np.asarray(np.median(spots, axis=0))

    skin = np.maximum(sample(top.CHEEKS, 2), 4)
    lips = sample((0, 17, 37, 267, 84, 314), 1)
    luma = float(skin @ LUMA)
    teeth = np.clip(luma * (skin / luma) ** 0.8, 0, 236)
    cavity = skin * np.array([0.27, 0.115, 0.105])
    return np.stack([skin, lips, teeth, cavity]).astype(np.float32)


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


def _midline(face: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """x and y of the line halfway between upper and lower inner lip, by rising x."""
    line = 0.5 * (face[list(top.LIP_INNER_UPPER), :2] + face[list(top.LIP_INNER_LOWER), :2])
    line = line[np.argsort(line[:, 0])]
    return line[:, 0], line[:, 1]


def clean_lips(image: ByteArray, face: FloatArray) -> np.ndarray:
    """The lips of an open smile without the mouth's dark that spills over their rims: it would show when closed."""
    size = image.shape[0]
    spot = place("lips", size)
    inner = face[list(top.LIP_INNER)]
    corner = window(inner, spot)
    pixels = take_window(image, corner, spot)
    reach = max(3, size // 100)
    rim = polygon(inner, corner, spot, reach)
    mouth = polygon(inner, corner, spot, 0)
    luma = pixels @ LUMA
    spill = np.zeros_like(mouth)
    middle = np.interp(np.arange(spot.width) + corner[0], *_midline(face))
    above = np.arange(spot.height)[:, None] + corner[1] < middle[None]
    for side in (above, ~above):  # one lip may lie in shadow: each is compared with itself
        lip = side & rim & ~mouth
        if lip.any():
            spill |= lip & (luma < 0.74 * np.median(luma[lip]))
    unknown = spill | mouth
    cleaned = fill(pixels, ~unknown, soften=1.0)
    return np.where((rim & unknown)[..., None], cleaned, pixels)


def eye_panels(
    image: ByteArray, loop: FloatArray, iris: FloatArray, size: int, side: str
) -> tuple[np.ndarray, np.ndarray]:
    """The white without the iris, and the iris without lids, around one eye."""
    spot = place(f"white_{side}", size)
    corner = window(loop, spot)
    pixels = take_window(image, corner, spot)
    opening = polygon(loop, corner, spot, -1)
    y, x = np.mgrid[0 : spot.height, 0 : spot.width]
    dx, dy = x + corner[0] - iris[0], y + corner[1] - iris[1]
    radius = np.hypot(dx, dy)
    bright = pixels @ LUMA > 0.6 * np.percentile((pixels @ LUMA)[opening], 90) if opening.any() else opening
    white = opening & (radius > RIM * iris[2]) & bright
    # What may show at the portrait's own pose is the portrait; at the upper rim the lashes' strip lies over a soft
    # change to what only a wider eye would show, in the lid's shadow.
    line, reach = loop[: len(top.EYE_RIGHT_UPPER)], under_rim(size)
    order = np.argsort(line[:, 0])
    rim, under = (np.interp(x[0] + corner[0], line[order, 0], v[order]) for v in (line[:, 1], reach))
    open_ = np.clip((y + corner[1] - rim + 0.5 * under) / np.maximum(0.85 * under, 0.5), 0, 1)
    open_ = np.maximum(open_, np.clip(1.6 - under, 0, 1))[..., None]  # in the corners no strip lies over them
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
    shade = SHADOW + (1 - SHADOW) * open_
    return shade * sclera, shade * filled


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
    import cv2

    across = max(reach, 1.0)
    weight = np.asarray(cv2.GaussianBlur(known, (0, 0), sigmaX=across, sigmaY=tall))
    colour = np.asarray(cv2.GaussianBlur(pixels * known[..., None], (0, 0), sigmaX=across, sigmaY=tall))
    return fill(colour / np.maximum(weight, 1e-4)[..., None], weight > 0.02)


def _round_fill(pixels: np.ndarray, seen: np.ndarray, dx: np.ndarray, dy: np.ndarray, radius: np.ndarray) -> np.ndarray:
    """Hidden parts of an iris from seen ones at the same radius, the nearest angle first."""
    from scipy.spatial import cKDTree

    if not seen.any():
        return pixels
    angle = np.arctan2(np.abs(dy), dx)  # above and below look alike
    polar = np.stack([radius * 3.0, angle * np.maximum(radius, 1.0)], -1)
    near = cKDTree(polar[seen]).query(polar[~seen])[1]
    out = pixels.copy()
    out[~seen] = pixels[seen][near]
    return out


def paint_panels(
    image: ByteArray, face: FloatArray, irises: FloatArray, tones: FloatArray, smiling: bool
) -> tuple[ByteArray, FloatArray, FloatArray]:
    """All panels [h, w, 3], the own teeth's lower edge [n, 2], and the tones, with the teeth's own when seen."""
    size = image.shape[0]
    panels = np.zeros((*panel_shape(size), 3), np.float32)
    seen_teeth = own_teeth(image, face, tones) if smiling else None
    edge = np.zeros((0, 2), np.float32)
    spots = {name: place(name, size) for name in PLACES}
    if seen_teeth:
        tones, edge = tones.copy(), seen_teeth.edge
        tones[TEETH] = seen_teeth.tone
        spots["upper"].cut(panels)[:] = seen_teeth.panel
    spots["lips"].cut(panels)[:] = clean_lips(image, face) if smiling else 0
    for side, loop, iris in (("right", top.EYE_RIGHT, irises[0]), ("left", top.EYE_LEFT, irises[1])):
        white, seen = eye_panels(image, face[list(loop)], iris, size, side)
        spots[f"white_{side}"].cut(panels)[:] = white
        row = list(top.EYE_RIGHT_UPPER if side == "right" else top.EYE_LEFT_UPPER)
        ring = list(top.EYE_RIGHT_RING if side == "right" else top.EYE_LEFT_RING)
        name = f"lid_{side}"
        spots[name].cut(panels)[:] = lid_panel(image, face, loop, row, [row[0], *ring, row[-1]], name)
        spots[f"iris_{side}"].cut(panels)[:] = seen
    return np.clip(panels + 0.5, 0, 255).astype(np.uint8), edge, tones
