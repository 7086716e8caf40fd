"""A causal transformer with bounded context, for whole sequences and for endless streams.

Attention knows distances only: a learned bias per head and distance is added to the scores. Absolute positions appear
nowhere, so the thousandth hour is computed exactly like the first second.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.streaming import RingKVCache, State, StreamingModule

UNSEEN = -1e9  # added to the scores of what may not be looked at


def bias_by_distance(bias: Tensor, pos_q: Tensor, pos_k: Tensor) -> Tensor:
    """What is added to scores [B, H, T, K], by a learned ``bias`` [context, H] for every distance into the past.

    Steps stand at positions [B, T] and [B, K], below 0 where there is none. What lies further away is not seen.
    """
    context = len(bias)
    delta = pos_q[:, :, None] - pos_k[:, None, :]  # [B, T, K]
    seen = (pos_k >= 0)[:, None] & (delta >= 0) & (delta < context)
    table = F.pad(bias, (0, 0, 0, 1), value=UNSEEN)
    return F.embedding(torch.where(seen, delta, context), table).permute(0, 3, 1, 2)


@dataclass
class AttentionState(State):
    cache: RingKVCache


class CausalAttention(StreamingModule[AttentionState]):
    """Multi-head self-attention of each step over itself and the ``context - 1`` steps before it. x [B, T, D]."""

    def __init__(self, dim: int, heads: int, context: int, max_chunk: int = 1) -> None:
        super().__init__()
        if dim % heads:
            raise ValueError(f"The width {dim} does not divide into {heads} heads.")
        self.heads, self.context, self.max_chunk = heads, context, max_chunk
        self.qkv = nn.Linear(dim, 3 * dim)
        self.out = nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(context, heads))  # by distance into the past

    def fresh_state(self, batch_size: int) -> AttentionState:
        dim = self.out.in_features // self.heads
        cache = RingKVCache(batch_size, self.heads, dim, self.context, self.max_chunk, self.out.weight)
        return AttentionState(batch_size, cache)

    def forward(self, x: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """x [B, T, D] -> [B, T, D]; when streaming, T <= max_chunk."""
        batch, steps, dim = x.shape
        q, k, v = self.qkv(x).view(batch, steps, 3, self.heads, -1).permute(2, 0, 3, 1, 4)  # each [B, H, T, d]
        if self._state is None:
            pos_q = pos_k = torch.arange(steps, device=x.device)[None]  # [1, T]
        else:
            k, v, pos_k, pos_q = self._state.cache.complete(k, v, exec_mask)
        bias = bias_by_distance(self.bias, pos_q, pos_k)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        return self.out(y.transpose(1, 2).reshape(batch, steps, dim))


@dataclass
class TransformerState(State):
    """Its attentions remember for it."""


class Block(nn.Module):
    """Pre-norm attention and feed-forward, each added to its input."""

    def __init__(self, dim: int, heads: int, context: int, max_chunk: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = CausalAttention(dim, heads, context, max_chunk)
        self.expand, self.contract = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), exec_mask))
        return x + self.dropout(self.contract(F.gelu(self.expand(self.norm2(x)))))


class CausalTransformer(StreamingModule[TransformerState]):
    """x [B, T, D] -> [B, T, D], step t depending on steps up to t only.

    Each layer looks back over ``context`` steps. When streaming, chunks hold at most ``max_chunk`` steps.
    """

    def __init__(
        self, dim: int, layers: int = 2, heads: int = 4, context: int = 64, max_chunk: int = 1, dropout: float = 0.0
    ) -> None:
        super().__init__()
        self.blocks = nn.ModuleList([Block(dim, heads, context, max_chunk, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)

    def fresh_state(self, batch_size: int) -> TransformerState:
        return TransformerState(batch_size)

    def forward(self, x: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        for block in self.blocks:
            x = block(x, exec_mask)
        return self.norm(x)
