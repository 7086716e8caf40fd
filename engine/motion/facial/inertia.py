"""Jaw and lips' edges have mass: what the network says of them passes through one pole before it is shown.

Without it the mouth is a frame ahead of filmed speakers and moves faster than they do. Closures and the tucked lip are
not slowed: they are events, and would be missed.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.motion.facial.articulators import ARTICULATORS, FUNNEL, JAW, LOWER_DOWN, PUCKER, STRETCH, UPPER_UP
from engine.streaming import State, StreamingModule, keep

# Share of the frame before in what is shown, by look-ahead; chosen on development speech and films. Who hears nothing
# ahead is late enough as it is.
SLOWNESS = (0.2, 0.4, 0.4, 0.4)
WIDTH_SLOWNESS = (0.2, 0.35, 0.35, 0.35)  # the same for what makes a mouth wide or narrow


@dataclass
class InertiaState(State):
    shown: Tensor  # [B, 9] of the frame before


class Inertia(StreamingModule[InertiaState]):
    """Articulators [B, k, 9], look-ahead [B] -> articulators, those that are heavy slowed; a fresh row is at rest."""

    keeps: Tensor

    def __init__(self) -> None:
        super().__init__()
        keeps = torch.zeros(len(SLOWNESS), len(ARTICULATORS))
        keeps[:, [JAW, LOWER_DOWN, UPPER_UP]] = torch.tensor(SLOWNESS)[:, None]
        keeps[:, [PUCKER, FUNNEL, STRETCH]] = torch.tensor(WIDTH_SLOWNESS)[:, None]
        self.register_buffer("keeps", keeps, persistent=False)

    def fresh_state(self, batch_size: int) -> InertiaState:
        return InertiaState(batch_size, self.keeps.new_zeros(batch_size, len(ARTICULATORS)))

    def forward(self, said: Tensor, look_ahead: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        shown = self._state.shown if self._state else torch.zeros_like(said[:, 0])
        keeps, steps = self.keeps[look_ahead].to(said.dtype), []
        for k in range(said.shape[1]):
            shown = torch.lerp(said[:, k], shown, keeps)
            steps.append(shown)
        if self._state:
            self._state.shown = keep(shown, self._state.shown, exec_mask)
        return torch.stack(steps, 1)
