"""PoseVAE: stretches of head poses from a voice, a style and chance (SadTalker 3.2, figure 4)."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from engine.sadtalker.voice.audio_encoder import audio_encoder, encode_windows
from engine.sadtalker.voice.pose_unet import CHANNELS, PoseUNet


@dataclass(frozen=True)
class PoseShape:
    """The sizes of a PoseVAE; the defaults are those of the released weights.

    ``own_variance``: the released encoder computes its log-variance by the layer of the means, and never uses the one
    it has for it. False does the same; True uses it, which training wants.
    """

    pose: int = 6  # numbers of one pose: three angles, three of translation
    frames: int = 32  # of one stretch; a multiple of eight
    styles: int = 46
    latent: int = 64
    hidden: int = 128
    width: int = 32  # of the audio encoder
    channels: tuple[int, int, int, int] = CHANNELS  # of the U-Net
    own_variance: bool = False


class PoseEncoder(nn.Module):
    """True relative poses -> the latent distribution's mean and log-variance."""

    def __init__(self, shape: PoseShape) -> None:
        super().__init__()
        self.own_variance = shape.own_variance
        self.resunet = PoseUNet(shape.channels)
        inputs = shape.pose + 2 * shape.frames * shape.pose + shape.latent
        self.MLP = nn.Sequential(OrderedDict(L0=nn.Linear(inputs, shape.hidden), A0=nn.ReLU()))
        self.linear_means = nn.Linear(shape.hidden, shape.latent)
        self.linear_logvar = nn.Linear(shape.hidden, shape.latent)
        self.linear_audio = nn.Linear(16 * shape.width, shape.pose)
        self.classbias = nn.Parameter(torch.randn(shape.styles, shape.latent))

    def forward(self, motion: Tensor, audio: Tensor, reference: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        poses = self.resunet(motion[:, None]).flatten(1)
        heard = self.linear_audio(audio).flatten(1)
        hidden = self.MLP(torch.cat([reference, poses, heard, self.classbias[style]], 1))
        mean = self.linear_means(hidden)
        return mean, self.linear_logvar(hidden) if self.own_variance else mean


class PoseDecoder(nn.Module):
    """A latent and the conditions -> relative poses."""

    def __init__(self, shape: PoseShape) -> None:
        super().__init__()
        self.frames = shape.frames
        self.resunet = PoseUNet(shape.channels)
        span = shape.frames * shape.pose
        self.MLP = nn.Sequential(
            OrderedDict(
                L0=nn.Linear(shape.pose + shape.latent + span, shape.hidden),
                A0=nn.ReLU(),
                L1=nn.Linear(shape.hidden, span),
                sigmoid=nn.Sigmoid(),
            )
        )
        self.pose_linear = nn.Linear(shape.pose, shape.pose)
        self.linear_audio = nn.Linear(16 * shape.width, shape.pose)
        self.classbias = nn.Parameter(torch.randn(shape.styles, shape.latent))

    def forward(self, latent: Tensor, audio: Tensor, reference: Tensor, style: Tensor) -> Tensor:
        heard = self.linear_audio(audio).flatten(1)
        rough = self.MLP(torch.cat([reference, latent + self.classbias[style], heard], 1))
        poses = self.resunet(rough.unflatten(1, (1, self.frames, -1)))
        motion: Tensor = self.pose_linear(poses[:, 0])
        return motion


class PoseVAE(nn.Module):
    """Both halves and the audio encoder they hear through, which stays as it came (eval, no gradient) in training.

    Motion [B, frames, pose] is relative to the reference pose [B, pose]; ``style`` [B] int64 chooses a learned bias
    of the latent; ``audio`` [B, frames, D] is what `hear` makes of mel windows.
    """

    def __init__(self, shape: PoseShape | None = None) -> None:
        super().__init__()
        self.shape = shape or PoseShape()
        self.audio_encoder = audio_encoder(self.shape.width)
        self.encoder = PoseEncoder(self.shape)
        self.decoder = PoseDecoder(self.shape)

    def hear(self, windows: Tensor) -> Tensor:
        """Features [B, T, D] of mel windows [B, T, 80, 16]."""
        return encode_windows(self.audio_encoder, windows)

    def encode(self, motion: Tensor, audio: Tensor, reference: Tensor, style: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log-variance, both [B, latent]."""
        mean, log_variance = self.encoder(motion, audio, reference, style)
        return mean, log_variance

    def decode(self, latent: Tensor, audio: Tensor, reference: Tensor, style: Tensor) -> Tensor:
        """Relative poses [B, frames, pose] for ``latent`` [B, latent]."""
        motion: Tensor = self.decoder(latent, audio, reference, style)
        return motion

    def forward(
        self, motion: Tensor, audio: Tensor, reference: Tensor, style: Tensor, noise: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Training: poses made again, mean and log-variance; ``noise`` [B, latent] is standard normal."""
        mean, log_variance = self.encode(motion, audio, reference, style)
        latent = mean + noise * torch.exp(0.5 * log_variance)
        return self.decode(latent, audio, reference, style), mean, log_variance
