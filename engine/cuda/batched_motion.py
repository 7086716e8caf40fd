"""The motion networks on a GPU: one captured step for all sessions, memory and all."""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import NamedTuple

import torch
from torch import Tensor

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.cuda.cuda_graphs import Anchor, Captured
from engine.motion.facial.facial_motion import FacialMotion
from engine.motion.head.head_pose import HeadPose
from engine.motion.motion_networks import Mask, Moved, Whole


class Heard(NamedTuple):
    """One frame of every row's sound, in pinned memory where there is a GPU."""

    samples: Tensor  # [B, 640] float32
    speaking: Tensor  # [B, 1] bool
    look_ahead: Tensor  # [B] int64, frames
    mask: Tensor  # [B] bool: which rows run
    shown: Tensor  # [B] bool: whose head moves on


def silence(rows: int, pinned: bool) -> Heard:
    """A frame in which no row runs."""
    return Heard(
        torch.zeros(rows, SAMPLES_PER_FRAME, pin_memory=pinned),
        torch.zeros(rows, 1, dtype=torch.bool, pin_memory=pinned),
        torch.zeros(rows, dtype=torch.int64, pin_memory=pinned),
        torch.zeros(rows, dtype=torch.bool, pin_memory=pinned),
        torch.zeros(rows, dtype=torch.bool, pin_memory=pinned),
    )


class DeviceMotion:
    """Both motion networks, streaming ``rows`` sessions on one device until `close`. Takes the modules over."""

    def __init__(
        self, facial: FacialMotion, head: HeadPose, rows: int, device: torch.device | str, graphs: bool = True
    ) -> None:
        self.device, self.rows = torch.device(device), rows
        self._facial, self._head = facial.to(self.device).eval(), head.to(self.device).eval()
        self._head.thinks = True
        self._open = ExitStack()
        for module in (self._facial, self._head):
            self._open.enter_context(module.streaming(rows))
        self._anchors = [Anchor(self._facial), Anchor(self._head)]
        self._captured = Captured(self._work, graphs, self._anchors)

    @property
    def graphs(self) -> tuple[int, int]:
        """How many steps are held as graphs, and how many captures were refused."""
        return self._captured.shapes

    def close(self) -> None:
        """Let the networks forget everything."""
        self._open.close()

    @torch.inference_mode()
    def begin(self, mask: Tensor, seed: Tensor) -> None:
        """Start the rows of ``mask`` [B] anew with ``seed`` [B] int64."""
        mask, seed = mask.to(self.device), seed.to(self.device)
        self._facial.begin(mask, seed)
        self._head.begin(mask, seed)
        self._settle()

    @torch.inference_mode()
    def forget(self, mask: Tensor) -> None:
        """Drop what the rows of ``mask`` [B] heard, as after a barge-in; heads go on."""
        self._facial.forget(mask.to(self.device))
        self._settle()

    @torch.inference_mode()
    def step(self, heard: Heard) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """One frame: blendshapes [B, 52], lip offsets [B, n, 3], head poses [B, 6], what is said [B, 49]."""
        shapes, offsets, poses, said = self._captured(*(t.to(self.device, non_blocking=True) for t in heard))
        return shapes, offsets, poses, said

    def _work(self, *given: Tensor) -> tuple[Tensor, ...]:
        heard = Heard(*given)
        features = self._facial.encode(heard.samples, exec_mask=heard.mask)
        shapes, said = self._facial.utter(features, heard.look_ahead, exec_mask=heard.mask)
        offsets = self._facial.offset_lips(features, heard.look_ahead, exec_mask=heard.mask)
        poses = self._head(heard.samples, heard.speaking, exec_mask=heard.shown)
        self._settle()
        return shapes[:, 0], offsets[:, 0], poses[:, 0], said[:, 0]

    def _settle(self) -> None:
        for anchor in self._anchors:
            anchor.settle()


class MotionFromHost:
    """`DeviceMotion` as the pipeline knows networks (`engine.motion.motion_networks.MotionNetworks`)."""

    def __init__(self, motion: DeviceMotion) -> None:
        self._motion = motion
        self._heard = silence(motion.rows, motion.device.type == "cuda")

    def warm_up(self) -> None:
        """Capture the step, so that no live frame pays for it."""
        self._motion.step(self._heard)

    def begin(self, mask: Mask, seeds: Whole) -> None:
        """See `MotionNetworks`."""
        self._motion.begin(torch.from_numpy(mask), torch.from_numpy(seeds))

    def forget(self, mask: Mask) -> None:
        """See `MotionNetworks`."""
        self._motion.forget(torch.from_numpy(mask))

    def step(self, samples: FloatArray, speaking: Mask, look_ahead: Whole, mask: Mask, shown: Mask) -> Moved:
        """See `MotionNetworks`; features and motion are one captured step, so its time counts as motion."""
        began = time.perf_counter()
        for own, new in zip(self._heard, (samples, speaking[:, None], look_ahead, mask, shown), strict=True):
            own.copy_(torch.from_numpy(new))
        shapes, lips, heads, said = (t.cpu().numpy() for t in self._motion.step(self._heard))
        return Moved(shapes, lips, heads, 0.0, 1000 * (time.perf_counter() - began), said)
