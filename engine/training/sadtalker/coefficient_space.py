"""What the numbers mean that ExpNet and PoseVAE say: the official 64 + 6, or ours, ARKit's 52 + 6.

The official expression basis belongs to a face model that is not ours to ship, so its landmark losses need a file that
the user makes of it. Ours is the bundled face model, and ARKit's names say which numbers are lips and which are lids.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file
from torch import Tensor

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.face.morphable_model import face_model
from engine.face.topology import OUTER_CORNER_LEFT, OUTER_CORNER_RIGHT

POSE = 6
EYES_APART = 80.0  # pixels of the paper's 224 between the outer eye corners: what its weights of landmarks are made for
EYE = tuple(range(36, 48))  # of the 68 landmarks, counted from 0 as in eq. 4-6

# Our mesh's vertices that stand where the 68 usual landmarks do: jaw, brows, nose, eyes, lips; viewer's left first.
LANDMARK_VERTICES = (
    *(127, 234, 93, 58, 172, 136, 149, 148, 152, 377, 378, 365, 397, 288, 323, 454, 356),
    *(70, 63, 105, 66, 107, 336, 296, 334, 293, 300),
    *(168, 197, 5, 4, 75, 97, 2, 326, 305),
    *(33, 160, 158, 133, 153, 144, 362, 385, 387, 263, 373, 380),
    *(61, 39, 37, 0, 267, 269, 291, 405, 314, 17, 84, 181),
    *(78, 82, 13, 312, 308, 317, 14, 87),
)  # fmt: skip


@dataclass(frozen=True)
class CoefficientSpace:
    """Names and sizes of a motion's numbers, and the landmarks they move."""

    name: str
    expression: int
    lids: tuple[int, ...] = ()  # expressions that the blink signal alone moves
    lips: tuple[int, ...] = ()  # expressions that a voice moves
    landmarks: FloatArray | None = None  # [68, 2] of the face at rest, in pixels of 224
    basis: FloatArray | None = None  # [E, 68, 2] how each expression moves them

    def project(self, expression: Tensor) -> Tensor:
        """The 68 landmarks [..., 68, 2] of expressions [..., E], seen from the front."""
        if self.landmarks is None or self.basis is None:
            raise ValueError(f"The space {self.name} has no landmarks.")
        basis = torch.as_tensor(self.basis, dtype=expression.dtype, device=expression.device)
        rest = torch.as_tensor(self.landmarks, dtype=expression.dtype, device=expression.device)
        return rest + (expression @ basis.flatten(1)).unflatten(-1, (68, 2))

    def spoken(self) -> FloatArray:
        """1 for what a voice moves, 0 for the rest [E]."""
        out = np.zeros(self.expression, np.float32)
        out[list(self.lips)] = 1
        return out


def arkit_space() -> CoefficientSpace:
    """Ours: ARKit's 52 and the pose of `engine.motion.head.pose_codebook`, on the bundled face model."""
    model = face_model()
    at = list(LANDMARK_VERTICES)
    unit = EYES_APART / np.linalg.norm(model.neutral[OUTER_CORNER_RIGHT] - model.neutral[OUTER_CORNER_LEFT])
    return CoefficientSpace(
        "arkit",
        len(NAMES),
        (INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]),
        tuple(INDEX[name] for name in LIP),
        np.asarray(unit * model.neutral[at, :2], np.float32),
        np.asarray(unit * model.expressions[:, at, :2], np.float32),
    )


def official_space(landmarks: Path | None = None) -> CoefficientSpace:
    """The official 64 + 6. ``landmarks`` is a safetensors file of `rest` [68, 2] and `basis` [64, 68, 2] in pixels.

    Without it there is no landmark loss. Raises VivifyError for a file that does not hold them.
    """
    given: dict[str, np.ndarray] = {}
    if landmarks is not None:
        try:
            given = load_file(str(landmarks))
            if given["rest"].shape != (68, 2) or given["basis"].shape != (64, 68, 2):
                raise ValueError(f"rest is {given['rest'].shape}, basis {given['basis'].shape}")
        except Exception as problem:  # safetensors' own exceptions share no base class with the others
            reason = str(problem).splitlines()[0]
            raise VivifyError(
                f"{landmarks} was expected to hold rest [68, 2] and basis [64, 68, 2] as safetensors, but does not "
                f"({reason}): write them from the face model you use, in pixels of 224."
            ) from problem
    rest, basis = (np.asarray(given[k], np.float32) if given else None for k in ("rest", "basis"))
    return CoefficientSpace("official", 64, (), tuple(range(64)), rest, basis)
