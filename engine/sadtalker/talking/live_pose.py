"""PoseVAE on a stream: a pose for each frame as it is heard, without a jump where stretches would meet.

The released code makes a rest that fills no stretch from the last 32 frames of sound and takes its tail. Here every
frame is such a rest of one: it is decoded from the 32 frames heard last, the first of them repeated while there are
fewer, and the last pose is taken. The latent is no longer drawn anew every 32 frames: it goes from one drawing to the
next along the sphere, so that it is as likely on its way as at its ends. A mass on a damped spring follows the poses,
for the network was not trained to be smooth from window to window; the head comes a tenth of a second later by it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from engine.sadtalker.voice.pose_vae import PoseVAE
from engine.streaming import State, StreamingModule, keep

STIFFNESS = 0.6  # per frame: how soon the head is where it should be
RISE = 25  # frames within which it leaves the photo's pose for the network's


@dataclass
class LivePoseState(State):
    features: Tensor  # [B, frames, D] heard last
    heard: Tensor  # [B] frames
    place: Tensor  # [B, P] of the head, relative to the reference
    speed: Tensor  # [B, P] a frame
    seeds: Tensor  # [B] of the latents

    def reset(self, mask: Tensor) -> None:
        """All but the seeds, which belong to the row."""
        seeds = self.seeds
        super().reset(mask)
        self.seeds = seeds


class LivePose(StreamingModule[LivePoseState]):
    """windows [B, n, 80, 16], reference [B, P], style [B] -> poses [B, n, P]; the first is the reference, at rest."""

    def __init__(self, network: PoseVAE) -> None:
        super().__init__()
        self.network = network

    def fresh_state(self, batch_size: int) -> LivePoseState:
        shape = self.network.shape
        return LivePoseState(
            batch_size,
            torch.zeros(batch_size, shape.frames, 16 * shape.width),
            torch.zeros(batch_size, dtype=torch.int64),
            torch.zeros(batch_size, shape.pose),
            torch.zeros(batch_size, shape.pose),
            torch.arange(batch_size),
        )

    def seed(self, row: int, seed: int) -> None:
        """Which latents the row draws; only while streaming."""
        assert self.state is not None
        self.state.seeds = self.state.seeds.clone()
        self.state.seeds[row] = seed

    def forward(self, windows: Tensor, reference: Tensor, style: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        state = self.state or self.fresh_state(len(windows))
        given = self.network.hear(windows)
        features, heard = state.features, state.heard
        place, speed = state.place, state.speed
        out = []
        for step in range(given.shape[1]):
            newest = given[:, step : step + 1]
            begun = (heard > 0)[:, None, None]
            features = torch.where(begun, torch.cat([features[:, 1:], newest], 1), newest.expand_as(features))
            latent = travelling(state.seeds, heard, self.network.shape.latent, self.network.shape.frames)
            share = (heard.to(features) / RISE).clamp(max=1.0)[:, None]
            rise = share * share * (3.0 - 2.0 * share)
            wanted = rise * self.network.decode(latent, features, reference, style)[:, -1]
            speed = torch.where(begun[:, 0], speed + STIFFNESS * (STIFFNESS * (wanted - place) - 2.0 * speed), speed)
            place = torch.where(begun[:, 0], place + speed, place)
            heard = heard + 1
            out.append(reference + place)
        if self.state:
            self.state.features = keep(features, self.state.features, exec_mask)
            self.state.heard = keep(heard, self.state.heard, exec_mask)
            self.state.place = keep(place, self.state.place, exec_mask)
            self.state.speed = keep(speed, self.state.speed, exec_mask)
        return torch.stack(out, 1)


def travelling(seeds: Tensor, frame: Tensor, size: int, span: int) -> Tensor:
    """Latents [B, size] at frames [B]: drawings by seed and stretch, and between them an arc."""
    share = (frame % span).to(torch.float32)[:, None] / span * (torch.pi / 2)
    stretches = list(zip(seeds.tolist(), (frame // span).tolist(), strict=True))
    drawn = [torch.stack([_drawing(seed, number + k, size) for seed, number in stretches]) for k in (0, 1)]
    return torch.cos(share) * drawn[0] + torch.sin(share) * drawn[1]


def _drawing(seed: int, number: int, size: int) -> Tensor:
    chance = torch.Generator().manual_seed((seed * 1_000_003 + number) % (1 << 63))
    return torch.randn(size, generator=chance)
