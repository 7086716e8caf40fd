"""A portrait's lips: how thick they are once rounded, where their columns stand on a ring, what stays between them."""

from __future__ import annotations

import numpy as np

from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.render.parts.lip_ring import LOWER, UPPER
from engine.render.parts.prepared_parts import PreparedLips

EVEN = 0.6  # of the way from the columns' own places to even angles of a ring
PLUMP = 1.2  # how much thicker rounded lips are
PINCH = 0.45  # of it that their corners get: the dark painted there must not be dragged over the cheek
SEAM = 0.01  # centimetres left between lips that the portrait shows apart: their dark line


def prepare_lips(avatar: Avatar) -> PreparedLips:
    """``avatar``'s lips, measured on its neutral face."""
    head = avatar.neutral @ np.asarray(avatar.rotation, np.float32) / avatar.scale  # [468, 3] along the head's axes
    sides = [_side(head, *side) for side in ((UPPER, top.LIP_ROWS_UPPER), (LOWER, top.LIP_ROWS_LOWER))]
    apart = avatar.smile > 0
    taper = np.sin(np.linspace(0, np.pi, len(UPPER))[1:-1])
    return PreparedLips(
        thick=np.stack([thick for thick, _ in sides]),
        angle=np.stack([angle for _, angle in sides]),
        seam=(SEAM * avatar.scale * taper * apart).astype(np.float32),
        apart=apart,
    )


def _side(head: np.ndarray, rim: np.ndarray, rows: tuple[tuple[int, ...], ...]) -> tuple[np.ndarray, np.ndarray]:
    """One lip's thickness [3, 11] and angles [11] of ``head`` [468, 3], in centimetres along the head's axes."""
    taper = np.interp(np.arange(11), (0, 3, 7, 10), (PINCH, 1, 1, PINCH))
    thick = [PLUMP * np.linalg.norm((head[list(row)] - head[rim])[:, :2], axis=1) * taper for row in rows]
    across = (head[rim, 0] - head[rim[0], 0]) / (head[rim[-1], 0] - head[rim[0], 0])
    own = np.arccos(np.clip(1 - 2 * across, -1, 1))
    return np.array(thick), own + EVEN * (np.linspace(0, np.pi, len(rim)) - own)
