"""Whether a tuned network is kept: what it paints of a part of the film that nothing learned from, and without it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from engine.contracts import ByteArray
from engine.enrolment.footage.film_lessons import LEARN_AT
from engine.evaluation.film_figures import mouth_region
from engine.evaluation.picture_figures import region_error
from engine.face import topology as top
from engine.imaging.shapes import polygon_mask
from engine.tuning.film_frames import Frames

GAIN = 0.03  # of the error around the mouth that must be saved
WORSE = 0.005  # of a figure, which says nothing


@dataclass(frozen=True)
class Figures:
    """Of pictures beside the truth, in grey levels."""

    mouth: float  # difference around the mouth
    face: float  # and in all of the face
    sharpness: float  # how strong edges around the mouth are
    flicker: float  # how the difference shakes: what the film does as well is movement


@dataclass(frozen=True)
class Verdict:
    """Figures without the network, with it, and of the film itself."""

    without: Figures
    tuned: Figures
    film: Figures

    def against(self) -> list[str]:
        """Why it is not to be kept; nothing where it is."""
        a, b, film = self.without, self.tuned, self.film
        found = []
        if b.mouth > (1 - GAIN) * a.mouth:
            found.append(f"error around the mouth {change(a.mouth, b.mouth)}, of the {-100 * GAIN:.0f} % asked for")
        if b.face > a.face:
            found.append(f"error of the face {change(a.face, b.face)}")
        if b.sharpness < (1 - WORSE) * min(a.sharpness, film.sharpness):
            found.append(f"sharpness {change(a.sharpness, b.sharpness)}")
        if b.flicker > (1 + WORSE) * a.flicker:
            found.append(f"flicker {change(a.flicker, b.flicker)}")
        return found

    def told(self) -> str:
        """The figures in words."""
        a, b = self.without, self.tuned
        names = ("mouth", "face", "sharpness", "flicker")
        return ", ".join(f"{name} {change(getattr(a, name), getattr(b, name))}" for name in names)


def change(before: float, after: float) -> str:
    """``after`` beside ``before``, for people."""
    return f"{100 * (after / max(before, 1e-6) - 1):+.1f} %"


def figures(pictures: ByteArray, frames: Frames) -> Figures:
    """Of ``pictures`` [N, 256, 256, 3] of the motions of ``frames``."""
    size = (LEARN_AT, LEARN_AT)
    mouths = [mouth_region(points, size) for points in frames.landmarks]
    faces = [polygon_mask(points[list(top.OVAL), :2], *size) for points in frames.landmarks]
    rows = list(zip(pictures, frames.truth, strict=True))
    return Figures(
        mouth=_mean(region_error(a, b, mask) for (a, b), mask in zip(rows, mouths, strict=True)),
        face=_mean(region_error(a, b, mask) for (a, b), mask in zip(rows, faces, strict=True)),
        sharpness=_mean(_edges(picture, mask) for picture, mask in zip(pictures, mouths, strict=True)),
        flicker=_shaking(_cut(pictures, np.array(mouths)), _cut(frames.truth, np.array(mouths))),
    )


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def _shaking(pictures: ByteArray, truth: ByteArray) -> float:
    """Mean distance of each difference from its neighbours' average; 0 for fewer than three."""
    x = pictures.astype(np.float32) - truth
    return float(np.abs(x[1:-1] - 0.5 * (x[:-2] + x[2:])).mean()) if len(x) > 2 else 0.0


def _edges(picture: ByteArray, mask: np.ndarray) -> float:
    """Mean of both gradients within ``mask``."""
    x = picture.astype(np.float32)
    across, down = np.abs(np.diff(x, axis=1))[:-1], np.abs(np.diff(x, axis=0))[:, :-1]
    return float((across + down)[mask[:-1, :-1]].mean())


def _cut(pictures: ByteArray, masks: np.ndarray) -> ByteArray:
    """The rectangle that holds the mouths of all pictures."""
    rows, columns = (np.flatnonzero(masks.any(axis)) for axis in ((0, 2), (0, 1)))
    return pictures[:, rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
