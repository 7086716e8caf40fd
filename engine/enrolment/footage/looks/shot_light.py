"""The light of a film's shots, brought to the portrait's.

Its strength and colour by the skin as a whole. A shot taken elsewhere is lit from elsewhere, too: what a mouth and eyes
were like there would lie on the portrait's face as paler or darker patches. So how skin differs from the portrait's
picture of the same motion, evenly over a centimetre and in most of the frames, is taken for light.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model
from engine.face.panels import SKIN, measure_tones
from engine.face.surround import smoothstep
from engine.imaging.resampling import read_at
from engine.imaging.smoothing import blur
from engine.render.renderer import Renderer

GAINS = (0.55, 1.8)  # of a shot's colours: light more different than that teaches nothing
GLANCES, SLIGHT = 8, 0.06  # pictures by which a shot's light is told; of its logarithm, what is taken for none
EVEN = 1.2  # centimetres within which light is the same
BESIDE = 0.5  # centimetres around lips and eyes that are not looked at: there faces differ by what they do
RIM = 1.2  # centimetres from the face's outline, over which light comes in: beyond, all is as the skin as a whole
SOFT, LIFT = 2.0, 8.0  # pixels by which pictures are blurred; grey levels that are added, or shades would be divided
MOST = 1.0  # of a factor's logarithm


def light_gain(avatar: Avatar, pictures: ByteArray, landmarks: FloatArray) -> FloatArray:
    """Factors [3] from a shot's light to the portrait's, by the skin in some of its ``pictures`` [n, s, s, 3].

    ``landmarks`` [n, 478, 3] are theirs, in the portrait's pixels. Slight differences are left: skin turns, too.
    """
    step = avatar.size / pictures.shape[1]
    found = []
    for k in _glances(len(pictures)):
        small = (landmarks[k, : top.VERTICES] + 0.5) / step - 0.5
        found.append(measure_tones(pictures[k], small)[SKIN])
    gain = np.log(avatar.tones[SKIN] / np.maximum(np.median(found, axis=0), 1.0))
    return np.exp(np.sign(gain) * np.maximum(np.abs(gain) - SLIGHT, 0)).astype(np.float32)


def serves(gain: FloatArray) -> bool:
    """Whether a shot in light that needs these factors [3] may teach anything."""
    return bool(((gain > GAINS[0]) & (gain < GAINS[1])).all())


@dataclass(frozen=True)
class ShotLight:
    """What brings one shot's pictures to the portrait's light."""

    renderer: Renderer  # of the photo alone
    gain: FloatArray  # [3] factors of all
    places: FloatArray | None  # [468, 3] more of them at the face's vertices, where light falls from elsewhere

    def __call__(self, picture: ByteArray, motion: Motion) -> FloatArray:
        """The shot's ``picture`` [s, s, 3] of ``motion``, as large as the renderer's."""
        lit = self.gain * picture.astype(np.float32)
        if self.places is None:
            return lit
        from kernels.cpu import numba_kernels

        at = np.ascontiguousarray(self.renderer.pose(motion).vertices[: top.VERTICES], np.float32)
        depth, which = np.empty(lit.shape[:2], np.float32), np.empty(lit.shape[:2], np.int32)
        factors = np.empty(lit.shape, np.float32)
        numba_kernels.rasterize(at, face_model().triangles.astype(np.int32), self.places, depth, which, factors)
        return np.where((which >= 0)[..., None], factors * lit, lit)


def light_of(
    renderer: Renderer, pictures: ByteArray, landmarks: FloatArray, motions: list[Motion], here: bool
) -> ShotLight:
    """The light of a shot by its ``pictures`` [n, s, s, 3], whose n ``motions`` the ``renderer`` of a photo paints.

    ``landmarks`` [n, 478, 3] are theirs, in the portrait's pixels; ``here``: it falls as it did on the portrait.
    """
    gain = light_gain(renderer.avatar, pictures, landmarks)
    if here:
        return ShotLight(renderer, gain, None)
    found = []
    for k in _glances(len(pictures)):
        at = renderer.pose(motions[k]).vertices[: top.VERTICES]
        both = renderer.render(motions[k]), gain * pictures[k].astype(np.float32)
        made, real = (np.log(read_at(blur(picture, SOFT), at[:, 0], at[:, 1]) + LIFT) for picture in both)
        found.append(made - real)
    places = np.exp(_evened() @ np.clip(np.median(found, axis=0), -MOST, MOST))
    return ShotLight(renderer, gain, np.ascontiguousarray(places, np.float32))


def _glances(count: int) -> np.ndarray:
    return np.unique(np.linspace(0, count - 1, GLANCES).astype(int))


@cache
def _evened() -> FloatArray:
    """What makes an even field of what was found at each vertex [468, 468], nothing at the face's outline."""
    places = face_model().neutral
    apart = ((places[:, None] - places[None]) ** 2).sum(2)

    def away(ring: tuple[int, ...]) -> np.ndarray:
        return np.asarray(np.sqrt(apart[:, list(ring)].min(1)))

    skin = np.min([away(ring) for ring in (top.LIP_OUTER, top.LIP_INNER, top.EYE_RIGHT, top.EYE_LEFT)], 0) > BESIDE
    share = np.exp(-apart / (2 * EVEN**2)) * skin
    share *= (smoothstep(away(top.OVAL) / RIM) / share.sum(1))[:, None]
    return share.astype(np.float32)
