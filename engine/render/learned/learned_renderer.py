"""A renderer whose pictures go through the networks of VividTalk 3.3 after geometry has painted them."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.face.avatar import Avatar
from engine.render.learned.eyesight import Eyesight, View
from engine.render.learned.finishing import finish
from engine.render.learned.lip_square import CELLS, FIELD, square_at
from engine.render.prepared import Prepared
from engine.render.renderer import Renderer

FADE = 0.25  # a change of quality takes four frames


class Known(NamedTuple):
    """What networks know of a portrait once and for all."""

    features: FloatArray  # [1, 24, 64, 64]
    light: FloatArray  # [1, 3, 1, 1] gains that take its colour from the skin around the mouth
    met: FloatArray  # [1, 16, 128, 128] what the first convolution makes of PT_ref


class PictureNetworks(Protocol):
    """The networks of the picture, whatever runs them: an exported program, or torch."""

    def know(self, portrait: FloatArray, texture: FloatArray, lips: FloatArray) -> Known:
        """Look at a portrait and its PT_ref [1, 3, 256, 256] with lips [1, 20, 2]; once for each avatar."""

    def change(self, view: View, gate: float, known: Known) -> tuple[FloatArray, FloatArray]:
        """What they would change of the square around the lips: residual motion [2, 32, 32], and what to add
        [3, 128, 128], both scaled by ``gate``."""


class LearnedRenderer(Renderer):
    """Geometry first; then the residual motion, the occlusion map and the generator, at 256 pixels whatever the size.

    In a larger picture the residual motion warps the picture at its own size, and what the generator adds is enlarged:
    the portrait's detail stays.
    """

    def __init__(
        self, avatar: Avatar, networks: PictureNetworks, size: int = 512, known: Prepared | None = None
    ) -> None:
        super().__init__(avatar, size, known)
        self._networks = networks
        self._eye = Eyesight(self)
        self.share = 1.0  # of the networks in the picture; without any, they rest
        self._known = networks.know(self._eye.portrait, self._eye.texture, self._eye.lips)

    @property
    def direct(self) -> bool:
        """As `Renderer.direct`."""
        return self.share == 0

    def fade(self, learned: bool) -> None:
        """Let the networks' share of the next picture grow or shrink by one step, towards all or nothing."""
        self.share = min(max(self.share + (FADE if learned else -FADE), 0.0), 1.0)

    def render(self, motion: Motion, out: ByteArray | None = None, alpha: bool = False) -> ByteArray:
        """As `Renderer.render`."""
        out = super().render(motion, out, alpha)
        if self.share > 0:
            self._finish(motion, out)
        return out

    def _finish(self, motion: Motion, out: ByteArray) -> None:
        """Let the networks work on the picture [S, S, 3 or 4] that geometry has painted into ``out``."""
        view = self._eye.see(motion, out[..., :3])
        gate = self.share * float(view.moved[0])
        if gate == 0:
            return
        residual, added = self._networks.change(view, gate, self._known)
        x, y = (cell * self.size // FIELD for cell in square_at(view.lips))
        side = self.size * CELLS // FIELD
        reach = int(float(np.abs(residual).max()) * 0.5 * self.size) + 2  # no pixel comes from further away
        left, top = max(x - reach, 0), max(y - reach, 0)
        near = out[top : y + side + reach, left : x + side + reach].copy()
        finish(near, residual, added, self.size, x, y, x - left, y - top, out)
