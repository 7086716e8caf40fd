"""L_ol: what is not the lips' must tell nothing of them, asked of far more samples than a batch holds."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class MemoryBank(nn.Module):
    """The features of the last K batches, in both spaces: K batches of 16 are the supplement's 512.

    Bounded; saved with the checkpoint, so that a run that was cut goes on as it was.
    """

    apart: Tensor
    lips: Tensor
    held: Tensor

    def __init__(self, batches: int, rows: int, features: int) -> None:
        super().__init__()
        self.register_buffer("apart", torch.zeros(batches * rows, features))
        self.register_buffer("lips", torch.zeros(batches * rows, features))
        self.register_buffer("held", torch.tensor(0))

    def with_these(self, apart: Tensor, lips: Tensor) -> tuple[Tensor, Tensor]:
        """These features [n, F] before all that is held: [n + held, F] of both spaces; gradients reach these alone."""
        held = int(self.held)
        return torch.cat([apart, self.apart[:held]]), torch.cat([lips, self.lips[:held]])

    @torch.no_grad()
    def remember(self, apart: Tensor, lips: Tensor) -> None:
        """Hold these as well, and forget the oldest beyond the bound."""
        room = len(self.apart)
        for kept, new in ((self.apart, apart), (self.lips, lips)):
            kept.copy_(torch.cat([new.detach(), kept])[:room])
        self.held.fill_(min(room, int(self.held) + len(apart)))


def orthogonality(apart: Tensor, lips: Tensor) -> Tensor:
    """How much of each feature of one space [N, F] is told by those of the other [N, F'], one by one.

    The sum over F' of squared correlations over the N samples, mean over F. 0 if nothing is told, 1 if both spaces are
    the same one of F independent features. A feature that never changes tells nothing.
    """
    a, b = apart - apart.mean(0), lips - lips.mean(0)
    a = a / (a.square().sum(0) + 1e-6).sqrt()
    b = b / (b.square().sum(0) + 1e-6).sqrt()
    return (a.T @ b).square().sum(1).mean()
