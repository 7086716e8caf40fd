"""Tracked motion brought to an avatar's mesh: what a fit missed of head and lips is found again."""

from __future__ import annotations

from math import radians

import numpy as np
import pytest

from engine.contracts import SAMPLES_PER_FRAME, Motion
from engine.enrolment.footage.driving.registration import registered
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.motion.rotation import rotation_matrix
from engine.render.renderer import Renderer, still

pytestmark = pytest.mark.cpu
LIPS = list(top.LIP_VERTICES)


def film(renderer: Renderer, frames: int = 24) -> tuple[list[Motion], np.ndarray]:
    """What a film's face does, and the landmarks [T, 478, 3] that a tracker without error would read."""
    motions, landmarks = [], np.zeros((frames, top.LANDMARKS, 3), np.float32)
    for k in range(frames):
        beta = still().blendshapes.copy()
        beta[INDEX["jawOpen"]] = 0.2 + 0.1 * np.sin(k / 3)
        turn = rotation_matrix(radians(6 * np.sin(k / 9)), radians(3 * np.cos(k / 8)), 0.0)
        offsets = np.full((len(LIPS), 3), [0.0, 0.004, 0.0], np.float32)
        motions.append(Motion(SAMPLES_PER_FRAME * k, beta, turn, np.full(3, 0.02, np.float32), offsets))
        landmarks[k, : top.VERTICES] = renderer.driven_mesh(motions[-1])
    return motions, landmarks


def apart(renderer: Renderer, motions: list[Motion], landmarks: np.ndarray) -> np.ndarray:
    """Mean distance of the lips from their landmarks in pixels, frame by frame."""
    meshes = np.stack([renderer.driven_mesh(motion) for motion in motions])
    return np.linalg.norm((meshes - landmarks[:, : top.VERTICES])[:, LIPS, :2], axis=2).mean(1)


def test_head_and_lips_are_brought_onto_the_film(renderer: Renderer) -> None:
    true, landmarks = film(renderer)
    wrong = rotation_matrix(radians(1.5), radians(-1.0), radians(0.5))
    none = np.zeros((len(LIPS), 3), np.float32)
    fitted = [
        Motion(m.position, m.blendshapes, (wrong @ m.rotation).astype(np.float32), m.translation - 0.03, none)
        for m in true
    ]
    before = apart(renderer, fitted, landmarks)
    after = apart(renderer, registered(renderer, fitted, landmarks), landmarks)
    assert before.min() > 3
    assert after.max() < 0.35


def test_a_motion_without_error_stays(renderer: Renderer) -> None:
    true, landmarks = film(renderer)
    for was, now in zip(true, registered(renderer, true, landmarks), strict=True):
        assert np.abs(now.rotation - was.rotation).max() < 1e-3
        assert np.abs(now.lip_offsets - was.lip_offsets).max() < 1e-3
        assert np.array_equal(now.blendshapes, was.blendshapes)
