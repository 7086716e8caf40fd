"""ExpNet as a function of tensors: a frame of lips."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn

from engine.sadtalker.voice.audio_encoder import COLUMNS, MELS
from engine.sadtalker.voice.exp_net import ExpNet

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
