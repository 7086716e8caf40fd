"""The scenes of several portraits as tables on one device, laid out once, so that any rows can be painted together.

Sizes are fixed at the start and addresses never change: a captured CUDA graph goes on reading them when a further
portrait comes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.errors import VivifyError
from engine.render.projection import Scene
from kernels import Scenes

TRIANGLES, VERTICES, EXTRA = 16384, 8192, 2048  # of one scene at most; extra: the vertices that make a face dense
ATLAS = (896, 640)  # rows and columns at most: a portrait of 512 with its margin and panels has 832 x 576
LAYERS = 16


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
        self._extra = torch.full((2 * portraits, EXTRA), VERTICES - 1, device=device)  # where the dense rows go
        self._which = zeros(EXTRA, 8, kind=torch.int64)
        self._weights = zeros(EXTRA, 8)

    def add(self, scene: Scene) -> int:
        """Lay a portrait's scene out. Returns its number; raises VivifyError when it, or one more, does not fit."""
        if not self._free:
            raise VivifyError(f"The GPU holds {self.most} portraits and all places are taken: use one of them.")
        sizes = (len(scene.triangles), len(scene.maps) + 1, scene.dense.count, *scene.atlas.shape[:2])
        limits = (TRIANGLES, VERTICES, EXTRA, *ATLAS)
        if any(size > limit for size, limit in zip(sizes, limits, strict=True)):
            raise VivifyError(
                f"A portrait on the GPU may have {limits} triangles, vertices, extra vertices, atlas rows and columns, "
                f"but this one has {sizes}: enrol it at 512 pixels."
            )
        number = self._free.pop(0)
        for row, atlas in ((2 * number, scene.atlas), (2 * number + 1, scene.as_portrait().atlas)):
            self._lay_out(row, scene, atlas)
        return number

    def remove(self, number: int) -> None:
        """Give a portrait's place to whoever comes next; none of its pictures may be asked for any more."""
        self._free.append(number)

    @property
    def full(self) -> bool:
        return not self._free

    def _lay_out(self, row: int, scene: Scene, atlas: np.ndarray) -> None:
        skin, sheet = len(scene.dense.skin), len(scene.dense.sheet)
        facing = np.concatenate([np.ones(skin), -np.ones(sheet)]).astype(np.int8)  # the sheet is wound the other way
        which, weights = scene.dense.combinations
        rows = scene.base + np.arange(scene.dense.count)
        extent = np.array(atlas.shape[:2], np.int32)
        values = (scene.triangles, scene.layers, facing, scene.offsets, None, extent, scene.mirror_gain)
        pairs = [*zip(self.tables, values, strict=True), (self._extra, rows)]
        for table, value in pairs:
            if value is not None:
                table[row] = VERTICES - 1 if table is self._extra else 0
                table[row, : len(value)] = torch.from_numpy(np.array(value))
        self.tables.atlas[row, : extent[0], : extent[1]] = torch.from_numpy(atlas)
        self._which[row] = self._weights[row] = 0
        self._which[row, : len(which), : which.shape[1]] = torch.from_numpy(which)
        self._weights[row, : len(which), : which.shape[1]] = torch.from_numpy(weights)

    def thicken(self, values: Tensor, scene: Tensor) -> None:
        """Fill in the dense meshes' own rows of ``values`` [R, VERTICES, D], rows of ``scene`` [R], in place."""
        rows, depth = len(values), values.shape[2]
        which = self._which[scene].view(rows, -1, 1).expand(-1, -1, depth)
        given = values.gather(1, which).view(rows, EXTRA, 8, depth)
        made = (given * self._weights[scene][..., None]).sum(2)  # [R, EXTRA, D]
        values.scatter_(1, self._extra[scene][..., None].expand(-1, -1, depth), made)
