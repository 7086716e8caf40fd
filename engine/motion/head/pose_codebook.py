"""The codebook of head poses: a VQ-VAE over relative 6-D pose sequences (VividTalk 3.2, eq. 5, 6 and 12).

A code stands for four frames (160 ms) of movement. The encoder belongs to training and sees a little to both sides; the
decoder is causal, so that poses stream. Poses are yaw, pitch, roll in radians and x, y, z in outer-eye-corner
distances, relative to the first pose, P0; inside the networks they are divided by `SCALE`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from math import radians

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.streaming import State, StreamingModule, keep

POSE = 6
FRAMES_PER_CODE = 4
SCALE = (radians(4.0), radians(3.0), radians(2.5), 0.05, 0.05, 0.05)  # how far heads usually move
_SMOOTH = (1 / 16, 4 / 16, 6 / 16, 4 / 16, 1 / 16)  # the decoder's last word: no head jumps between two frames


@cache
def constant(values: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    """``values`` [n] as a tensor made once: a CUDA graph may not hold copies from the host."""
    with torch.inference_mode(False):
        return torch.tensor(values, dtype=dtype, device=device)


def scale(like: Tensor) -> Tensor:
    """`SCALE` [6] beside ``like``."""
    return constant(SCALE, like.dtype, like.device)


class PoseEncoder(nn.Module):
    """Scaled relative poses [B, 4 n, 6] -> latents [B, n, D] (the E of eq. 5)."""

    def __init__(self, dim: int, code_dim: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv1d(POSE, dim, 5, padding=2),
            nn.GELU(),
            nn.Conv1d(dim, dim, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv1d(dim, dim, 4, stride=2, padding=1),
            nn.GELU(),
            nn.Conv1d(dim, code_dim, 3, padding=1),
        )

    def forward(self, poses: Tensor) -> Tensor:
        return self.layers(poses.transpose(1, 2)).transpose(1, 2)


class Codebook(nn.Module):
    """K codes of D numbers, learned by moving averages; codes that nobody uses are put where latents are.

    The averages stand for the middle term of eq. 12 (van den Oord et al. 2017, appendix A.1).
    """

    codes: Tensor
    usage: Tensor
    sums: Tensor

    def __init__(self, size: int, dim: int, decay: float = 0.98) -> None:
        super().__init__()
        self.decay, self._begun = decay, False
        self.register_buffer("codes", torch.randn(size, dim) / dim**0.5)
        self.register_buffer("usage", torch.ones(size), persistent=False)
        self.register_buffer("sums", self.codes.clone(), persistent=False)

    def distances(self, z: Tensor) -> Tensor:
        """Squared distance of every latent [..., D] to every code [..., K]."""
        return z.square().sum(-1, keepdim=True) - 2 * z @ self.codes.T + self.codes.square().sum(-1)

    def quantize(self, z: Tensor) -> tuple[Tensor, Tensor]:
        """The closest codes [..., D] (eq. 5) and their indices [...]."""
        index = self.distances(z).argmin(-1)
        return self.codes[index], index

    @torch.no_grad()
    def learn(self, z: Tensor, index: Tensor) -> None:
        """Move codes towards the latents [N, D] that chose them [N]; start dead ones anew at random latents.

        The first latents seen become the codes, or all but a few would never be chosen.
        """
        if not self._begun:
            self._begun = True
            self.codes.copy_(z[torch.randint(len(z), (len(self.codes),))])
            self.sums.copy_(self.codes)
            return
        chosen = F.one_hot(index, len(self.codes)).to(z.dtype)  # [N, K]
        self.usage.mul_(self.decay).add_(chosen.sum(0), alpha=1 - self.decay)
        self.sums.mul_(self.decay).add_(chosen.T @ z, alpha=1 - self.decay)
        dead = self.usage < 0.05 * self.usage.mean()
        if dead.any():
            new = z[torch.randint(len(z), (int(dead.sum()),))]
            self.sums[dead], self.usage[dead] = new * self.usage.mean(), self.usage.mean()
        self.codes.copy_(self.sums / self.usage[:, None])


def perplexity(index: Tensor, size: int) -> float:
    """How many codes are in use, counted by how evenly: exp of the entropy of their shares."""
    share = torch.bincount(index.reshape(-1), minlength=size).double()
    share = share[share > 0] / share.sum()
    return float(torch.exp(-(share * share.log()).sum()))


@dataclass
class TailState(State):
    tail: Tensor  # [B, history, C] the inputs before the next step


class CausalFilter(StreamingModule[TailState]):
    """A dilated causal convolution x [B, T, C] -> [B, T, out]; zeros before the first input."""

    def __init__(self, channels: int, out: int, kernel: int, dilation: int = 1, groups: int = 1) -> None:
        super().__init__()
        self.conv = nn.Conv1d(channels, out, kernel, dilation=dilation, groups=groups, bias=groups == 1)
        self.channels, self.history = channels, dilation * (kernel - 1)

    def fresh_state(self, batch_size: int) -> TailState:
        return TailState(batch_size, self.conv.weight.new_zeros(batch_size, self.history, self.channels))

    def forward(self, x: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        if self._state is None:
            padded = F.pad(x, (0, 0, self.history, 0))
        else:
            padded = torch.cat([self._state.tail, x], 1)
            self._state.tail = keep(padded[:, -self.history :], self._state.tail, exec_mask)
        return self.conv(padded.transpose(1, 2)).transpose(1, 2)


@dataclass
class DecoderState(State):
    """Its filters remember for it."""


class PoseDecoder(StreamingModule[DecoderState]):
    """Codes to scaled relative poses, frame by frame and causally (the D of eq. 6)."""

    def __init__(self, dim: int, code_dim: int) -> None:
        super().__init__()
        self.from_code = nn.Linear(code_dim, dim)
        self.phase = nn.Embedding(FRAMES_PER_CODE, dim)
        self.filters = nn.ModuleList([CausalFilter(dim, dim, 5, dilation) for dilation in (1, 2, 4)])
        self.out = nn.Linear(dim, POSE)
        self.smooth = CausalFilter(POSE, POSE, len(_SMOOTH), groups=POSE)
        self.smooth.conv.weight.data = torch.tensor(_SMOOTH).expand(POSE, 1, -1).clone()
        self.smooth.conv.weight.requires_grad_(False)

    def fresh_state(self, batch_size: int) -> DecoderState:
        return DecoderState(batch_size)

    def forward(self, codes: Tensor, phase: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """The code of each frame [B, T, D] and which of its four frames it is [B, T] -> poses [B, T, 6]."""
        x = self.from_code(codes) + self.phase(phase)
        for layer in self.filters:
            x = x + F.gelu(layer(x, exec_mask))
        return self.smooth(self.out(x), exec_mask)


def per_frame(codes: Tensor) -> tuple[Tensor, Tensor]:
    """Codes [B, n, D] as the decoder wants a whole sequence of them: by frame [B, 4 n, D], with phases [B, 4 n]."""
    phase = torch.arange(FRAMES_PER_CODE, device=codes.device).repeat(codes.shape[1])
    return codes.repeat_interleave(FRAMES_PER_CODE, 1), phase.expand(codes.shape[0], -1)
