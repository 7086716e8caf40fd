"""A film made again from one of its own frames: geometry alone beside the networks, both beside the truth.

The frame with the most closed lips is the portrait; the tracked motion drives it through the rest of the film
(self-reconstruction, VividTalk section 4.2).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.landmarks import FaceMesh
from engine.evaluation.film_figures import Watched, judge
from engine.evaluation.inside_light import InsideLight, inside_light
from engine.face import topology as top
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.lip_square import PICTURE
from engine.render.learned.picture_generator import LearnedHalf
from engine.training.picture.picture_pairs import Shot

KEPT = ("psnr", "ssim", "mouth_error", "lip_distance", "cpbd", "flicker")


@dataclass(frozen=True)
class Reconstruction:
    """Pictures [T, 256, 256, 3] of one film: as it is, from geometry, and finished by the networks."""

    portrait: ByteArray
    truth: ByteArray
    geometry: ByteArray
    learned: ByteArray
    landmarks: FloatArray  # [T, 478, 3] of the truth

    def figures(self) -> dict[str, dict[str, float]]:
        """`KEPT` figures of both ways, against the truth."""
        truth = Watched(self.truth, self.landmarks, None)
        made = {"geometry": self.geometry, "learned": self.learned}
        out = {}
        for name, pictures in made.items():
            found = judge(Watched(pictures, landmarks_of(pictures), None), truth)
            out[name] = {figure: found[figure] for figure in KEPT}
        return out

    def inside(self) -> dict[str, InsideLight] | None:
        """How light the mouth's inside is in ``truth``, ``geometry`` and ``learned``; None if it never opens."""
        made = {"truth": self.truth, "geometry": self.geometry, "learned": self.learned}
        found = {name: inside_light(pictures, self.landmarks) for name, pictures in made.items()}
        return {name: light for name, light in found.items() if light} or None


def reconstruct(path: Path, model: LearnedHalf, start_s: float = 0.0, seconds: float = 30.0) -> Reconstruction:
    """Raises VivifyError when the film cannot be read, holds no face, or loses it."""
    shot = Shot.of(path, start_s, seconds)
    (reference,) = shot.references(1)
    plain, motions = shot.driven(reference)
    finished = LearnedRenderer(plain.avatar, model, PICTURE)
    return Reconstruction(
        shot.pictures[reference],
        np.stack(shot.pictures),
        np.stack([plain.render(motion) for motion in motions]),
        np.stack([finished.render(motion) for motion in motions]),
        shot.landmarks,
    )


def landmarks_of(pictures: ByteArray) -> FloatArray:
    """[T, 478, 3] in pixels, NaN where no face is found."""
    out = np.full((len(pictures), top.LANDMARKS, 3), np.nan, np.float32)
    with FaceMesh(faces=1) as net:
        for k, picture in enumerate(pictures):
            if faces := net.find(picture):
                out[k] = faces[0]
    return out
