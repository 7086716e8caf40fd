"""ExpNet and PoseVAE as functions of tensors: lips, a frame's sound, a pose between stretches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.motion.head.head_pose import within
from engine.motion.head.pose_codebook import scale
from engine.programs.posevae_head import SLOTS
from engine.sadtalker.voice.audio_encoder import COLUMNS, MELS
from engine.sadtalker.voice.exp_net import ExpNet
from engine.sadtalker.voice.pose_vae import PoseShape, PoseVAE

Named = dict[str, Tensor]


def _config(path: Path) -> dict[str, Any]:
    with safe_open(str(path), framework="pt") as file:
        found: dict[str, Any] = json.loads((file.metadata() or {})["config"])
    return found


def load_expnet(path: Path) -> ExpNet:
    """The ExpNet of a file that scripts/train_sadtalker wrote."""
    config = _config(path)
    net = ExpNet(config["expression"], config["width"])
    net.load_state_dict(load_file(str(path)))
    return net.eval().requires_grad_(False)


def load_posevae(path: Path) -> tuple[PoseVAE, int]:
    """The PoseVAE of such a file, without the half that only training needs, and its usual style."""
    config = _config(path)
    style = config.pop("style")
    config["channels"] = tuple(config["channels"])  # JSON has lists alone
    net = PoseVAE(PoseShape(**config))
    missing = net.load_state_dict(load_file(str(path)), strict=False)
    assert not missing.unexpected_keys
    assert all(name.startswith("encoder.") for name in missing.missing_keys)
    return net.eval().requires_grad_(False), style


class ExpNetStep(nn.Module):
    """windows [B, 80, 16], reference [B, E], blink [B] -> expression [B, E], within [0, 1]."""

    outputs = ("expression",)

    def __init__(self, net: ExpNet) -> None:
        super().__init__()
        self.model = net

    def example(self, rows: int) -> Named:
        """Some input of ``rows`` rows, by the names it goes in under."""
        reference = torch.rand(rows, self.model.expression)
        return {"windows": torch.randn(rows, MELS, COLUMNS), "reference": reference, "blink": torch.rand(rows)}

    def forward(self, windows: Tensor, reference: Tensor, blink: Tensor) -> Tensor:
        said: Tensor = self.model(windows[:, None], reference, blink[:, None])
        return said[:, 0].clamp(0, 1)


class SoundStep(nn.Module):
    """windows [B, 80, 16] -> what PoseVAE's decoder makes of a frame's sound [B, 6]."""

    outputs = ("sound",)

    def __init__(self, net: PoseVAE) -> None:
        super().__init__()
        self.model = net

    def example(self, rows: int) -> Named:
        """Some input of ``rows`` rows."""
        return {"windows": torch.randn(rows, MELS, COLUMNS)}

    def forward(self, windows: Tensor) -> Tensor:
        heard: Tensor = self.model.decoder.linear_audio(self.model.hear(windows[:, None]))
        return heard[:, 0]


class StretchStep(nn.Module):
    """A pose [B, 6] between an older stretch and a newer one, at their frames ``place`` [B, 2].

    sound [B, 2, T, 6], latent [B, 2, Z], reference [B, 2, 6], place [B, 2], newer [B] the share of the newer. Comes as
    it is shown, within the engine's limits, and scaled, as the next stretch's reference.
    """

    outputs = ("heads", "scaled")

    def __init__(self, net: PoseVAE, style: int) -> None:
        super().__init__()
        self.model, self._style = net, style

    def example(self, rows: int) -> Named:
        """Some input of ``rows`` rows."""
        shape = self.model.shape
        return {
            "sound": torch.randn(rows, SLOTS, shape.frames, shape.pose),
            "latent": torch.randn(rows, SLOTS, shape.latent),
            "reference": torch.randn(rows, SLOTS, shape.pose),
            "place": torch.arange(rows)[:, None].expand(-1, SLOTS).contiguous(),
            "newer": torch.rand(rows),
        }

    def forward(
        self, sound: Tensor, latent: Tensor, reference: Tensor, place: Tensor, newer: Tensor
    ) -> tuple[Tensor, Tensor]:
        decoder, known = self.model.decoder, reference.flatten(0, 1)
        biased = latent.flatten(0, 1) + decoder.classbias[self._style]
        rough = decoder.MLP(torch.cat([known, biased, sound.flatten(0, 1).flatten(1)], 1))
        motion = decoder.pose_linear(decoder.resunet(rough.unflatten(1, (1, decoder.frames, -1)))[:, 0])
        motion = motion.unflatten(0, (-1, SLOTS))  # [B, 2, T, 6]
        here = place[:, :, None, None].expand(-1, -1, 1, motion.shape[3])
        pose = reference + motion.gather(2, here)[:, :, 0]
        mixed = pose[:, 0] + newer[:, None] * (pose[:, 1] - pose[:, 0])
        return within(mixed * scale(mixed)), mixed
