"""A small causal convolutional encoder: log-mel features in, 25 feature vectors a second out.

It is the bundled default; another extractor takes its place by giving the same shape at the same rate.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.audio.mel import BANDS, HOP, LogMel
from engine.contracts import SAMPLES_PER_FRAME
from engine.streaming import State, StreamingModule, keep

MELS_PER_FRAME = SAMPLES_PER_FRAME // HOP  # 4, exact


@dataclass
class ConvState(State):
    tail: Tensor  # [B, C, kernel - stride] the inputs before the next step


class CausalConv(StreamingModule[ConvState]):
    """Convolution, batch normalisation and GELU over x [B, C, stride * n] -> [B, out, n].

    Output i sees inputs up to stride * (i + 1) - 1. Before the first input there are zeros.
    """

    def __init__(self, channels: int, out: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, stride)
        self.norm = nn.BatchNorm1d(out)
        self.channels, self.stride, self.history = channels, stride, kernel - stride

    def fresh_state(self, batch_size: int) -> ConvState:
        return ConvState(batch_size, self.conv.weight.new_zeros(batch_size, self.channels, self.history))

    def forward(self, x: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        if x.shape[2] % self.stride:
            raise ValueError(f"CausalConv expects whole strides of {self.stride}, got {tuple(x.shape)}.")
        if self._state is None:
            padded = F.pad(x, (self.history, 0))
        else:
            padded = torch.cat([self._state.tail, x], 2)
            self._state.tail = keep(padded[:, :, padded.shape[2] - self.history :], self._state.tail, exec_mask)
        return F.gelu(self.norm(self.conv(padded)))


@dataclass
class EncoderState(State):
    """Its parts remember for it."""


class AudioEncoder(StreamingModule[EncoderState]):
    """samples [B, 640 * k] float32 at 16 kHz -> features [B, k, width], one vector per video frame.

    Vector n depends on samples before 640 (n + 1) only.
    """

    kind = "log-mel"

    def __init__(self, width: int = 160, hidden: int = 96) -> None:
        super().__init__()
        self.mel = LogMel()
        self.convs = nn.ModuleList(
            [CausalConv(BANDS, hidden, 5), CausalConv(hidden, width, 6, 2), CausalConv(width, width, 6, 2)]
        )
        self.width = width

    def fresh_state(self, batch_size: int) -> EncoderState:
        return EncoderState(batch_size)

    def forward(self, samples: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """See the class. Raises ValueError when the samples do not fill whole frames."""
        if samples.dim() != 2 or samples.shape[1] % SAMPLES_PER_FRAME:
            raise ValueError(f"AudioEncoder expects samples [B, {SAMPLES_PER_FRAME} * k], got {tuple(samples.shape)}.")
        return self.from_mel(self.mel(samples, exec_mask), exec_mask)

    def from_mel(self, mel: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """mel [B, 4 * k, BANDS] -> features [B, k, width]; training starts here."""
        x = mel.transpose(1, 2)
        for conv in self.convs:
            x = conv(x, exec_mask)
        return x.transpose(1, 2)
