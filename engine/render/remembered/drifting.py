"""Where what surrounds a face goes as the head moves, as a film of the person showed it.

One photograph does not tell how deep hair and ears lie, nor whether shoulders follow. A film does: beside the sheet's
own motion (`engine.render.dense_motion`) each place drifts by a linear function of the head's turn and shift.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.kept.film_memory import NODES, Drift
from engine.face.surround import smoothstep

MARGIN = 1 / 16  # how far the nodes reach over the portrait's edge, as a share of its side
HOLDS = 0.2  # of the face's width: how far from its outline the face's own motion is felt
BORDER = 0.12  # of the portrait's side: how far from its border that is felt, or a drift would pull it into view


def head_numbers(motion: Motion) -> FloatArray:
    """Where the head is [5], zero in the portrait's pose: yaw, pitch, roll, across, down."""
    turn, shift = motion.rotation, motion.translation
    return np.array([5 * turn[0, 2], 5 * turn[1, 2], 5 * turn[1, 0], 10 * shift[0], 10 * shift[1]], np.float32)


def drift_terms(drift: Drift, numbers: FloatArray) -> FloatArray:
    """The terms [..., 7] of a head's `head_numbers` [..., 5], no farther than the film showed; zero at rest."""
    z = np.clip(numbers / drift.usual, drift.low, drift.high)
    return np.concatenate([z, z[..., :1] ** 2, z[..., :1] * z[..., 1:2]], -1, dtype=np.float32)


def node_cells(points: FloatArray, size: int) -> tuple[np.ndarray, FloatArray]:
    """The four nodes [n, 4] around each of ``points`` [n, 2] of a portrait of ``size``, and their shares [n, 4]."""
    along = np.clip((points / size + MARGIN) / (1 + 2 * MARGIN) * (NODES - 1), 0, NODES - 1.001)
    first = along.astype(int)
    x, y = (along - first).T
    number = first[:, 1] * NODES + first[:, 0]
    shares = np.stack([(1 - y) * (1 - x), (1 - y) * x, y * (1 - x), y * x], 1)
    return number[:, None] + np.array([0, 1, NODES, NODES + 1]), shares.astype(np.float32)


def freedom(avatar: Avatar, points: FloatArray) -> FloatArray:
    """How far ``points`` [n, 2] of the portrait may drift, 0 on the outline of face or portrait to 1 [n]."""
    oval = avatar.reference[list(top.OVAL), :2]
    width = float(np.linalg.norm(avatar.reference[top.EAR_RIGHT] - avatar.reference[top.EAR_LEFT]))
    away = np.full(len(points), np.inf)
    for a, b in zip(oval, np.roll(oval, -1, axis=0), strict=True):
        along = np.clip((points - a) @ (b - a) / max(float((b - a) @ (b - a)), 1e-6), 0, 1)
        away = np.minimum(away, np.linalg.norm(points - a - along[:, None] * (b - a), axis=1))
    inward = np.minimum(points, avatar.size - 1 - points).min(1) / (BORDER * avatar.size)
    return (smoothstep(away / (HOLDS * width)) * smoothstep(inward)).astype(np.float32)


class Drifting:
    """The drift of one avatar's sheet."""

    def __init__(self, avatar: Avatar, drift: Drift) -> None:
        self._drift = drift
        points = avatar.around[:, :2]
        nodes, shares = node_cells(points, avatar.size)
        known = drift.nodes.reshape(len(drift.nodes), -1, 2)
        spread = (known[:, nodes] * shares[..., None]).sum(2) * freedom(avatar, points)[:, None]
        self._spread = np.ascontiguousarray(spread.reshape(len(spread), -1), np.float32)  # [7, 2 G]

    def __call__(self, motion: Motion) -> FloatArray:
        """By how much each of the sheet's points drifts [G, 2], in pixels of the portrait."""
        terms = drift_terms(self._drift, head_numbers(motion))
        return np.asarray((terms @ self._spread).reshape(-1, 2), np.float32)
