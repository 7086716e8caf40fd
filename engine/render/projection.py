"""The scene as one mesh, and its projection: reference coordinates and NCC through the rasterizer (VividTalk 3.3).

Order of the vertices: face (468), surroundings, copies of the oval (36), what makes the face dense, then the parts
behind the skin (eyes, mouth).
Every triangle belongs to a layer; a layer says where in the texture its coordinates count from.
"""

from __future__ import annotations

from copy import copy
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import pairwise

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.hidden_side import mirror_twins
from engine.face.morphable_model import face_model
from engine.face.panels import MARGIN, place, window
from engine.render.dense_mesh import DenseMesh
from engine.render.matte import clean_colours
from engine.render.parts.scene_part import Part
from kernels.cpu import pixel_kernels

TUCK = 0.07  # share of the way to the nose
PORTRAIT = 0  # the layer of skin and surroundings
TONGUE = 2  # its place among the parts of the mouth


def ncc() -> FloatArray:
    """Normalized Coordinate Code of the mean face [468, 3]: each axis from 0 to 1 (eq. 9)."""
    mean = face_model().neutral
    low, high = mean.min(0), mean.max(0)
    return np.asarray((mean - low) / (high - low), np.float32)


def skin_triangles() -> np.ndarray:
    """The face's triangles without those that cover mouth and eyes [n, 3]."""
    triangles = face_model().triangles
    holes = [np.isin(triangles, ring).all(1) for ring in (top.LIP_INNER, top.EYE_RIGHT, top.EYE_LEFT)]
    return np.asarray(triangles[~np.any(holes, axis=0)])


@dataclass(frozen=True)
class Shown:
    """Which of a scene's triangles are drawn: all ``before`` a number, and through an opening what lies ``behind``."""

    before: int
    opening: tuple[int, int] | None = None  # the triangles stretched over it
    behind: int = 0  # the first of those drawn only through it

    @property
    def numbers(self) -> tuple[int, int, int, int]:
        """As `kernels.cpu.scene_steps` takes it: nothing stretches over no opening."""
        return self.before, *(self.opening or (0, 0)), self.behind


