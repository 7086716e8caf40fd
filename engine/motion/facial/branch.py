"""One branch of the facial motion generator (VividTalk eq. 2-3): motion from audio, style and its own past."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.motion.transformer import CausalTransformer
from engine.streaming import State, StreamingModule, keep


@dataclass
class BranchState(State):
    past: Tensor  # [B, 1, motion] what was said one step ago


class MotionBranch(StreamingModule[BranchState]):
    """A causal transformer over the sum of audio feature, style, look-ahead and past motion.

    Eq. 2 gives beta^f = Phi(beta^1..f-1, A, z_style): each step's input carries the motion of the step before, and
    attention over the earlier steps carries the rest. ``motion`` values of a step are fed back; ``extra`` values
    (auxiliary estimates) are not.
    """

    def __init__(
        self,
        features: int,
        motion: int,
        extra: int = 0,
        dim: int = 160,
        layers: int = 2,
        heads: int = 4,
        context: int = 64,
        look_aheads: int = 4,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.motion = motion
        self.from_features = nn.Linear(features, dim)
        self.from_past = nn.Linear(motion, dim, bias=False)
        self.look_ahead = nn.Embedding(look_aheads, dim)
        self.transformer = CausalTransformer(dim, layers, heads, context, dropout=dropout)
        self.hidden = nn.Linear(2 * dim, dim)
        self.out = nn.Linear(dim, motion + extra)

    def fresh_state(self, batch_size: int) -> BranchState:
        return BranchState(batch_size, self.out.weight.new_zeros(batch_size, 1, self.motion))

    def forward(
        self, features: Tensor, past: Tensor, look_ahead: Tensor, style: Tensor, exec_mask: Tensor | None = None
    ) -> Tensor:
        """features [B, T, F], past [B, T, motion] (of the step before each), look_ahead [B], style [B, F].

        Returns [B, T, motion + extra] without activation. Training gives a whole past at once; see `remember` for
        one's own.
        """
        return self.say(self.think(features, past, look_ahead, style, exec_mask))

    def think(
        self, features: Tensor, past: Tensor, look_ahead: Tensor, style: Tensor, exec_mask: Tensor | None = None
    ) -> Tensor:
        """What the branch makes of the sound before it says anything [B, T, 2 dim]; arguments as of `forward`.

        Beside what attention found there is the step's own audio feature, so that a short closure need not survive
        attention.
        """
        x = self.from_features(features + style[:, None]) + self.from_past(past) + self.look_ahead(look_ahead)[:, None]
        return torch.cat([self.transformer(x, exec_mask), x], -1)

    def say(self, thought: Tensor) -> Tensor:
        """Thoughts [B, T, 2 dim] -> [B, T, motion + extra] without activation."""
        return self.out(F.gelu(self.hidden(thought)))

    def past(self) -> Tensor:
        """The motion of the step before [B, 1, motion]; only when streaming."""
        if self._state is None:
            raise RuntimeError("A branch has a past only inside `with module.streaming(...)`.")
        return self._state.past

    def remember(self, motion: Tensor, exec_mask: Tensor | None = None) -> None:
        """Make ``motion`` [B, 1, motion] the past of the next step; only when streaming."""
        if self._state is None:
            raise RuntimeError("A branch has a past only inside `with module.streaming(...)`.")
        self._state.past = keep(motion, self._state.past, exec_mask)
