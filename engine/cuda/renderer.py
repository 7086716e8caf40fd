"""Pictures of many portraits at once, made on one device: scenes go up, finished RGB stays there.

The host poses each scene (`engine.render.renderer.Renderer.pose`: a few thousand numbers); everything that has to do
with pixels happens on the device. With ``device="cpu"`` the same code runs on numba.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.cuda.graphs import SIZES, Captured, filled_up
from engine.cuda.learned import Finisher
from engine.cuda.rows import CHANNELS, Job, Loader, Rows
from engine.cuda.stage import Stage
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.render.compositor import EDGE_SHARE, JUMP, SPREAD, WARMTH
from engine.render.generator import LearnedHalf
from engine.render.renderer import Renderer
from engine.types import Motion
from kernels import Look, Painted, paint_scenes

PORTRAIT = 512  # pixels of the portraits' sides: edges are found in their texture's pixels


class DeviceRenderer:
    """Renders any of its portraits, any number of them in one call.

    ``learned`` networks, where given, finish the pictures, compiled by TensorRT if so wished (VivifyError where that is
    missing). Not for two threads at once.
    """

    def __init__(
        self,
        size: int = 512,
        device: torch.device | str = "cuda",
        learned: LearnedHalf | None = None,
        portraits: int = 16,
        graphs: bool = True,
        tensorrt: bool = False,
    ) -> None:
        self.size, self.device = size, torch.device(device)
        self.stage = Stage(self.device, portraits)
        self._posers: dict[int, Renderer] = {}
        self._loader = Loader(self.device)
        self._finisher = Finisher(learned, self.stage, size, self.device, tensorrt) if learned else None
        self._bare, self._finished = Captured(self._by_geometry, graphs), Captured(self._with_networks, graphs)

    def add(self, avatar: Avatar) -> int:
        """The number by which `render` knows the portrait. VivifyError when it does not fit or no place is free."""
        if avatar.size != PORTRAIT:
            raise VivifyError(
                f"A portrait on the GPU is expected to be {PORTRAIT} pixels wide, but this one has {avatar.size}: "
                "enrol it anew at that size."
            )
        renderer = Renderer(avatar, self.size)
        number = self.stage.add(renderer.scene)
        self._posers[number] = renderer
        if self._finisher:
            self._finisher.add(number, renderer)
        return number

    def remove(self, number: int) -> None:
        """Forget a portrait, so that another can take its place."""
        del self._posers[number]
        self.stage.remove(number)

    def render(self, jobs: Sequence[tuple[int, Motion]], share: float = 1.0) -> Tensor:
        """RGB uint8 [B, size, size, 3] on the device, for B portraits' numbers and motions.

        ``share`` says how much of the networks is in the pictures; without any, they rest. On a GPU nothing is waited
        for, and the pictures hold until the next call.
        """
        return self._make(self.load(jobs), share)[: len(jobs)]

    def _make(self, rows: Rows, share: float) -> Tensor:
        if self._finisher is None or share == 0:
            return self._bare(*rows)[0]
        return self._finished(*rows, torch.full((len(rows.scene),), share, device=self.device))[0]

    def warm_up(self, pictures: int) -> None:
        """Compile and capture every batch size that ``pictures`` at a time may need, each of them up to two scenes.

        The largest comes first: the others fit in its memory.
        """
        for size in reversed(SIZES[: SIZES.index(filled_up(2 * pictures)) + 1]):
            for channels in reversed(CHANNELS):
                for share in (0.0, 1.0) if self._finisher else (0.0,):
                    self._make(self._loader.load([], size, channels), share)

    def load(self, jobs: Sequence[tuple[int, Motion]]) -> Rows:
        """The host's part: pose every scene and send it to the device."""
        return self._loader.load([self._job(number, motion) for number, motion in jobs])

    def _job(self, number: int, motion: Motion) -> Job:
        renderer = self._posers[number]
        return Job(number, renderer.pose(motion), renderer.scene.whole)

    def paint(self, rows: Rows) -> Painted:
        """Geometry's pictures of ``rows``, whole and half ones alike."""
        step = max(PORTRAIT / self.size, 1.0)
        look = Look(JUMP * step, SPREAD * step, float(WARMTH), int(EDGE_SHARE * self.size * self.size))
        self.stage.thicken(rows.values, rows.scene)
        places, maps = rows.values[..., :3].contiguous(), rows.values[..., 3:].contiguous()
        return paint_scenes(places, maps, rows.scene, rows.shown, self.stage.tables, self.size, look)

    def _by_geometry(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The device's part, from scenes to RGB: what a CUDA graph holds."""
        rows = Rows(*given)
        return (blend(self.paint(rows).rgb, rows),)

    def _with_networks(self, *given: Tensor) -> tuple[Tensor, ...]:
        """The same with the networks, by the share [R] that comes last."""
        assert self._finisher
        rows = Rows(*given[:-1])
        painted = self.paint(rows)
        return (self._finisher(blend(painted.rgb, rows), painted, rows, given[-1]),)


def blend(rgb: Tensor, rows: Rows) -> Tensor:
    """Each row's picture with its second one over it, by its share [R, S, S, 3]."""
    share = rows.share.view(-1, 1, 1, 1)
    driven = rgb.float()
    return (driven + share * (rgb[rows.second].float() - driven) + 0.5).to(torch.uint8)
