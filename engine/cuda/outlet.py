"""Finished pictures leave the device: I420 there, then pinned memory, by a stream of their own."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.contracts import ByteArray
from kernels import rgb_to_i420
from kernels.gpu import i420_cupy
from kernels.plain import marking_torch
from kernels.plain.marking_reference import USUAL


@dataclass
class Parcel:
    """Pictures on their way. They hold until the parcel after the next is sent."""

    _planes: Tensor  # [B, S * 3 // 2, S] on the host
    _arrived: torch.cuda.Event | None

    def wait(self) -> ByteArray:
        """The pictures as planar I420 uint8 [B, S * 3 // 2, S], once they have arrived."""
        if self._arrived is not None:
            self._arrived.synchronize()
        planes: ByteArray = self._planes.numpy()
        return planes


class Outlet:
    """Converts and sends up to ``most`` pictures at a time; while they travel, the device goes on to the next frame."""

    def __init__(self, size: int, most: int, device: torch.device) -> None:
        cuda = device.type == "cuda"
        shape = (most, size * 3 // 2, size)
        self._host = [torch.empty(shape, dtype=torch.uint8, pin_memory=cuda) for _ in range(2)]
        self._planes = [torch.empty(shape, dtype=torch.uint8, device=device) for _ in range(2)]
        self._stream = torch.cuda.Stream(device) if cuda else None
        self._left: list[torch.cuda.Event | None] = [None, None]
        self._turn = 0
        self._cupy = cuda and i420_cupy.available()

    def send(self, rgb: Tensor, patterns: Tensor | None = None) -> Parcel:
        """Send RGB uint8 [B, S, S, 3] off, with int8 ``patterns`` [B, S, S] in its luma. Returns at once on a GPU."""
        self._turn ^= 1
        count = len(rgb)
        host, planes = self._host[self._turn][:count], self._planes[self._turn][:count]
        if self._stream is None:
            host.copy_(rgb_to_i420(rgb))
            if patterns is not None:
                marking_torch.add_mark(host, patterns, USUAL)
            return Parcel(host, None)
        main, left = torch.cuda.current_stream(rgb.device), self._left[self._turn]
        if left is not None:
            main.wait_event(left)  # the parcel before last has left these planes
        if self._cupy:
            i420_cupy.rgb_to_i420(rgb.contiguous(), planes)
        else:
            planes.copy_(rgb_to_i420(rgb))
        if patterns is not None:
            from kernels.gpu import mark_triton  # compiles for a GPU

            mark_triton.add_mark(planes, patterns, USUAL)
        self._stream.wait_stream(main)
        with torch.cuda.stream(self._stream):
            host.copy_(planes, non_blocking=True)
            arrived = torch.cuda.Event()
            arrived.record(self._stream)
        self._left[self._turn] = arrived
        return Parcel(host, arrived)
