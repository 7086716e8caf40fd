"""A better score of whether lips meet: what the branch thinks is read once more, for each look-ahead by itself.

The branch learned to say many things, closures among them, and often takes an n for an m. Logistic regression from its
thoughts and from what it says, fitted to closures alone (`engine.training.hurry.surer_closure_fit`), finds as many p, b
and m at 80 ms and is wrong a fifth less often.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

SAID = 4  # numbers of what the branch says: closure, labial, and both for the next frame
CERTAIN = 9.2  # a logit's farthest


def said_of_closure(close: Tensor, labial: Tensor, next_close: Tensor, next_labial: Tensor) -> Tensor:
    """P(closed), P(p, b or m), logits of both in the next frame, each [...] -> what is read of them [..., 4]."""
    now = torch.logit(close.clamp(0, 1), 1e-4)
    later = (next_close.clamp(-CERTAIN, CERTAIN), next_labial.clamp(-CERTAIN, CERTAIN))
    return torch.stack([now, 4 * labial.clamp(0, 1).sqrt(), *later], -1)


class SurerClosure(nn.Module):
    """Thoughts [B, k, D], what is said [B, k, 4], a score [B, k], look-ahead [B] -> the better score [B, k].

    What it says is mixed with the plain score by a share for each look-ahead, 0 where nothing was fitted, and told such
    that thresholds for the plain score (`engine.motion.facial.closure`) suit it.
    """

    weight: Tensor
    bias: Tensor
    believed: Tensor

    def __init__(self, thought: int, look_aheads: int) -> None:
        super().__init__()
        self.register_buffer("weight", torch.zeros(look_aheads, thought + SAID))
        self.register_buffer("bias", torch.zeros(look_aheads))
        self.register_buffer("believed", torch.zeros(look_aheads))

    def forward(self, thought: Tensor, said: Tensor, score: Tensor, look_ahead: Tensor) -> Tensor:
        weight, believed = self.weight[look_ahead][:, None], self.believed[look_ahead][:, None]
        read = (torch.cat([thought, said], -1) * weight).sum(-1) + self.bias[look_ahead][:, None]
        return torch.lerp(score, torch.sigmoid(read), believed)
