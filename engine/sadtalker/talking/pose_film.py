"""Head poses of a whole recording, stretch after stretch, as the released code makes them: "exact"."""

from __future__ import annotations

import torch
from torch import Tensor

from engine.sadtalker.talking.smoothing_filter import smoothed
from engine.sadtalker.voice.pose_vae import PoseVAE


def latents(count: int, size: int, seed: int) -> Tensor:
    """As many latents [count, size], each drawn by itself."""
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def whole_film_poses(network: PoseVAE, windows: Tensor, reference: Tensor, style: int, drawn: Tensor) -> Tensor:
    """Smoothed poses [T, P] of a film's windows [T, 80, 16], around ``reference`` [P]; ``drawn`` [n, latent], in turn.

    The reference is frame 0, whose sound is dropped; each stretch of 32 frames has a latent of its own. A rest is made
    from the last 32 frames of sound, the first of them repeated where there are fewer, and its tail is taken.
    """
    span, frames = network.shape.frames, len(windows) - 1
    moves = [torch.zeros(1, len(reference))]
    for number, first in enumerate(range(0, frames, span)):
        rest = min(span, frames - first)
        heard = windows[1 + first : 1 + first + span] if rest == span else windows[1:][-span:]
        features = network.hear(heard[None])
        features = torch.cat([features[:, :1].expand(-1, span - features.shape[1], -1), features], 1)
        moved = network.decode(drawn[number : number + 1], features, reference[None], torch.tensor([style]))
        moves.append(moved[0, -rest:])
    return smoothed(reference + torch.cat(moves)[: len(windows)])
