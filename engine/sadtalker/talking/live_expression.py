"""ExpNet on a stream: an expression for each 40 ms of sound, of the frame three before."""

from __future__ import annotations

from torch import Tensor

from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.voice.mel_windows import MelWindows
from engine.streaming import State, StreamingModule


class LiveExpression(StreamingModule[State]):
    """samples [B, 640 n], reference [B, E], blinks [B, n] -> expressions [B, n, E] of frames i - DELAY."""

    def __init__(self, network: ExpNet) -> None:
        super().__init__()
        self.hear = MelWindows()
        self.network = network

    def fresh_state(self, batch_size: int) -> State:
        return State(batch_size)

    def forward(self, samples: Tensor, reference: Tensor, blinks: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        expressions: Tensor = self.network(self.hear(samples, exec_mask), reference, blinks)
        return expressions
