"""From sound to codes of head poses (VividTalk 3.2, eq. 7): self-attention over codes, cross-attention over sound.

The paper says a point in the codebook's space and takes the code closest to it. A point is an average over what a head
might do next, and heads steered by averages stand still; so every 160 ms this mapping says how likely each code is, and
one is drawn. Its expected code is the paper's point, and is trained as such (eq. 13).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.motion.head.pose_codebook import FRAMES_PER_CODE, POSE
from engine.motion.transformer import CausalAttention, bias_by_distance
from engine.streaming import RingKVCache, State, StreamingModule

STYLE = 2  # how fast, and how far, this person's head moves: logarithms, 0 in the middle
Heard = tuple[Tensor, Tensor, Tensor, Tensor]  # keys and values [B, H, C, d], their frames [B, C], the last frame [B]


@dataclass
class HearingState(State):
    cache: RingKVCache


class Hearing(StreamingModule[HearingState]):
    """Cross-attention of codes over the sound of the last ``context`` frames."""

    def __init__(self, dim: int, heads: int, context: int) -> None:
        super().__init__()
        self.heads, self.context = heads, context
        self.query, self.key_value, self.out = nn.Linear(dim, dim), nn.Linear(dim, 2 * dim), nn.Linear(dim, dim)
        self.bias = nn.Parameter(torch.zeros(context, heads))  # by distance into the past

    def fresh_state(self, batch_size: int) -> HearingState:
        dim = self.out.in_features // self.heads
        return HearingState(batch_size, RingKVCache(batch_size, self.heads, dim, self.context, 1, self.out.weight))

    def hear(self, sound: Tensor, exec_mask: Tensor | None = None) -> Heard:
        """Take in sound [B, T, dim]; one frame at a time when streaming, a whole recording otherwise."""
        batch, steps, _ = sound.shape
        k, v = self.key_value(sound).view(batch, steps, 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        if self._state is None:
            frames = torch.arange(steps, device=sound.device)[None]
            return k, v, frames, frames[:, -1]
        k, v, frames, given = self._state.cache.complete(k, v, exec_mask)
        return k, v, frames, given[:, -1]

    def forward(self, x: Tensor, heard: Heard, now: Tensor) -> Tensor:
        """Steps x [B, J, dim], said when the frames ``now`` [B or 1, J] had just been heard."""
        k, v, frames, _ = heard
        q = self.query(x).view(*x.shape[:2], self.heads, -1).transpose(1, 2)
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=bias_by_distance(self.bias, now, frames))
        return self.out(y.transpose(1, 2).reshape(x.shape))


class MappingBlock(nn.Module):
    """Attention to own codes, attention to sound, feed-forward: pre-norm, each added to its input."""

    def __init__(self, dim: int, heads: int, context: int, hearing: int, dropout: float) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = CausalAttention(dim, heads, context)
        self.hearing = Hearing(dim, heads, hearing)
        self.expand, self.contract = nn.Linear(dim, 2 * dim), nn.Linear(2 * dim, dim)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, heard: Heard, now: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        x = x + self.dropout(self.attention(self.norm1(x), exec_mask))
        x = x + self.dropout(self.hearing(self.norm2(x), heard, now))
        return x + self.dropout(self.contract(F.gelu(self.expand(self.norm3(x)))))


@dataclass
class MappingState(State):
    """Its attentions remember for it."""


class PoseMapping(StreamingModule[MappingState]):
    """Phi_map(A, s, P0): how likely each code is for the next four frames."""

    def __init__(
        self,
        features: int,
        codes: int,
        code_dim: int,
        dim: int = 64,
        layers: int = 2,
        heads: int = 4,
        context: int = 48,
        hearing: int = 64,
        dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.sound = nn.Sequential(nn.Linear(features + 1, dim), nn.GELU(), nn.Linear(dim, dim))
        self.from_code = nn.Linear(code_dim, dim)
        self.from_style, self.from_start = nn.Linear(STYLE, dim), nn.Linear(POSE, dim)
        self.blocks = nn.ModuleList([MappingBlock(dim, heads, context, hearing, dropout) for _ in range(layers)])
        self.norm = nn.LayerNorm(dim)
        self.out = nn.Linear(dim, codes)

    def fresh_state(self, batch_size: int) -> MappingState:
        return MappingState(batch_size)

    def hear(self, features: Tensor, speaking: Tensor, exec_mask: Tensor | None = None) -> list[Heard]:
        """Take in features [B, T, F] and whether the voice speaks [B, T]: what `forward` attends to."""
        sound = self.sound(torch.cat([features, speaking.to(features.dtype)[..., None]], -1))
        return [cast(MappingBlock, block).hearing.hear(sound, exec_mask) for block in self.blocks]

    def forward(
        self,
        before: Tensor,
        style: Tensor,
        start: Tensor,
        heard: list[Heard],
        exec_mask: Tensor | None = None,
    ) -> Tensor:
        """Codes said before each step [B, J, D] (zeros for the first), style [B, 2], scaled P0 [B, 6] -> logits
        [B, J, K].

        Without state, step j has heard frames up to 4 j; when streaming, J is 1 and it has heard all there was.
        """
        if self.is_streaming:
            now = heard[0][3][:, None]
        else:
            now = FRAMES_PER_CODE * torch.arange(before.shape[1], device=before.device)[None]
        x = self.from_code(before) + (self.from_style(style) + self.from_start(start))[:, None]
        for block, sound in zip(self.blocks, heard, strict=True):
            x = block(x, sound, now, exec_mask)
        return self.out(self.norm(x))


def draw(logits: Tensor, uniform: Tensor, temperature: float, nucleus: float = 0.95) -> Tensor:
    """Code indices [...] for logits [..., K], chosen by numbers [...] in [0, 1).

    Only the likeliest codes that together have ``nucleus`` of the probability are considered. Temperature 0 takes the
    likeliest. The draw goes through the codes by number, not by likelihood, and in double precision: where two are all
    but equally likely, rounding would decide their order, and so would who rounds: torch, a GPU, an exported program.
    """
    if temperature <= 0:
        return logits.argmax(-1)
    share = torch.softmax(logits.double() / temperature, -1)
    ranked = share.sort(-1, descending=True).values
    considered = (ranked.cumsum(-1) - ranked < nucleus).sum(-1, keepdim=True)
    share = torch.where(share >= ranked.gather(-1, considered - 1), share, torch.zeros_like(share))
    ladder = share.cumsum(-1)
    place = (ladder <= uniform[..., None] * ladder[..., -1:]).sum(-1)
    return place.clamp(max=logits.shape[-1] - 1)
