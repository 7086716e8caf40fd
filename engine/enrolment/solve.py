"""Camera, identity and mouth expression of a photographed face, solved together.

Landmarks ``L`` are explained as ``s (mean + alpha U_id + beta U_exp) R^T + t`` (VividTalk eq. 1 under an orthographic
camera): Gauss-Newton over scale, rotation, shift, ``alpha`` (a ridge by how much each direction varies) and ``beta``
(a ridge, within 0 and 1). One after the other they would take each other's share: a long chin for an open jaw, a
nodding head for a dropped lip.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import NAMES
from engine.face.morphable_model import face_model, similarity

MOUTH = ("jawOpen", "mouthLowerDown", "mouthUpperUp", "mouthSmile", "mouthStretch", "mouthPucker", "mouthFunnel")
NOISE = 0.5  # centimetres by which a landmark may be off
LIP_TRUST = 1.7  # of the lips' inner rim: nothing but an expression opens it
SPREAD = 0.25  # of an expression's coefficient, before anything is seen
STEPS, STILL = 8, 1e-5
MOST_STEPS, FLAT = 50, 1e-10  # of the search within bounds, and when it ends


@dataclass(frozen=True)
class Solution:
    """What a face is made of: pixels = scale * (mean + alpha U_id + beta U_exp) @ rotation.T + shift."""

    scale: float
    rotation: FloatArray  # [3, 3]
    shift: FloatArray  # [3]
    beta: FloatArray  # [52] in [0, 1], of the mouth alone

    def expression(self) -> FloatArray:
        """The expression as movement of the vertices in pixels [468, 3]."""
        moved = np.tensordot(self.beta, face_model().expressions, 1)
        return np.asarray(self.scale * moved @ self.rotation.T, np.float32)


@cache
def _bases() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Identity without what the camera does [150, 1404], mouth expressions [n, 1404] and their rows in ARKit's list."""
    model = face_model()
    identity = model.identity.reshape(len(model.identity), -1).astype(np.float64)
    camera = np.linalg.qr(_camera(model.neutral - model.neutral.mean(0)))[0]
    rows = np.array([k for k, name in enumerate(NAMES) if name.startswith(MOUTH)])
    expressions = model.expressions[rows].reshape(len(rows), -1).astype(np.float64)
    return identity - (identity @ camera) @ camera.T, expressions, rows


def _camera(shape: np.ndarray) -> np.ndarray:
    """How ``shape`` [468, 3] moves when turned about x, y, z, scaled, and shifted along x, y, z [1404, 7]."""
    x, y, z = shape.T
    none, one = np.zeros(len(shape)), np.ones(len(shape))
    turns = [(none, -z, y), (z, none, -x), (-y, x, none)]
    shifts = [(one, none, none), (none, one, none), (none, none, one)]
    return np.stack([np.stack(move, 1).reshape(-1) for move in (*turns, (x, y, z), *shifts)], 1)


def solve(face: FloatArray) -> Solution:
    """The best explanation of landmarks ``face`` [468, 3] in pixels (z too, smaller is nearer)."""
    model = face_model()
    identity, expressions, rows = _bases()
    used = model.pose_weights > 0
    scale, rotation, shift = similarity(model.neutral[used], face[used], model.pose_weights[used])
    each = np.ones((top.VERTICES, 3))
    each[list(top.LIP_INNER)] *= LIP_TRUST
    trust = (each / NOISE).reshape(-1)
    ridge = np.r_[np.zeros(7), 1 / model.identity_spread, np.full(len(rows), 1 / SPREAD)] ** 2
    mean = model.neutral.reshape(-1).astype(np.float64)
    alpha, beta = np.zeros(len(identity)), np.zeros(len(rows))
    for _ in range(STEPS):
        shape = mean + alpha @ identity + beta @ expressions
        seen = ((face - shift) @ rotation / scale).reshape(-1)
        matrix = np.hstack([_camera(shape.reshape(-1, 3)), identity.T, expressions.T]) * trust[:, None]
        wanted = (seen - mean) * trust
        found = _bounded(matrix.T @ matrix + np.diag(ridge), matrix.T @ wanted, len(rows))
        turn, grow, move = found[:3], found[3], found[4:7]
        alpha, beta = found[7 : 7 + len(identity)], found[7 + len(identity) :]
        shift = shift + scale * rotation @ move
        rotation, scale = rotation @ _turned(turn), scale * (1 + grow)
        if np.abs(found[:4]).max() < STILL:
            break
    whole = np.zeros(len(NAMES), np.float32)
    whole[rows] = beta
    return Solution(float(scale), rotation.astype(np.float32), shift.astype(np.float32), whole)


def _bounded(square: np.ndarray, aim: np.ndarray, last: int) -> np.ndarray:
    """The minimum of x' square x / 2 - aim' x whose ``last`` entries lie within 0 and 1; the others are eliminated."""
    free = len(aim) - last
    inner, cross = square[:free, :free], square[:free, free:]
    solved = np.linalg.solve(inner, np.c_[cross, aim[:free]])
    rest = square[free:, free:] - cross.T @ solved[:, :last]
    goal = aim[free:] - cross.T @ solved[:, last]
    bounded = _within(rest, goal)
    return np.r_[solved[:, last] - solved[:, :last] @ bounded, bounded]


def _within(square: np.ndarray, aim: np.ndarray) -> np.ndarray:
    """The minimum of x' square x / 2 - aim' x with every x within 0 and 1: Newton's steps, held to the bounds.

    What lies on a bound and would leave it stays there; the others are solved for together.
    """

    def height(x: np.ndarray) -> float:
        return float(0.5 * x @ square @ x - aim @ x)

    x = np.clip(np.linalg.solve(square, aim), 0, 1)
    for _ in range(MOST_STEPS):
        slope = square @ x - aim
        free = ~((x <= 0) & (slope > 0) | (x >= 1) & (slope < 0))
        if not free.any() or np.abs(slope[free]).max() < FLAT * np.abs(aim).max():
            break
        step = np.zeros_like(x)
        step[free] = -np.linalg.solve(square[np.ix_(free, free)], slope[free])
        tried = (np.clip(x + share * step, 0, 1) for share in 0.5 ** np.arange(30))
        better = next((y for y in tried if height(y) < height(x)), None)
        if better is None:
            break
        x = better
    return x


def _turned(turn: np.ndarray) -> np.ndarray:
    """The rotation about the vector ``turn`` [3] by its length in radians."""
    angle = float(np.linalg.norm(turn))
    x, y, z = turn / max(angle, 1e-12)
    across = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * across + (1 - np.cos(angle)) * across @ across
