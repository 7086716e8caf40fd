"""When do the lips really meet? A streaming peak rule over a closure score.

A network trained on averages closes the lips half-way, often; people close them fully, briefly. So a frame closes
fully when its score passes a low threshold *and* is a local peak: no lower than the frame before, and about as high
as the estimate for the frame after (which the network makes from the same audio, at no further delay). Elsewhere only
a high probability shows, softened. Where a surer score decides (`engine.motion.facial.surer_closure`), which is of p, b
and m alone, lips are narrow at f and v as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.streaming import State, StreamingModule, keep

# By look-ahead, chosen on development speech for the shipped weights: who hears less is sure too early.
THRESHOLD = (0.22, 0.28, 0.18, 0.16)  # a peak above this closes
NEXT_TOLERANCE = (0.94, 0.8, 0.8, 0.7)  # the estimate of the next frame is the weaker one: it need not be beaten
# Away from peaks, probabilities between these ramp from open to closed; half-closed lips are the better guess of who
# hears nothing ahead.
SOFT_LOW, SOFT_HIGH = (0.6, 0.85, 0.85, 0.85), 1.0
NARROW = 0.7  # how far closed where f or v is certain; with the root of how probable it is


@dataclass
class ClosureState(State):
    score: Tensor  # [B] of the frame before


def closure_score(close: Tensor, labial: Tensor) -> Tensor:
    """Score from P(lips closed) and P(the phone is p, b or m), any equal shapes."""
    return 0.5 * close + 0.5 * labial.clamp(min=0).sqrt()


class ClosureDecoder(StreamingModule[ClosureState]):
    """Closure probability, score, next frame's estimated score [B, k], look-ahead [B] -> closure [B, k] in [0, 1].

    ``tucked`` [B, k] is how probable f and v are; ``surer`` [B, k] a better score, which peaks are looked for in.
    """

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
        self,
        close: Tensor,
        score: Tensor,
        following: Tensor,
        look_ahead: Tensor,
        exec_mask: Tensor | None = None,
        tucked: Tensor | None = None,
        surer: Tensor | None = None,
    ) -> Tensor:
        def of_row(table: Tensor) -> Tensor:
            return table[look_ahead][:, None]

        judged = score if surer is None else surer
        before = self._state.score if self._state else torch.zeros_like(score[:, 0])
        if self._state:
            self._state.score = keep(judged[:, -1], before, exec_mask)
        previous = torch.cat([before[:, None], judged[:, :-1]], 1)
        falls_next = score < of_row(self.tolerance) * following
        peak = (judged >= of_row(self.threshold)) & (judged >= previous) & ~falls_next
        low = of_row(self.soft_low)
        ramp = ((close - low) / (SOFT_HIGH - low)).clamp(0, 1)
        closed = torch.where(peak, torch.ones_like(close), ramp * ramp * (3 - 2 * ramp))
        return closed if tucked is None else torch.maximum(closed, NARROW * tucked.clamp(0, 1).sqrt())
