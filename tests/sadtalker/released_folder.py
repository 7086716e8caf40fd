"""A folder as the release has it, of small networks with random weights. Never shown to anybody."""

from __future__ import annotations

from pathlib import Path

import torch
from sadtalker.random_weights import random_weights
from safetensors.torch import save_file
from torch import Tensor

from engine.sadtalker.facerender.render_shape import RenderShape
from engine.sadtalker.voice.pose_vae import PoseShape
from engine.sadtalker.weights.network_set import Sizes, expected
from engine.sadtalker.weights.official_release import MAPPINGS, NETWORKS, POSE_PARTS

SMALL = Sizes(
    RenderShape(
        keypoints=4, block=4, flat=32, residuals=1, motion_block=4, motion_most=16, motion_blocks=3, finder_block=4,
        finder_most=16, finder_blocks=3, middles=1, hidden=8, descriptor=16,
    ),
    PoseShape(width=2, latent=8, hidden=8, channels=(4, 4, 8, 8)),
    width=2, face=2, judge=4,
)  # fmt: skip


def our_tensors(sizes: Sizes = SMALL, seed: int = 19) -> dict[str, Tensor]:
    """Random tensors under our names."""
    names = {f"{n}.{k}": list(shape) for n, part in expected(sizes).items() for k, shape in part.items()}
    return random_weights(names, seed)


def their_names(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same, but for the mapping networks, under the names of the safetensors release."""
    reverse = {ours: theirs for theirs, ours in NETWORKS.items()}
    named = {}
    for name, value in tensors.items():
        network, rest = name.split(".", 1)
        if network.startswith("mapping"):
            continue
        for theirs, ours in POSE_PARTS.items():
            if name.startswith(ours):
                named[f"audio2pose.{theirs}{name.removeprefix(ours)}"] = value
                break
        else:
            named[f"{reverse[network]}.{rest}"] = value
    return named


def mapping(tensors: dict[str, Tensor], network: str) -> dict[str, Tensor]:
    return {name.removeprefix(f"{network}."): v for name, v in tensors.items() if name.startswith(f"{network}.")}


def write_release(folder: Path, tensors: dict[str, Tensor], pixels: int = 256) -> Path:
    """The safetensors release with its pickled mapping networks. Returns the safetensors file."""
    folder.mkdir(parents=True, exist_ok=True)
    main = folder / f"SadTalker_V0.0.2_{pixels}.safetensors"
    unused = {"he_estimator.conv1.weight": torch.zeros(2, 2)}
    save_file({**their_names(tensors), **unused}, main)
    for name, network in MAPPINGS.items():
        torch.save({"mapping": mapping(tensors, network), "epoch": 3, "optimizer": {"state": {}}}, folder / name)
    return main
