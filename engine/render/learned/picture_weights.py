"""The learned half of the picture to and from its weights file, as torch modules."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file

from engine.errors import VivifyError
from engine.render.learned.picture_generator import LearnedHalf

FORMAT = "vivify-picture-1"


def load_learned(path: Path) -> LearnedHalf:
    """The networks of a weights file, ready for inference. Raises VivifyError for a missing or unfit file."""
    if not path.is_file():
        raise VivifyError(
            f"Learned pictures need weights at {path}, but there are none: train them with scripts/train_picture, or "
            "use --quality geometry."
        )
    try:
        with safe_open(str(path), framework="pt") as file:
            notes = file.metadata() or {}
        if notes.get("format") != FORMAT:
            raise ValueError(f"its format is {notes.get('format', 'not told')}")
        model = LearnedHalf(**json.loads(notes["config"]))
        model.load_state_dict(load_file(str(path)))
    except (SafetensorError, OSError, KeyError, ValueError, TypeError, RuntimeError) as error:
        reason = str(error).splitlines()[0].rstrip(".: ")
        raise VivifyError(
            f"{path} should hold weights of the learned picture, but cannot be used ({reason}): train them anew with "
            "scripts/train_picture."
        ) from error
    for parameter in model.parameters():
        if parameter.dim() == 4:  # channels last: convolutions are a quarter faster
            parameter.data = parameter.data.contiguous(memory_format=torch.channels_last)
    return model.eval().requires_grad_(False)


def save_learned(model: LearnedHalf, path: Path, notes: dict[str, str] | None = None) -> None:
    """Write weights and config as safetensors. ``notes`` are kept beside them as text."""
    path.parent.mkdir(parents=True, exist_ok=True)
    config = json.dumps({"lips": model.motion.lips is not None})
    tensors = {name: value.contiguous() for name, value in model.state_dict().items()}
    save_file(tensors, str(path), (notes or {}) | {"format": FORMAT, "config": config})
