"""Pictures of many portraits at once, made on one device: motions go up, finished RGB stays there.

Scenes are posed, painted and finished on the device in one step. With ``device="cpu"`` the same code runs on torch and
numba.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from engine.contracts import Motion
from engine.cuda.batched_learned import Finisher
from engine.cuda.cuda_graphs import SIZES, Captured, filled_up
from engine.cuda.posing.batched_posing import PLAIN, Posing
from engine.cuda.rows import Loader, Rows, motions
from engine.cuda.stage import Stage
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.render.canvas import EDGE_SHARE
from engine.render.compositor import JUMP, SPREAD, WARMTH
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.renderer import Renderer
from kernels import Look, Painted, paint_scenes

PORTRAIT = 512  # pixels of the portraits' sides: edges are found in their texture's pixels
CHANNELS = (3, 6)  # of the maps: without a mirrored cheek among the pictures, and with one


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
        self._loader, self._posing = Loader(self.device), Posing(size, PORTRAIT, self.device)
        self._finisher = Finisher(learned, self.stage, size, self.device, tensorrt) if learned else None
        self._bare, self._finished = Captured(self._by_geometry, graphs), Captured(self._with_networks, graphs)

    @property
    def graphs(self) -> tuple[int, int]:
        """How many batches are held as graphs, and how many captures were refused."""
        (bare, refused), (finished, more) = self._bare.shapes, self._finished.shapes
        return bare + finished, refused + more

    def add(self, avatar: Avatar) -> int:
        """The number by which `render` knows the portrait. VivifyError when it does not fit or no place is free."""
        if avatar.size != PORTRAIT:
            raise VivifyError(
                f"A portrait on the GPU is expected to be {PORTRAIT} pixels wide, but this one has {avatar.size}: "
                "enrol it anew at that size."
            )
        renderer = Renderer(avatar, self.size)
        number = self.stage.add(renderer.prepared)
        if self._finisher:
            self._finisher.add(number, renderer)
        return number

    def remove(self, number: int) -> None:
        """Forget a portrait, so that another can take its place."""
        self.stage.remove(number)

    def render(self, jobs: Sequence[tuple[int, Motion]], share: float = 1.0) -> Tensor:
        """RGB uint8 [B, size, size, 3] on the device, for B portraits' numbers and motions.

        ``share`` says how much of the networks is in the pictures; without any, they rest. On a GPU nothing is waited
        for, and the pictures hold until the next call.
        """
        channels = CHANNELS[any(self.stage.mirrored[number] for number, _ in jobs)]
        return self._make(self.load(jobs), channels, share)[: len(jobs)]

    def _make(self, given: Tensor, channels: int, share: float) -> Tensor:
        if self._finisher is None or share == 0:
            return self._bare(given, channels=channels)[0]
        shares = torch.full((len(given),), share, device=self.device)
        return self._finished(given, shares, channels=channels)[0]

    def warm_up(self, pictures: int) -> None:
        """Compile and capture every batch size that ``pictures`` at a time may need, each of them up to two scenes.

        The largest comes first: the others fit in its memory.
        """
        for size in reversed(SIZES[: SIZES.index(filled_up(2 * pictures)) + 1]):
            for channels in reversed(CHANNELS):
                for share in (0.0, 1.0) if self._finisher else (0.0,):
                    self._make(self.load([], size), channels, share)

    def load(self, jobs: Sequence[tuple[int, Motion]], least: int = 1) -> Tensor:
        """The host's part: motions written into the rows [R, n] of a batch and sent to the device."""
        return self._loader.load(jobs, self.stage.own_lips, least)

    def pose(self, given: Tensor, channels: int = CHANNELS[0]) -> Rows:
        """The scenes of the rows that `load` gave, in place."""
        moving = motions(given)
        posed = self._posing(self.stage.known, self.stage.shown, moving, channels)
        scene = 2 * moving.portrait + (moving.kind == PLAIN)
        return Rows(*posed, scene, moving.second, moving.own)

    def paint(self, rows: Rows) -> Painted:
        """Geometry's pictures of ``rows``, whole and half ones alike."""
        step = max(PORTRAIT / self.size, 1.0)
        look = Look(JUMP * step, SPREAD * step, float(WARMTH), int(EDGE_SHARE * self.size * self.size))
        return paint_scenes(rows.places, rows.maps, rows.scene, rows.shown, self.stage.tables, self.size, look)

    def _by_geometry(self, given: Tensor, channels: int) -> tuple[Tensor, ...]:
        """From motions to RGB: what a CUDA graph holds."""
        rows = self.pose(given, channels)
        return (blend(self.paint(rows).rgb, rows),)

    def _with_networks(self, given: Tensor, share: Tensor, channels: int) -> tuple[Tensor, ...]:
        """The same with the networks, by their ``share`` [R]."""
        assert self._finisher
        rows = self.pose(given, channels)
        painted = self.paint(rows)
        return (self._finisher(blend(painted.rgb, rows), painted, rows, share),)


def blend(rgb: Tensor, rows: Rows) -> Tensor:
    """Each row's picture with its second one over it, by its share [R, S, S, 3]."""
    share = rows.share.view(-1, 1, 1, 1)
    driven = rgb.float()
    return (driven + share * (rgb[rows.second].float() - driven) + 0.5).to(torch.uint8)
