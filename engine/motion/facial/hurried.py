"""What is said otherwise by who hears nothing ahead: a small network for look-ahead 0 alone.

One branch serves all look-aheads, and most of what it learns is about the longer ones. Without a look-ahead it should
say what is to be expected of a sound that has only begun, which is another question. This answers it from what the
branch has made of the sound, adds nothing at any other look-ahead, and is not fed back.
"""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor, nn


class Hurried(nn.Module):
    """Thoughts of a `MotionBranch` [B, T, D] and look-ahead [B] -> what to add to what it says [B, T, O]."""

    def __init__(self, thought: int, dim: int, out: int) -> None:
        super().__init__()
        self.hidden = nn.Linear(thought, dim)
        self.out = nn.Linear(dim, out)
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)

    def forward(self, thought: Tensor, look_ahead: Tensor) -> Tensor:
        """Exactly 0 in rows that hear ahead."""
        return self.out(F.gelu(self.hidden(thought))) * (look_ahead == 0).to(thought.dtype)[:, None, None]
