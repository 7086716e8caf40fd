"""The hidden side: what may stand in for it, and an outline without a notch where it begins."""

from __future__ import annotations

import numpy as np
import pytest

from engine.face import topology as top
from engine.face.hidden_side import OVAL, _trust

pytestmark = pytest.mark.cpu


def test_sides_in_like_light_are_exchanged_others_not() -> None:
    assert _trust(np.array([1.0, 1.1, 1.2], np.float32)) == 1
    assert _trust(np.array([0.45, 0.4, 0.4], np.float32)) == 0, "deep shade"
    assert _trust(np.array([1.7, 2.5, 2.5], np.float32)) == 0
    between = _trust(np.array([1.0, 1.6, 1.2], np.float32))
    assert 0 < between < 1


def test_the_rim_lets_go_of_the_sheet_gradually() -> None:
    from engine.face.hidden_side import _beyond

    angle = np.linspace(0, 2 * np.pi, len(OVAL), endpoint=False)
    face = np.zeros((top.VERTICES, 3), np.float32)
    face[OVAL, :2] = 128 + 80 * np.stack([np.sin(angle), -np.cos(angle)], 1)
    y, x = np.mgrid[0:256, 0:256]
    area = (np.hypot(x - 128, y - 128) < 80).astype(np.float32)
    area[100:156, 200:230] = 1  # a stretch of the rim lies within the visible face
    moved = np.linalg.norm(_beyond(face, area) - face[OVAL, :2], axis=1)
    assert moved.max() > 5
    assert (moved[len(OVAL) // 2 - 3 : len(OVAL) // 2 + 4] < 4).all()
    steps = np.abs(np.diff(np.r_[moved, moved[0]]))
    assert steps.max() < 0.75 * moved.max(), "from one vertex to the next"
