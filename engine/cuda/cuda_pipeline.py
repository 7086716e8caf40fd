"""The pipeline with its networks and its pictures on a GPU: every session of a step in one batch.

What stays on the host is small: idle life and wishes. Pictures come out as planar I420; those with a matte are painted
as RGBA on the host, as without a GPU.
"""

from __future__ import annotations

import time
from pathlib import Path

import torch

from engine.config import TENSORRT, EngineConfig
from engine.contracts import ByteArray, Motion
from engine.cuda.batched_motion import DeviceMotion, MotionFromHost
from engine.cuda.batched_renderer import DeviceRenderer
from engine.cuda.outlet import Outlet
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import pattern
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head.head_pose import HeadPose
from engine.motion.motion_networks import Moved
from engine.paths import assets
from engine.pipeline import Drawn, Pipeline, Request
from engine.render.learned.learned_renderer import FADE
from engine.render.learned.picture_generator import LearnedHalf
from engine.render.learned.picture_weights import load_learned
from engine.render.renderer import Renderer, still


class DevicePipeline(Pipeline):
    """`Pipeline` on ``device``. Pictures are uint8 [H * 3 // 2, W] and hold until the step after the next.

    Raises VivifyError where the device is not there. ``learned`` networks given are used whatever the quality.
    """

    def __init__(
        self,
        config: EngineConfig,
        device: torch.device | str = "cuda",
        weights: Path | None = None,
        graphs: bool = True,
        portraits: int = 16,
        learned: LearnedHalf | None = None,
    ) -> None:
        self._device = torch.device(device)
        if self._device.type == "cuda" and not torch.cuda.is_available():
            raise VivifyError("A CUDA device was asked for, but torch sees none: check the driver, or use the CPU.")
        self._graphs = graphs
        super().__init__(config, weights)
        self.at_once = config.max_sessions
        self._given = learned is not None
        if learned is None and self._painters.learned:
            learned = load_learned(assets() / "weights" / "picture.safetensors")
        self._share = float(learned is not None)  # of the networks in the pictures
        tensorrt = config.compiler == TENSORRT
        self._renderer = DeviceRenderer(config.size, self._device, learned, portraits, graphs, tensorrt)
        self._outlet = Outlet(config.size, config.max_sessions, self._device)
        self._numbers: dict[int, tuple[Avatar, int]] = {}  # by identity: an avatar is laid out once
        self._row_numbers = [0] * config.max_sessions
        self._patterns = torch.zeros(
            (config.max_sessions, config.size, config.size), dtype=torch.int8, device=self._device
        )
        self._marked: set[int] = set()  # rows whose pictures are marked

    def _open(self, weights: Path | None) -> MotionFromHost:
        facial = FacialMotion.load(weights or assets() / "weights" / "facial.safetensors")
        head = HeadPose.load(assets() / "weights" / "pose.safetensors")
        self._motion = MotionFromHost(DeviceMotion(facial, head, self.config.max_sessions, self._device, self._graphs))
        return self._motion

    def warm_up(self, avatar: Avatar) -> None:
        """Compile and capture every batch size that may come, so that no live frame pays for it."""
        number = self._number(avatar)
        with torch.inference_mode():
            self._motion.warm_up()
            self._renderer.warm_up(self.config.max_sessions)
            self._outlet.send(self._renderer.render([(number, still())])).wait()

    def join(self, avatar: Avatar | None, look_ahead_ms: int, seed: int, renderer: Renderer | None = None) -> int:
        """As `Pipeline.join`; also VivifyError when the GPU has no room for a further portrait."""
        number = -1 if avatar is None else self._number(avatar)
        row = super().join(avatar, look_ahead_ms, seed, renderer)
        self._row_numbers[row] = number
        return row

    def mark(self, row: int, ids: MarkIds | None) -> bool:
        self._marked -= {row}
        if ids is not None:
            self._patterns[row] = torch.from_numpy(pattern(ids, self.config.size).copy())
            self._marked |= {row}
        else:
            self._patterns[row] = 0
        return True

    def _number(self, avatar: Avatar) -> int:
        """The portrait's place on the device; where none is free, that of one that no session uses."""
        if id(avatar) not in self._numbers:
            used = {number for row, number in zip(self._rows, self._row_numbers, strict=True) if row is not None}
            idle = [key for key, (_, number) in self._numbers.items() if number not in used]
            if self._renderer.stage.full and idle:
                self._renderer.remove(self._numbers.pop(idle[0])[1])
            self._numbers[id(avatar)] = avatar, self._renderer.add(avatar)
        return self._numbers[id(avatar)][1]

    def _draw_all(self, requests: list[Request], moved: Moved) -> list[Drawn]:
        began = time.perf_counter()
        motions = [self._compose(request, moved) for request in requests]
        composed = time.perf_counter()
        pictures = self._paint_all(requests, motions)
        painted = 1000 * (time.perf_counter() - composed)
        spent = moved.features_ms, moved.motion_ms + 1000 * (composed - began)
        return [
            Drawn(request.row, motion, pictures.get(request.row), *spent, painted if motion else 0.0)
            for request, motion in zip(requests, motions, strict=True)
        ]

    def _paint_all(self, requests: list[Request], motions: list[Motion | None]) -> dict[int, ByteArray]:
        """The pictures by row: one batch on the device, and those with a matte on the host."""
        if not self._given:  # quality "auto": the networks go before any picture is dropped
            self._share = min(max(self._share + (FADE if self._painters.learned else -FADE), 0.0), 1.0)
        wanted = [(r, m) for r, m in zip(requests, motions, strict=True) if m is not None and r.draw]
        batch = [(r.row, m) for r, m in wanted if not r.matte]
        out: dict[int, ByteArray] = {}
        parcel = None
        if batch:
            jobs = [(self._row_numbers[row], motion) for row, motion in batch]
            with torch.inference_mode():
                patterns = torch.stack([self._patterns[row] for row, _ in batch]) if self._marked else None
                parcel = self._outlet.send(self._renderer.render(jobs, self._share), patterns)
        for request, motion in wanted:
            if request.matte:  # drawn while the others travel
                renderer = self._taken(request.row).renderer
                assert renderer is not None  # who only moves does not ask to be drawn
                out[request.row] = self._painters.paint(renderer, motion, True)
        if parcel:
            out |= dict(zip((row for row, _ in batch), parcel.wait(), strict=True))
        return out
