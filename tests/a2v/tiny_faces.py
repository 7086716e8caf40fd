"""Networks of a few thousand numbers, and faces of 16 pixels whose lips follow a sound."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.a2v.disentanglement.network_sizes import Sizes
from engine.a2v.disentanglement.talking_samples import Piece, save_piece

TINY = Sizes(
    picture=16,
    identity="plain",
    visual="plain",
    audio="plain",
    plain=(8, 16),
    appearance=8,
    features=16,
    nonlips=6,
    lips=10,
    start=4,
    channels=(16, 12, 8),
    judge=8,
    judge_layers=3,
)


def faces(folder: Path, frames: int = 8, side: int = 16, seed: int = 0) -> Piece:
    """A bright square that moves, over a bar (its lips) as high as its sound is."""
    rng = np.random.default_rng(seed)
    pictures = np.full((frames, 3, side, side), 40, np.uint8)
    pictures[:, 2] = rng.integers(60, 120)
    samples = np.zeros(640 * frames, np.float32)
    for k in range(frames):
        x, unit = 3 * k % 8 * side // 16, side // 16
        pictures[k, 0, unit : 9 * unit, x : x + side // 2] = 220
        open_ = 1 + k % 4
        pictures[k, 1, -5 * unit : (-5 + open_) * unit, side // 4 : -side // 4] = 230
        t = np.arange(640) / 16000
        samples[640 * k : 640 * (k + 1)] = 0.2 * open_ * np.sin(2 * np.pi * (250 + 130 * k) * t)
    return save_piece(folder / f"faces_{seed}.safetensors", pictures, samples)
