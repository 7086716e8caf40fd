"""The 3D morphable face: S = mean + alpha U_id + beta U_exp (VividTalk eq. 1) on the 468-vertex topology.

``alpha`` are 150 coefficients of an orthonormal basis, ``beta`` ARKit's 52. What the identity basis cannot express of
a portrait is kept per vertex by the avatar, so the portrait stays exact (docs/face.md). Lengths are centimetres on a
face whose outer eye corners are 8.89 cm apart; axes are those of `engine.contracts` (x right, y down, z away from the
viewer).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.blendshapes import NAMES
from engine.face.topology import VERTICES
from engine.paths import assets

FILE = Path("face") / "model.safetensors"
IDENTITY = 150  # length of alpha


@dataclass(frozen=True)
class FaceModel:
    """The bundled basis; arrays are read-only and shared."""

    neutral: FloatArray  # [468, 3]
    triangles: np.ndarray  # [898, 3] int32
    expressions: FloatArray  # [52, 468, 3]
    identity: FloatArray  # [150, 468, 3], orthonormal over all coordinates
    identity_spread: FloatArray  # [150], how much each direction varies
    pose_weights: FloatArray  # [468], which vertices a head pose is read from

    def shape(self, alpha: FloatArray, beta: FloatArray) -> FloatArray:
        """Eq. 1: vertices [468, 3] of identity ``alpha`` [150] and expression ``beta`` [52], in centimetres."""
        moved = np.tensordot(alpha, self.identity, 1) + np.tensordot(beta, self.expressions, 1)
        return self.neutral + moved.astype(np.float32)

    def fit_identity(self, vertices: FloatArray, strength: float = 0.05) -> tuple[FloatArray, FloatArray]:
        """``alpha`` [150] of given neutral vertices [468, 3] in the model's frame, and what it leaves [468, 3]."""
        basis = self.identity.reshape(len(self.identity), -1).astype(np.float64)
        target = (vertices - self.neutral).reshape(-1).astype(np.float64)
        spread = np.maximum(self.identity_spread / self.identity_spread.max(), 1e-4)
        # A ridge in units of each direction's own spread: rare directions need more evidence.
        alpha = (basis @ target) / (1.0 + strength / spread)
        rest = target - alpha @ basis
        return alpha.astype(np.float32), rest.reshape(VERTICES, 3).astype(np.float32)


@cache
def face_model() -> FaceModel:
    """The bundled model, read once. Raises `VivifyError` when its file is missing or damaged."""
    path = assets() / FILE
    try:
        data = load_file(path)
        model = FaceModel(
            neutral=data["neutral"],
            triangles=data["triangles"],
            expressions=data["expressions"].astype(np.float32),
            identity=data["identity"].astype(np.float32),
            identity_spread=data["identity_spread"],
            pose_weights=data["pose_weights"],
        )
    except (OSError, KeyError, ValueError) as problem:
        raise VivifyError(
            f"The face model was expected in {path}, but it is missing or damaged: reinstall vivify."
        ) from problem
    for name, count in (("expressions", len(NAMES)), ("identity", IDENTITY)):
        shape = getattr(model, name).shape
        if shape != (count, VERTICES, 3):
            raise VivifyError(f"The face model {path} holds {name} of shape {shape}: reinstall vivify.")
    for array in vars(model).values():
        array.setflags(write=False)
    return model


def similarity(
    source: np.ndarray, target: np.ndarray, weights: np.ndarray | None = None
) -> tuple[float, np.ndarray, np.ndarray]:
    """Scale, rotation [3, 3] and shift [3] that bring ``source`` [N, 3] closest to ``target`` (Umeyama)."""
    w = np.ones(len(source)) if weights is None else np.asarray(weights, float)
    w = w / w.sum()
    a, b = w @ source, w @ target
    x, y = source - a, target - b
    u, s, vt = np.linalg.svd((y * w[:, None]).T @ x)
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(u @ vt))])
    rotation = (u * sign) @ vt
    scale = float((s * sign).sum() / (w @ (x**2).sum(1)))
    return scale, rotation, b - scale * rotation @ a
