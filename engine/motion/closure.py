"""When do the lips really meet? A streaming peak rule over a closure score.

A network trained on averages closes the lips half-way, often; people close them fully, briefly. So a frame closes
fully when its score passes a low threshold *and* is a local peak: no lower than the frame before, and about as high
as the estimate for the frame after (which the network makes from the same audio, at no further delay). Elsewhere only
a high probability shows, softened.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.streaming import State, StreamingModule, keep

# Chosen on development speech for the shipped weights (docs/motion.md).
THRESHOLD = 0.18  # a peak above this closes
NEXT_TOLERANCE = 0.8  # the estimate of the next frame is the weaker one: it need not be beaten outright
SOFT_LOW, SOFT_HIGH = 0.75, 1.0  # away from peaks, probabilities between these ramp from open to closed


@dataclass
class ClosureState(State):
    score: Tensor  # [B] of the frame before


def closure_score(close: Tensor, labial: Tensor) -> Tensor:
    """Score from P(lips closed) and P(the phone is p, b or m), any equal shapes."""
    return 0.5 * close + 0.5 * labial.clamp(min=0).sqrt()


class ClosureDecoder(StreamingModule[ClosureState]):
    """Closure probability, score, and next frame's estimated score, each [B, k] -> closure [B, k] within [0, 1]."""

    def fresh_state(self, batch_size: int) -> ClosureState:
        return ClosureState(batch_size, torch.zeros(batch_size))

    def forward(self, close: Tensor, score: Tensor, following: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        before = self._state.score if self._state else torch.zeros_like(score[:, 0])
        if self._state:
            self._state.score = keep(score[:, -1], before, exec_mask)
        previous = torch.cat([before[:, None], score[:, :-1]], 1)
        peak = (score >= THRESHOLD) & (score >= previous) & (score >= NEXT_TOLERANCE * following)
        ramp = ((close - SOFT_LOW) / (SOFT_HIGH - SOFT_LOW)).clamp(0, 1)
        return torch.where(peak, torch.ones_like(close), ramp * ramp * (3 - 2 * ramp))
