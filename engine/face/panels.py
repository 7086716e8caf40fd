"""Painted panels beside the portrait: what a photograph does not show, or shows only in part.

The renderer samples one texture: the portrait with its margin, and under it these panels. They are windows of the
portrait's own pixels around a place, one to one, with the hidden part filled in (teeth when they are seen, the white of
the eyes without the iris, the iris without the lids), so at the portrait's pose they are exact. What is invented (drawn
teeth, tongue, cavity) has its places here too, but is painted by the renderer (`engine.render.parts.mouth`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.imaging import smoothing
from engine.imaging.neighbours import nearest_known
from engine.imaging.shapes import polygon_mask

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
    return smoothing.grow(polygon_mask(points[:, :2] - np.array(corner), spot.width, spot.height), grow)


def fill(window_pixels: np.ndarray, known: np.ndarray, tall: float = 1.0, soften: float = 1.2) -> np.ndarray:
    """Unknown pixels take the nearest known colour; ``tall`` > 1 prefers what lies above or below."""
    if known.all() or not known.any():
        return window_pixels
    # What lies aside counts as ``tall`` times as far: the same as what lies above or below being nearer.
    out = window_pixels[nearest_known(known, 1 / tall)]
    blurred = smoothing.blur(out, soften)
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
    cavity = skin * np.array([0.27, 0.115, 0.105])
    return np.stack([skin, lips, unseen_teeth(skin), cavity]).astype(np.float32)


def unseen_teeth(skin: FloatArray) -> np.ndarray:
    """What `measure_tones` writes down for teeth [3] that no photo shows; `engine.render` paints brighter ones."""
    luma = float(skin @ LUMA)
    return np.asarray(np.clip(luma * (skin / luma) ** 0.8, 0, 236))