class Scene:
    """What never changes between frames: triangles, layers, texture and where vertices sample it."""

    def __init__(self, avatar: Avatar, eyes: list[Part], mouth: list[Part], panels: dict[str, np.ndarray]) -> None:
        """``eyes`` and ``mouth`` lie behind the skin; painted ``panels`` [h, w, 3] by name replace the avatar's."""
        self._avatar = avatar
        self._picture = avatar.portrait  # what shows its own expression
        self._painted = panels
        size = avatar.size
        margin = size // MARGIN
        oval = list(top.OVAL)
        # The sheet hangs on copies of the oval, which may sample the portrait elsewhere than the skin does.
        front = np.vstack([avatar.reference[:, :2], avatar.around[:, :2], avatar.reference[oval, :2]])
        self.base = len(front)  # how many vertices everything else of skin and sheet follows from
        self.rim = np.arange(self.base - len(oval), self.base)  # the copies' vertices
        hang = np.arange(len(front))
        hang[oval] = self.rim
        self.dense = DenseMesh(skin_triangles(), hang[avatar.around_triangles], self.rim, self.base)
        front = np.clip(front, -margin, size - 1 + margin).astype(np.float32)
        front = np.vstack([front, self.dense(front)])
        texture, count = [front], len(front)
        offsets: list[tuple[float, float]] = [(margin, margin)]
        backs = [np.where(np.isin(np.arange(len(front)), self.rim), 0.5, 0)]
        pieces = [(self.dense.skin, PORTRAIT), (self.dense.sheet, PORTRAIT)]
        inside: list[tuple[np.ndarray, int]] = []
        for number, part in enumerate((*eyes, *mouth), start=1):
            (pieces if number <= len(eyes) else inside).append((part.triangles + count, number))
            texture.append(part.texture)
            offsets.append((part.offset_x, part.offset_y + size + 2 * margin))
            backs.append(np.full(len(part.points), part.back))
            count += len(part.points)
        # A surface over the opening of the lips, the tongue where it comes out, and what is seen through the opening.
        pieces += [(self.dense.patch(), PORTRAIT), inside[TONGUE], *inside]
        ends = np.cumsum([len(triangles) for triangles, _ in pieces]).tolist()
        outside = 2 + len(eyes)
        self.closed = Shown(ends[outside - 1])
        self.open = Shown(ends[outside], (ends[outside - 1], ends[outside]), ends[outside + 1])
        self.tongue_out = replace(self.open, before=ends[outside + 1])
        self.whole = Shown(ends[outside])  # lips and what is between them as one surface
        self.triangles = np.ascontiguousarray(np.vstack([triangles for triangles, _ in pieces]), np.int32)  # [F, 3]
        self.layers = np.repeat([layer for _, layer in pieces], [len(t) for t, _ in pieces]).astype(np.int32)  # [F]
        self.plain = int(np.argmax(self.layers != self.layers[0]))  # as many, skin and sheet, come before all others
        self.wary = _on_borders(
            self.triangles, ends[0], ends[1]
        )  # [F]: where skin or sheet end, and all that is neither
        # [F]: the sign of a triangle's area where it shows its back; the sheet is wound the other way. Skin and sheet
        # are one surface that covers the picture: wherever one of its triangles faces away, it lies folded between at
        # least two that face us, and needs no drawing. What lies behind them may be seen from any side.
        self.facing = np.zeros(len(self.triangles), np.int8)
        self.facing[: ends[0]], self.facing[ends[0] : ends[1]] = 1, -1
        self.mirror_gain = np.ascontiguousarray(avatar.mirror_gain)
        self.offsets = np.array(offsets, np.float32)  # [L, 2]
        self.back = np.concatenate(backs).astype(np.float32)  # [V]
        mirrors = bool(avatar.mirror_share.max() > 0.05)
        # [V, 3 or 6]: texture x, y, brightness; and where something is mirrored the twin's x, y and its share
        self.maps = np.ones((count, 6 if mirrors else 3), np.float32)
        self.maps[:, :2] = np.vstack(texture)
        if mirrors:
            self.maps[:, 3:5] = self.maps[:, :2]
            twins = avatar.reference[mirror_twins(face_model().neutral), :2]
            # Pulled towards the nose: the well-seen side ends in an ear or hair that has no place on a cheek.
            self.maps[: top.VERTICES, 3:5] = twins + TUCK * (avatar.reference[5, :2] - twins)
            self.maps[:, 5] = 0
        self.atlas = self._with_panels(avatar, _skin(avatar))  # [h, w, 3] uint8
        self._planes: dict[int, tuple[ByteArray, ByteArray]] = {}  # by reach: one for each size of picture

    def thicken(self, vertices: FloatArray, maps: FloatArray) -> None:
        """Place the dense mesh's own rows of ``vertices`` [V, 3] and ``maps`` [V, C] after the given ones, in place."""
        self.dense.thicken(vertices, maps)

    def make_ready(self, step: float, smiles: bool) -> None:
        """Work out what `planes` of pictures need, while none waits for it; ``smiles``: `portrait` is shown, too."""
        _ = self.planes(step), self.texels
        if smiles:
            _ = self.portrait.planes(step), self.portrait.texels, self.mouth

    @cached_property
    def portrait(self) -> Scene:
        """The same scene for the portrait's own expression, ``whole``: with its lips as they are in the picture."""
        return self._with_skin(self._picture)

    def showing(self, picture: ByteArray) -> Scene:
        """The same scene with another ``picture`` [S, S, 3] of the person in the portrait's place, lips and all."""
        scene = self._with_skin(picture)
        scene._picture = picture
        return scene

    def _with_skin(self, skin: ByteArray) -> Scene:
        scene = copy(self)
        for name in ("texels", "clean_texels", "mouth", "portrait"):
            scene.__dict__.pop(name, None)
        scene._planes = {}
        scene.atlas = self._with_panels(self._avatar, skin)
        return scene

    @cached_property
    def mouth(self) -> np.ndarray:
        """The vertices of all triangles that may show something else in `portrait` than in this scene."""
        y, x = np.nonzero((self.atlas != self.portrait.atlas).any(2))
        lips = {*top.LIP_VERTICES, *np.ravel((*top.LIP_ROWS_UPPER, *top.LIP_ROWS_LOWER)).tolist()}
        among = np.isin(np.arange(len(self.maps)), list(lips))
        if len(x):
            low, high = np.array([x.min(), y.min()]) - self.offsets[0], np.array([x.max(), y.max()]) - self.offsets[0]
            among[: self.base] |= (
                (self.maps[: self.base, :2] >= low - 1) & (self.maps[: self.base, :2] <= high + 1)
            ).all(1)
        front = self.triangles[: self.whole.before]
        for _ in range(2):  # and those beside them, whose texture places lips drawn in may move
            among[front[among[front].any(1)]] = True
        return np.flatnonzero(among)

    @cached_property
    def texels(self) -> ByteArray:
        """``atlas`` with a fourth byte a pixel [h, w, 4], as `kernels.cpu.painting` reads it."""
        return _by_fours(self.atlas)

    def planes(self, step: float) -> tuple[ByteArray, ByteArray]:
        """``atlas`` as brightness [h, w] and colour differences [h, w, 2], as `kernels.cpu.painting` reads them.

        ``step`` is how many texture pixels there are for one of the picture.
        """
        reach = int(step / 2)
        if reach not in self._planes:
            bright, tinted = np.empty(self.atlas.shape[:2], np.uint8), np.empty((*self.atlas.shape[:2], 2), np.uint8)
            pixel_kernels.texture_planes(self.atlas, reach, bright, tinted)
            self._planes[reach] = bright, tinted
        return self._planes[reach]

    @cached_property
    def clean_texels(self) -> ByteArray:
        """``texels`` without the background's colours in the person's soft edges."""
        out = self.atlas.copy()
        rows = self._avatar.size + 2 * (self._avatar.size // MARGIN)
        out[:rows] = clean_colours(self.atlas[:rows], self.matte[:rows, :, 0])
        return _by_fours(out)

    @cached_property
    def matte(self) -> ByteArray:
        """The person's matte as a texture laid out like ``texels``, four times the same; eyes and mouth are opaque."""
        margin = self._avatar.size // MARGIN
        padded = np.pad(self._avatar.matte, margin, mode="reflect")
        grey = np.vstack([padded, np.full(self._avatar.panels.shape[:2], 255, np.uint8)])
        return np.ascontiguousarray(np.repeat(grey[..., None], 4, axis=2))

    def _with_panels(self, avatar: Avatar, skin: ByteArray) -> ByteArray:
        margin = avatar.size // MARGIN
        padded = np.pad(skin, ((margin, margin), (margin, margin), (0, 0)), mode="reflect")
        panels = avatar.panels.copy()
        for name, drawn in self._painted.items():
            place(name, avatar.size).cut(panels)[:] = np.clip(drawn + 0.5, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(np.vstack([padded, panels]))


def _on_borders(triangles: np.ndarray, *ends: int) -> np.ndarray:
    """Which of ``triangles`` [F, 3] touch the border of a surface [F]; one surface before each of the ``ends``.

    All that follow the last end do.
    """
    out = np.ones(len(triangles), np.bool_)
    for first, last in pairwise((0, *ends)):
        mine = triangles[first:last]
        sides = np.sort(mine[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1).astype(np.int64)
        _, which, count = np.unique(sides @ [1 << 32, 1], return_inverse=True, return_counts=True)
        border = sides[count[which] == 1]
        out[first:last] = np.isin(mine, border).any(1)
    return out


def _by_fours(picture: ByteArray) -> ByteArray:
    """RGB [h, w, 3] as [h, w, 4], the last byte 255."""
    return np.concatenate([picture, np.full((*picture.shape[:2], 1), 255, np.uint8)], axis=2)


def _skin(avatar: Avatar) -> np.ndarray:
    """The portrait, with its lips cleaned where it smiles with an open mouth."""
    if avatar.smile <= 0:
        return avatar.portrait
    spot = place("lips", avatar.size)
    x, y = window(avatar.reference[list(top.LIP_INNER)], spot)
    x0, y0, x1, y1 = max(x, 0), max(y, 0), min(x + spot.width, avatar.size), min(y + spot.height, avatar.size)
    out = avatar.portrait.copy()
    out[y0:y1, x0:x1] = spot.cut(avatar.panels)[y0 - y : y1 - y, x0 - x : x1 - x]
    return out


def projection_texture(face: FloatArray, portrait: np.ndarray, size: int) -> FloatArray:
    """PT = PT_in M + PT_out (1 - M) (eq. 10): NCC on the face, the portrait around it; [size, size, 3] in [0, 1]."""
    from kernels.cpu import numba_kernels

    depth = np.empty((size, size), np.float32)
    which = np.empty((size, size), np.int32)
    inner = np.empty((size, size, 3), np.float32)
    vertices = np.ascontiguousarray(face, np.float32)
    numba_kernels.rasterize(vertices, np.ascontiguousarray(face_model().triangles), ncc(), depth, which, inner)
    mask = (which >= 0)[..., None]
    return np.where(mask, inner, portrait.astype(np.float32) / 255).astype(np.float32)
