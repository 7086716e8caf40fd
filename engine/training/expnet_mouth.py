"""SadTalker's ExpNet as a mouth of our evaluation: blendshapes read back as the articulators that would make them."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.facial.articulators import ARTICULATORS, spread_matrix
from engine.programs.expnet_lips import ExpNetLips

_SHUT_JAW = 0.03  # jawOpen below which mouthClose says nothing of the lips; the press does


def read_back(shapes: FloatArray) -> FloatArray:
    """Articulators [n, 9] of blendshapes [n, 52]: the reverse of `to_blendshapes`, the tongue apart, which it hides."""
    gain = {name: {NAMES[k]: float(g) for k, g in enumerate(row) if g} for name, row in _rows().items()}

    def seen(name: str) -> FloatArray:
        return np.asarray(shapes[:, INDEX[name]], np.float32)

    jaw, sealed = seen("jawOpen"), seen("mouthClose")
    pressed = seen("mouthPressLeft") / gain["close"]["mouthPressLeft"]
    close = np.clip(np.where(jaw > _SHUT_JAW, sealed / np.maximum(jaw, _SHUT_JAW), pressed), 0, 1)
    apart = np.maximum(1 - close, 0.1)
    funnel = seen("mouthFunnel") / gain["funnel"]["mouthFunnel"]
    pucker = (seen("mouthPucker") - gain["funnel"]["mouthPucker"] * funnel) / gain["pucker"]["mouthPucker"]
    return np.stack(
        [
            jaw / gain["jaw"]["jawOpen"],
            close,
            np.maximum(pucker, 0),
            funnel,
            seen("mouthSmileLeft") / gain["stretch"]["mouthSmileLeft"],
            seen("mouthLowerDownLeft") / apart,
            seen("mouthUpperUpLeft") / apart,
            seen("mouthRollLower") / gain["roll"]["mouthRollLower"],
            np.zeros_like(jaw),
        ],
        1,
    ).astype(np.float32)


def _rows() -> dict[str, FloatArray]:
    return dict(zip(ARTICULATORS, spread_matrix().numpy(), strict=True))


def expnet_mouth(look_ahead: int) -> Callable[[FloatArray], FloatArray]:
    """ExpNet running freely with ``look_ahead`` frames, its output moved to the frames it belongs to."""

    def run(samples: FloatArray) -> FloatArray:
        frames = len(samples) // SAMPLES_PER_FRAME
        padded = np.concatenate([samples[: frames * SAMPLES_PER_FRAME], np.zeros(look_ahead * SAMPLES_PER_FRAME)])
        lips, ahead, said = ExpNetLips(1), np.array([look_ahead]), []
        for piece in padded.astype(np.float32).reshape(-1, 1, SAMPLES_PER_FRAME):
            shapes = np.zeros((1, len(NAMES)), np.float32)
            lips.speak(shapes, piece, ahead, np.array([True]))
            said.append(shapes[0])
        return read_back(np.stack(said[look_ahead:])) if frames else np.zeros((0, len(ARTICULATORS)), np.float32)

    return run
