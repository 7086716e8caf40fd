"""The scenes of several portraits as tables on one device, laid out once, so that any rows can be posed and painted.

Sizes are fixed at the start and addresses never change: a captured CUDA graph goes on reading them when a further
portrait comes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.cuda.posing.layout import VERTICES, places
from engine.cuda.posing.portrait_table import described, table
from engine.errors import VivifyError
from engine.face.blendshapes import NAMES
from engine.render.prepared import Prepared
from engine.render.projection import Scene, Shown
from kernels import Scenes

TRIANGLES = 16384  # of one scene at most
ATLAS = (896, 640)  # rows and columns at most: a portrait of 512 with its margin and panels has 832 x 576
LAYERS = 16
NEVER = 2**30  # no triangle has so high a number


class Stage:
    """Up to ``portraits`` scenes, each twice: driven, and with the portrait's own mouth."""

    def __init__(self, device: torch.device, portraits: int = 16) -> None:
        def zeros(*shape: int, kind: torch.dtype = torch.float32) -> Tensor:
            return torch.zeros(2 * portraits, *shape, dtype=kind, device=device)

        self.most = portraits
        self._free = list(range(portraits))
        self.tables = Scenes(
            triangles=zeros(TRIANGLES, 3, kind=torch.int32),
            layers=zeros(TRIANGLES, kind=torch.int32),
            facing=zeros(TRIANGLES, kind=torch.int8),
            offsets=zeros(LAYERS, 2),
            atlas=zeros(*ATLAS, 3, kind=torch.uint8),
            extent=zeros(2, kind=torch.int32),
            gain=zeros(3),
        )
        self.known = table(portraits, device)  # what posing must know of each
        self.shown = torch.zeros(portraits, 4, 4, dtype=torch.int32, device=device)  # closed, open, tongue out, whole
        self.own_lips = np.zeros((portraits, len(NAMES)), np.float32)  # these two stay on the host: rows depend on them
        self.mirrored = np.zeros(portraits, bool)

    def add(self, known: Prepared) -> int:
        """Lay a portrait out. Returns its number; raises VivifyError when it, or one more, does not fit."""
        scene = known.scene
        if not self._free:
            raise VivifyError(f"The GPU holds {self.most} portraits and all places are taken: use one of them.")
        sizes = (len(scene.triangles), len(scene.maps), *scene.atlas.shape[:2])
        limits = (TRIANGLES, VERTICES, *ATLAS)
        if any(size > limit for size, limit in zip(sizes, limits, strict=True)):
            raise VivifyError(
                f"A portrait on the GPU may have {limits} triangles, vertices, atlas rows and columns, but this one "
                f"has {sizes}: enrol it at 512 pixels."
            )
        number = self._free.pop(0)
        for row, atlas in ((2 * number, scene.atlas), (2 * number + 1, scene.portrait.atlas)):
            self._lay_out(row, scene, atlas)
        self.known[number] = torch.from_numpy(described(known))
        shown = (scene.closed, scene.open, scene.tongue_out, scene.whole)
        self.shown[number] = torch.tensor([numbers(each) for each in shown], dtype=torch.int32)
        self.own_lips[number], self.mirrored[number] = known.face.own_lips, scene.maps.shape[1] == 6
        return number

    def remove(self, number: int) -> None:
        """Give a portrait's place to whoever comes next; none of its pictures may be asked for any more."""
        self._free.append(number)

    @property
    def full(self) -> bool:
        return not self._free

    def _lay_out(self, row: int, scene: Scene, atlas: np.ndarray) -> None:
        triangles, extent = places(scene)[scene.triangles], np.array(atlas.shape[:2], np.int32)
        values = (triangles, scene.layers, scene.facing, scene.offsets, None, extent, scene.mirror_gain)
        for its, value in zip(self.tables, values, strict=True):
            if value is not None:
                its[row] = 0
                its[row, : len(value)] = torch.from_numpy(np.array(value))
        self.tables.atlas[row, : extent[0], : extent[1]] = torch.from_numpy(atlas)


def numbers(shown: Shown) -> tuple[int, int, int, int]:
    """``shown`` as `kernels.paint_scenes` takes it."""
    return (shown.before, *(shown.opening or (0, 0)), shown.behind if shown.opening else NEVER)
