"""What the networks of the picture see of one avatar, as arrays: whoever runs them, training included."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.face.morphable_model import face_model
from engine.render.learned.lip_square import FIELD, LANDMARKS, PICTURE
from engine.render.learned.reducing import averaged, planes_over
from engine.render.projection import PORTRAIT, ncc
from engine.render.renderer import Renderer, still
from kernels.cpu import numba_kernels

STILL = 0.004  # of the picture's side: a mesh that moved less has not moved


@dataclass(frozen=True, slots=True)
class View:
    """One frame as the networks see it. Pictures [1, 3, 256, 256] in [0, 1]."""

    portrait: FloatArray
    painted: FloatArray  # what geometry made of it
    texture_reference: FloatArray  # PT_ref
    texture: FloatArray  # PT_d
    lips_reference: FloatArray  # [1, 20, 2] in [-1, 1]
    lips: FloatArray
    flow: FloatArray  # [1, 2, 64, 64] where geometry looked in the portrait, in [-1, 1]
    moved: FloatArray  # [1] 0 when driven as the portrait is, 1 from a small motion on


class Eyesight:
    """The things that never change of one avatar, and those of one motion."""

    def __init__(self, renderer: Renderer) -> None:
        self._renderer = renderer
        avatar = renderer.avatar
        self._scale = PICTURE / avatar.size
        self._ncc = ncc()
        self.portrait = reduced(avatar.portrait)  # [1, 3, 256, 256]
        self._triangles = np.ascontiguousarray(face_model().triangles)
        self._depth, self._which = np.empty((PICTURE, PICTURE), np.float32), np.empty((PICTURE, PICTURE), np.int32)
        self._inner = np.empty((PICTURE, PICTURE, 3), np.float32)
        own = still()
        own = Motion(0, renderer.own_expression, own.rotation, own.translation)
        self._mesh = renderer.driven_mesh(own)
        self.texture = self._projected(self._mesh)  # PT_ref [1, 3, 256, 256]
        self.lips = self._landmarks(self._mesh)  # [1, 20, 2]

    def see(self, motion: Motion, painted: ByteArray) -> View:
        """The networks' input for ``motion``, whose picture [S, S, 3] the renderer has just painted."""
        mesh = self._renderer.driven_mesh(motion)
        far = float(np.abs(mesh[:, :2] - self._mesh[:, :2]).max()) / self._renderer.avatar.size
        return View(
            portrait=self.portrait,
            painted=reduced(painted),
            texture_reference=self.texture,
            texture=self._projected(mesh),
            lips_reference=self.lips,
            lips=self._landmarks(mesh),
            flow=self._flow(),
            moved=np.array([min(1.0, far / STILL)], np.float32),
        )

    def _landmarks(self, mesh: FloatArray) -> FloatArray:
        """[1, 20, 2], the picture spanning [-1, 1]."""
        size = self._renderer.avatar.size
        return ((mesh[list(LANDMARKS), :2] + 0.5) * (2 / size) - 1)[None].astype(np.float32)

    def _projected(self, mesh: FloatArray) -> FloatArray:
        """PT (eq. 10) at 256 pixels: NCC on the face, the portrait around it [1, 3, 256, 256]."""
        vertices = mesh.copy()
        vertices[:, :2] = (vertices[:, :2] + 0.5) * self._scale - 0.5
        vertices = np.ascontiguousarray(vertices, np.float32)
        numba_kernels.rasterize(vertices, self._triangles, self._ncc, self._depth, self._which, self._inner)
        out = np.empty_like(self.portrait)
        planes_over(self._which, self._inner, self.portrait[0], out[0])
        return out

    def _flow(self) -> FloatArray:
        """Where geometry looked in the portrait [1, 2, 64, 64], of the picture just painted, in [-1, 1].

        Eyes and mouth were painted from elsewhere: there it is the place itself.
        """
        painter = self._renderer.painter
        middle = ((np.arange(FIELD) + 0.5) * (painter.size / FIELD)).astype(int)
        there = middle[:, None], middle
        places, which = np.moveaxis(painter.places[:, middle[:, None], middle], 0, -1), painter.which[there]
        layer = np.where(which >= 0, painter.layers[which], -1)
        flow = (places + 0.5) * (2 / self._renderer.avatar.size) - 1
        at = (np.arange(FIELD, dtype=np.float32) + 0.5) * (2 / FIELD) - 1
        itself = np.stack(np.meshgrid(at, at), -1)
        return _planes(np.where((layer == PORTRAIT)[..., None], flow, itself).astype(np.float32))


def reduced(picture: ByteArray) -> FloatArray:
    """RGB [S, S, 3] -> [1, 3, 256, 256] in [0, 1]; where 256 divides S, without a large picture of floats."""
    factor, rest = divmod(len(picture), PICTURE)
    if rest:
        share = _shares(len(picture))
        return _planes(np.stack([share @ picture[..., k] @ share.T for k in range(3)], 2) / np.float32(255))
    out = np.empty((1, 3, PICTURE, PICTURE), np.float32)
    averaged(picture, factor, out[0])
    return out


@cache
def _shares(size: int) -> FloatArray:
    """How much of each of ``size`` pixels goes into each of 256 [256, size]: triangles that overlap, no aliasing."""
    scale = size / PICTURE
    middle = (np.arange(PICTURE)[:, None] + 0.5) * scale
    share = np.clip(1 - np.abs(np.arange(size) + 0.5 - middle) / max(scale, 1), 0, None)
    return (share / share.sum(1, keepdims=True)).astype(np.float32)


def _planes(picture: FloatArray) -> FloatArray:
    """[H, W, C] -> [1, C, H, W]."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1))[None]
