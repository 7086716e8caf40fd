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

# By look-ahead, chosen on development speech for the shipped weights: who hears less is sure too early.
THRESHOLD = (0.22, 0.28, 0.18, 0.16)  # a peak above this closes
NEXT_TOLERANCE = (0.94, 0.8, 0.8, 0.8)  # the estimate of the next frame is the weaker one: it need not be beaten
# Away from peaks, probabilities between these ramp from open to closed; half-closed lips are the better guess of who
# hears nothing ahead.
SOFT_LOW, SOFT_HIGH = (0.6, 0.85, 0.85, 0.85), 1.0


@dataclass
class ClosureState(State):
    score: Tensor  # [B] of the frame before


def closure_score(close: Tensor, labial: Tensor) -> Tensor:
    """Score from P(lips closed) and P(the phone is p, b or m), any equal shapes."""
    return 0.5 * close + 0.5 * labial.clamp(min=0).sqrt()


class ClosureDecoder(StreamingModule[ClosureState]):
    """Closure probability, score, next frame's estimated score [B, k], look-ahead [B] -> closure [B, k] in [0, 1]."""

    threshold: Tensor
    tolerance: Tensor
    soft_low: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("threshold", torch.tensor(THRESHOLD), persistent=False)
        self.register_buffer("tolerance", torch.tensor(NEXT_TOLERANCE), persistent=False)
        self.register_buffer("soft_low", torch.tensor(SOFT_LOW), persistent=False)

    def fresh_state(self, batch_size: int) -> ClosureState:
        return ClosureState(batch_size, self.threshold.new_zeros(batch_size))

    def forward(
        self, close: Tensor, score: Tensor, following: Tensor, look_ahead: Tensor, exec_mask: Tensor | None = None
    ) -> Tensor:
        before = self._state.score if self._state else torch.zeros_like(score[:, 0])
        if self._state:
            self._state.score = keep(score[:, -1], before, exec_mask)
        previous = torch.cat([before[:, None], score[:, :-1]], 1)
        threshold, tolerance = self.threshold[look_ahead][:, None], self.tolerance[look_ahead][:, None]
        peak = (score >= threshold) & (score >= previous) & (score >= tolerance * following)
        low = self.soft_low[look_ahead][:, None]
        ramp = ((close - low) / (SOFT_HIGH - low)).clamp(0, 1)
        return torch.where(peak, torch.ones_like(close), ramp * ramp * (3 - 2 * ramp))
