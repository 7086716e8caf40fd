"""The prior's sampler over whole recordings at once, in torch: what the stream is proven against.

The same tokens, noise and steps as `engine.motion.prior.prior_stream`, but told by the frames' own numbers, without
rings, ticks or rows that pause.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from engine.a2v.prior_network import VALUES, PriorNetwork, guided
from engine.contracts import FloatArray
from engine.motion.chance import normal
from engine.motion.prior.noise import kept, ladder, leanings, shares
from engine.motion.prior.pinning import Pins
from engine.motion.prior.prior_stream import BOUND, chance_seed, renewed

Told = dict[int, dict[int, float]]  # frame -> place -> value


@torch.inference_mode()
def sample(
    model: PriorNetwork,
    sound: FloatArray,
    look_ahead: int,
    seed: int,
    guidance: float = 1.0,
    style: tuple[float, float] = (0.0, 0.0),
    pins: Told | None = None,
) -> FloatArray:
    """Values [F, 24] for a recording's sound [F + look_ahead, 33]: the diffusion prior, token after token."""
    c = model.config
    f, width = c.frames, c.frames * VALUES
    tokens = (len(sound) - look_ahead) // f
    mean, std = model.mean.repeat(f), model.std.repeat(f)
    levels = torch.from_numpy(ladder(c.window)).float()
    signal, noise = (torch.from_numpy(share) for share in shares(ladder(c.window)))
    chance = torch.from_numpy(
        np.concatenate([normal(np.array([chance_seed(seed)]), np.array([n]), width) for n in range(tokens + c.window)])
    )
    keys = Pins(model.mean.numpy(), model.std.numpy())
    for frame, values in (pins or {}).items():
        keys.add(0, frame, 1, values)
    state = signal[1:, None] * (-mean / std) + noise[1:, None] * chance[: c.window]  # [W, f 24]
    done, before = torch.zeros(0, width), state
    lean = torch.from_numpy(leanings(ladder(c.window)))[:, None]
    old = torch.from_numpy(kept(ladder(c.window)))[:, None]
    told = _Told(model, torch.from_numpy(np.ascontiguousarray(sound, np.float32)), look_ahead, levels, style)
    for k in range(tokens):
        heard, deaf = (told(done, state, k, hears) for hears in (True, False))
        clean = guided(heard[None], deaf[None], torch.tensor([guidance]))[0, c.past :].clamp(-BOUND, BOUND)
        reached = clean + lean * (clean - before) if k else clean
        fresh = renewed(np.array([chance_seed(seed)]), np.array([k]), c.window, width)[0]
        error = old * (state - signal[1:, None] * reached) / noise[1:, None]
        error = error + (1 - old**2).sqrt() * torch.from_numpy(fresh)
        lower = signal[:-1, None] * reached + noise[:-1, None] * error
        shown = (clean[0] * std + mean).reshape(f, VALUES).numpy()
        shown = np.stack([keys.lean(values, k * f + i) for i, values in enumerate(shown)])
        done = torch.cat([done, (torch.from_numpy(shown).reshape(1, -1) - mean) / std])
        state, before = torch.cat([lower[1:], chance[k + c.window :][:1]]), torch.cat([clean[1:], clean[-1:]])
    return np.asarray((done * std + mean).reshape(-1, VALUES).numpy(), np.float32)


class _Told:
    """One look of the network, made out of the whole."""

    def __init__(
        self, model: PriorNetwork, sound: Tensor, look_ahead: int, levels: Tensor, style: tuple[float, float]
    ) -> None:
        self._model, self._sound, self._ahead = model, sound, look_ahead
        self._levels, self._style = levels, torch.tensor([style])

    def __call__(self, done: Tensor, window: Tensor, k: int, hears: bool) -> Tensor:
        """Clean values [T, f 24] when ``done`` [k, f 24] have been shown."""
        c = self._model.config
        missing = max(0, c.past - k)
        past = torch.cat([done.new_zeros(missing, done.shape[1]), done[max(0, k - c.past) :]])
        there = (torch.arange(c.past) >= missing).float()
        frames = torch.arange((k - c.past) * c.frames, (k + c.window) * c.frames)
        heard = ((frames >= 0) & (frames <= k * c.frames + self._ahead)).float() * hears
        sound = self._sound[frames.clamp(0, len(self._sound) - 1)] * heard[:, None]
        tokens = c.past + c.window
        return self._model(
            torch.cat([past, window])[None],
            torch.cat([there[:, None].expand_as(past), torch.zeros_like(window)])[None],
            torch.cat([torch.zeros(c.past), self._levels[1:]])[None],
            sound.reshape(1, tokens, -1),
            heard.reshape(1, tokens, -1),
            torch.cat([there, torch.ones(c.window)])[None],
            self._style,
            torch.zeros(1),
        )[0]
