"""MappingNet's windows on a stream: thirteen frames of past, and as many of the future as one waits for."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.sadtalker.facerender.mapping_net import RADIUS
from engine.streaming import State, StreamingModule, keep

EXACT = RADIUS  # frames to wait for, 520 ms: then each window is the released code's


@dataclass
class MappingWindowsState(State):
    vectors: Tensor  # [B, RADIUS + 1 + ahead, C] the newest last
    frames: Tensor  # [B] heard so far


class MappingWindows(StreamingModule[MappingWindowsState]):
    """coefficients [B, n, C] -> windows [B, n, C, 27]: the one at step i is that of frame i - ahead.

    What lies further ahead than ``ahead`` frames is taken for the newest; what lies before the first, for the first.
    Windows of frames before the first are all of it.
    """

    def __init__(self, coefficients: int, ahead: int = 0) -> None:
        super().__init__()
        if not 0 <= ahead <= EXACT:
            raise ValueError(f"MappingWindows waits for 0 to {EXACT} frames, not {ahead}.")
        self.coefficients, self.ahead = coefficients, ahead

    def fresh_state(self, batch_size: int) -> MappingWindowsState:
        held = torch.zeros(batch_size, RADIUS + 1 + self.ahead, self.coefficients)
        return MappingWindowsState(batch_size, held, torch.zeros(batch_size, dtype=torch.int64))

    def forward(self, coefficients: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        steps = coefficients.shape[1]
        state = self.state or self.fresh_state(len(coefficients))
        vectors = torch.cat([state.vectors.to(coefficients), coefficients], 1)
        held = state.vectors.shape[1]
        step = torch.arange(steps)
        newest = held + step  # [n] where each step's newest vector lies
        first = held - state.frames.clamp(max=held)  # [B] where the first vector lies, or the oldest held
        offsets = torch.arange(-RADIUS, RADIUS + 1) - self.ahead
        place = newest[None, :, None] + offsets.clamp(max=0)  # [1, n, 27]
        place = torch.maximum(place, torch.minimum(first[:, None, None], newest[None, :, None]))
        windows = vectors[torch.arange(len(vectors))[:, None, None], place]  # [B, n, 27, C]
        if self.state:
            self.state.vectors = keep(vectors[:, -held:], self.state.vectors, exec_mask)
            self.state.frames = keep(state.frames + steps, self.state.frames, exec_mask)
        return windows.transpose(2, 3)
