"""What a turned head uncovers, as a film of the person showed it: hair, ears, neck, and cheeks that a portrait hides.

Each view is kept as a difference from the portrait's texture, at one turn of the head. Between two views, and between
a view and the portrait, textures are mixed; the mesh is the same. Facing ahead nothing is mixed in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import View
from engine.face.panels import MARGIN
from engine.face.surround import smoothstep
from kernels.cpu.looks.mixing import BYTES, mix
from kernels.cpu.pixel_kernels import texture_planes

if TYPE_CHECKING:
    from engine.render.projection import Scene

BEGINS = 0.035  # sine of the turn from which anything is mixed in
NODS, NODS_FAR = 0.12, 0.35  # sines of a nod beside a view's from which it is believed less, and not at all
WHOLE = 128  # steps of a share
Planes = tuple[ByteArray, ByteArray]


def turned_by(motion: Motion) -> tuple[float, float]:
    """Sines of a head's turn and nod away from the portrait's."""
    return float(motion.rotation[0, 2]), float(motion.rotation[1, 2])


def shares_of(views: tuple[View, ...], turn: float, nod: float) -> list[tuple[int, float]]:
    """Which of ``views`` are seen at these sines, and how much of each: two at most, of no more than 1 together."""
    side = 1.0 if turn > 0 else -1.0
    far = side * turn
    known = sorted((side * float(view.turn[0]), k) for k, view in enumerate(views) if side * float(view.turn[0]) > 0)
    if not known or far <= BEGINS:
        return []
    before, last = (BEGINS, -1), known[-1]
    found = [(last[1], 1.0)]
    for after in known:
        if far < after[0]:
            share = (far - before[0]) / max(after[0] - before[0], 1e-3)
            found = [(before[1], 1 - share), (after[1], share)]
            break
        before = after
    return [(k, share * _nod_share(views[k], nod)) for k, share in found if k >= 0]


def _nod_share(view: View, nod: float) -> float:
    return 1 - float(smoothstep((abs(nod - float(view.turn[1])) - NODS) / (NODS_FAR - NODS)))


@dataclass
class Mixed:
    """One scene's textures with views in them, and the shares that they were mixed by."""

    texels: ByteArray
    planes: Planes | None = None
    shares: list[tuple[int, int]] = field(default_factory=list)


class Uncovering:
    """The views of one avatar in one renderer's pictures."""

    def __init__(self, avatar: Avatar, step: float) -> None:
        """``step`` is how many texture pixels there are for one of the picture. Raises VivifyError for other sizes."""
        views = avatar.film.views if avatar.film else ()
        self._rows = avatar.size + 2 * (avatar.size // MARGIN)
        if any(view.beside.shape[:2] != (self._rows, self._rows) for view in views):
            raise VivifyError(
                f"What the film kept of turned heads was expected to be {self._rows} pixels wide: enrol the film again."
            )
        self._views, self._step = views, step
        self._beside = [view.beside for view in views]
        self._planes: list[tuple[np.ndarray, np.ndarray]] = []  # the same of brightness and colour differences
        self._spans = _spans(views, self._rows, int(step / 2))
        self._mixed: dict[int, Mixed] = {}  # by scene: the renderer's, and that of the portrait's own expression

    def let_go(self, maps: FloatArray, motion: Motion) -> None:
        """What is hidden is mirrored from the other side, by ``maps`` [V, 6], no more than no view shows it."""
        shares = shares_of(self._views, *turned_by(motion)) if self._views and maps.shape[1] == 6 else []
        if shares:
            shown = sum(np.float32(share) * self._views[k].covered for k, share in shares)
            maps[: top.VERTICES, 5] *= np.maximum(1 - shown, 0)

    def textures(
        self, motion: Motion, scene: Scene, out: ByteArray, clean: bool
    ) -> tuple[ByteArray, Planes | None] | None:
        """A scene's texels of a head turned so, and its planes where ``out`` is planar; None where they are its own.

        With a ``clean`` matte they are: what lies behind turned heads has no place in it.
        """
        if clean or not self._views:
            return None
        planar = out.ndim == 2
        shares = [(k, round(WHOLE * share)) for k, share in shares_of(self._views, *turned_by(motion))]
        shares = [(k, share) for k, share in shares if share]
        if not shares:
            return None
        kept = self._mixed.get(id(scene)) or Mixed(scene.texels.copy())
        self._mixed[id(scene)] = kept
        fresh = kept.shares != shares
        if fresh:
            self._mix(scene.texels, self._beside, shares, kept.texels)
        if planar and (fresh or kept.planes is None):
            own, known = scene.planes(self._step), self._planes_of(scene)
            kept.planes = kept.planes or (own[0].copy(), own[1].copy())
            for j in (0, 1):
                self._mix(own[j], [view[j] for view in known], shares, kept.planes[j])
        elif fresh:
            kept.planes = None
        kept.shares = shares
        return kept.texels, kept.planes if planar else None

    def _mix(self, own: ByteArray, beside: list[np.ndarray], shares: list[tuple[int, int]], out: ByteArray) -> None:
        (first, much), (second, more) = shares[0], shares[1] if len(shares) > 1 else (shares[0][0], 0)
        views = beside[first].reshape(-1), np.int16(much), beside[second].reshape(-1), np.int16(more)
        mix(own.reshape(-1), *views, self._spans, own.size // (own.shape[0] * own.shape[1]), out.reshape(-1))

    def _planes_of(self, scene: Scene) -> list[tuple[np.ndarray, np.ndarray]]:
        """The views' differences in brightness [h, h] and colour [h, h, 2]."""
        if not self._planes:
            rows = slice(0, self._rows)
            own = [plane[rows].astype(np.int16) for plane in scene.planes(self._step)]
            bright, tinted = np.empty(own[0].shape, np.uint8), np.empty(own[1].shape, np.uint8)
            for beside in self._beside:
                shown = np.clip(scene.atlas[rows] + 2 * beside[..., :3].astype(np.int16), 0, 255).astype(np.uint8)
                texture_planes(shown, int(self._step / 2), bright, tinted)
                apart = [
                    np.rint((new - old) / 2).astype(np.int8) for new, old in zip((bright, tinted), own, strict=True)
                ]
                self._planes.append((apart[0], apart[1]))
        return self._planes


def _spans(views: tuple[View, ...], side: int, reach: int) -> np.ndarray:
    """Runs of the texture's pixels [n, 2] in which any of ``views`` differs from it, by whole sixteens or more.

    Colour differences, which are means of the pixels around, ``reach`` so many beyond them.
    """
    differs = np.zeros((side + 2 * reach, side + 2 * reach), bool)
    for view in views:
        some = view.beside.any(2)
        for down in range(2 * reach + 1):
            for right in range(2 * reach + 1):
                differs[down : down + side, right : right + side] |= some
    flat = differs[reach : reach + side, reach : reach + side].ravel()
    some = np.pad(np.pad(flat, (0, -flat.size % BYTES)).reshape(-1, BYTES).any(1), 1)
    edges = np.flatnonzero(np.diff(some.astype(np.int8))).reshape(-1, 2) * BYTES
    return np.minimum(edges, side * side).astype(np.int64)
