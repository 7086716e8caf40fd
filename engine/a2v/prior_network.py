"""The prior P_a2nl (Yu et al. 2023, supplement I.2 and I.3): from sound and noise to what a face does beside its lips.

A transformer encoder with learned positions reads one token for every ``frames`` video frames: sound and non-lip values
together. It is one network with two masks. *Diffusion*: every token sees every other, values are noisy, and the clean
ones come out. *Autoregressive*: a token sees itself and those before it, values are those of the token before, and its
own come out. Where the supplement is silent, this is what we chose:

* each token has a noise level of its own. Given frames are tokens without noise, the supplement's one level for all is
  a special case, and so is the stream of `engine.motion.prior.prior_stream`, where noise grows with distance into the
  future;
* each value of each frame can be given alone (mask editing, supplement I.4), so that a key may pin a brow and no more;
* sound that is not heard, because it lies in the future or is hidden for guidance, is zero and said to be;
* two numbers of style say how lively head and face are, zero for usual.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from math import log, pi
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from engine.errors import VivifyError
from engine.motion.prior.noise import STEPS
from engine.motion.prior.nonlip import NONLIP
from engine.motion.prior.window import HEARD, STYLE
from engine.motion.transformer import UNSEEN

FORMAT = "vivify-a2nl-1"
VALUES = len(NONLIP)
_WAVES = 8  # of a noise level


@dataclass(frozen=True)
class PriorConfig:
    """Sizes; they travel with the weights. `PAPER` are those of the supplement, the defaults ours for a CPU."""

    dim: int = 96
    layers: int = 4
    heads: int = 4
    forward: int = 192
    frames: int = 2  # of video in a token
    past: int = 18  # tokens that are given when streaming
    window: int = 6  # tokens that are on their way out of the noise
    most: int = 64  # tokens

    def __post_init__(self) -> None:
        if self.dim % self.heads or self.past + self.window > self.most:
            raise VivifyError(
                f"The prior's width {self.dim} was expected to divide into {self.heads} heads, and its {self.most} "
                f"positions to hold {self.past} + {self.window} tokens: change the config."
            )


PAPER = PriorConfig(dim=512, layers=6, heads=8, forward=1024, frames=1, past=100, window=28, most=128)


class Layer(nn.Module):
    """Attention under a bias, then feed-forward: pre-norm, each added to its input."""

    def __init__(self, config: PriorConfig) -> None:
        super().__init__()
        self.heads = config.heads
        self.norm1, self.norm2 = nn.LayerNorm(config.dim), nn.LayerNorm(config.dim)
        self.qkv, self.out = nn.Linear(config.dim, 3 * config.dim), nn.Linear(config.dim, config.dim)
        self.expand, self.contract = nn.Linear(config.dim, config.forward), nn.Linear(config.forward, config.dim)

    def forward(self, x: Tensor, bias: Tensor) -> Tensor:
        """x [B, T, D]; bias [B, 1, T, T] is added to the scores."""
        q, k, v = self.qkv(self.norm1(x)).unflatten(-1, (3, self.heads, -1)).permute(2, 0, 3, 1, 4)
        y = nn.functional.scaled_dot_product_attention(q, k, v, attn_mask=bias)
        x = x + self.out(y.transpose(1, 2).flatten(2))
        return x + self.contract(nn.functional.gelu(self.expand(self.norm2(x))))


class PriorNetwork(nn.Module):
    """See the module's text. ``mean`` and ``std`` [24] are what values are told in, read off the training data."""

    mean: Tensor
    std: Tensor
    trained: Tensor

    def __init__(self, config: PriorConfig | None = None) -> None:
        super().__init__()
        self.config = c = config or PriorConfig()
        self.values = nn.Linear(2 * c.frames * VALUES, c.dim)
        self.sound = nn.Sequential(nn.Linear(c.frames * (HEARD + 1), c.dim), nn.GELU(), nn.Linear(c.dim, c.dim))
        self.level = nn.Sequential(nn.Linear(2 * _WAVES, c.dim), nn.GELU(), nn.Linear(c.dim, c.dim))
        self.style, self.looks_back = nn.Linear(STYLE, c.dim), nn.Parameter(torch.zeros(c.dim))
        self.position = nn.Parameter(0.02 * torch.randn(c.most, c.dim))
        self.layers = nn.ModuleList([Layer(c) for _ in range(c.layers)])
        self.norm, self.out = nn.LayerNorm(c.dim), nn.Linear(c.dim, c.frames * VALUES)
        self.register_buffer("mean", torch.zeros(VALUES))
        self.register_buffer("std", torch.ones(VALUES))
        self.register_buffer("trained", torch.zeros((), dtype=torch.int64))  # steps

    def forward(
        self,
        values: Tensor,
        given: Tensor,
        level: Tensor,
        sound: Tensor,
        heard: Tensor,
        present: Tensor,
        style: Tensor,
        causal: Tensor,
    ) -> Tensor:
        """Clean values [B, T, f 24] out of noisy ones, all in units of ``std`` around ``mean``.

        values [B, T, f 24], given [B, T, f 24] 1 where they are told and not noisy, level [B, T] noise in 0..1000,
        sound [B, T, f 33] and heard [B, T, f] 1 where there is some, present [B, T] 0 for tokens before the beginning,
        style [B, 2], causal [B] 1 for rows that see the past alone.
        """
        sound = (sound.unflatten(-1, (self.config.frames, HEARD)) * heard[..., None]).flatten(2)
        x = self.values(torch.cat([values, given], -1)) + self.sound(torch.cat([sound, heard], -1))
        x = x + self.level(waves(level)) + self.position[: x.shape[1]]
        x = x + (self.style(style) + causal[:, None] * self.looks_back)[:, None]
        bias = self._bias(present, causal)
        for layer in self.layers:
            x = layer(x, bias)
        return self.out(self.norm(x))

    def _bias(self, present: Tensor, causal: Tensor) -> Tensor:
        """What is added to scores [B, 1, T, T]: absent tokens are not seen, nor, by causal rows, later ones."""
        steps = torch.arange(present.shape[1], device=present.device)
        later = (steps[None, :] > steps[:, None]).to(present.dtype)
        return UNSEEN * (causal[:, None, None] * later + (1 - present)[:, None, :]).clamp(max=1)[:, None]

    @classmethod
    def load(cls, path: Path) -> PriorNetwork:
        """The network of a weights file, ready for inference.

        Raises VivifyError for a missing or unfit one.
        """
        if not path.is_file():
            raise VivifyError(
                f"The prior's weights were expected at {path}, but there is no such file: reinstall vivify or train "
                "them with scripts/train_a2v prior."
            )
        try:
            with safe_open(str(path), framework="pt") as file:
                notes = file.metadata() or {}
            if notes.get("format") != FORMAT:
                raise VivifyError(
                    f"{path} should hold weights of the prior of format {FORMAT}, but says "
                    f"{notes.get('format', 'nothing')!r}: use the weights that came with this version."
                )
            model = cls(PriorConfig(**json.loads(notes["config"])))
            model.load_state_dict(load_file(str(path)))
        except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
            reason = str(error).splitlines()[0].rstrip(".: ")
            raise VivifyError(
                f"{path} should hold weights of the prior, but cannot be used ({reason}): restore the file or train it "
                "anew with scripts/train_a2v prior."
            ) from error
        return model.eval().requires_grad_(False)

    def save(self, path: Path, notes: dict[str, str] | None = None) -> None:
        """Write weights and config as safetensors. ``notes`` are kept beside them as text."""
        path.parent.mkdir(parents=True, exist_ok=True)
        metadata = (notes or {}) | {"format": FORMAT, "config": json.dumps(asdict(self.config))}
        part = path.with_suffix(".part")
        save_file({name: value.contiguous() for name, value in self.state_dict().items()}, str(part), metadata)
        part.replace(path)


def waves(level: Tensor) -> Tensor:
    """A noise level [...] in 0..1000 as sines and cosines [..., 16]."""
    pace = torch.exp(torch.arange(_WAVES, device=level.device) * (log(64.0) / (_WAVES - 1)))
    angle = (pi / STEPS) * level[..., None] * pace
    return torch.cat([angle.sin(), angle.cos()], -1)


def guided(with_sound: Tensor, without: Tensor, guidance: Tensor) -> Tensor:
    """Classifier-free guidance s [B] (supplement II.2): 0 hears nothing, 1 is what was learned, more is beyond it."""
    return without + guidance[:, None, None] * (with_sound - without)
