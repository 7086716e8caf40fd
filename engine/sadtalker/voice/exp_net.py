"""ExpNet: expression coefficients from a voice (SadTalker 3.2, eq. 2)."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from engine.sadtalker.voice.audio_encoder import audio_encoder, encode_windows

EXPRESSION = 64  # coefficients of the released weights


class ExpNet(nn.Module):
    """Mel windows, a reference expression and a blink -> an expression for each frame.

    Each frame is computed from its own window alone, so chunks of any length give the same. As in the released code
    the output is the expression itself, and no change of the reference.
    """

    def __init__(self, expression: int = EXPRESSION, width: int = 32) -> None:
        super().__init__()
        self.expression = expression
        self.audio_encoder = audio_encoder(width)
        self.mapping1 = nn.Linear(16 * width + expression + 1, expression)
        nn.init.zeros_(self.mapping1.bias)

    def forward(self, windows: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        """``windows`` [B, T, 80, 16], ``reference`` [B, E] or [B, T, E], ``blink`` [B, T] in [0, 1] -> [B, T, E]."""
        features = encode_windows(self.audio_encoder, windows)
        if reference.dim() == 2:
            reference = reference[:, None].expand(-1, features.shape[1], -1)
        coefficients: Tensor = self.mapping1(torch.cat([features, reference, blink[..., None]], 2))
        return coefficients
