"""Tracked motion brought to an avatar's own mesh: after it, the driven face lies on the film's landmarks.

A fit speaks of the model's head before an assumed camera, an avatar is one frame's own geometry seen without
perspective. Between the two, faces that turn come to lie a pixel or two beside the film, mouth and all, and whatever
learns from such pairs learns to paint mouths beside themselves. What is left over is solved for here, frame by frame:
the head's turn and shift from all that does not talk, then the lips' offsets.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.enrolment.footage.driving.steadiness import steadied
from engine.face import topology as top
from engine.face.morphable_model import face_model
from engine.render.renderer import Renderer

STEPS = 2  # of Gauss and Newton for each head
SPAN = 15  # frames over which what is left of the head's place is smoothed: landmarks tremble, heads do not
STIFF = 0.2  # of the mean curvature: turns that the landmarks hardly tell apart stay small
_LIPS = list(top.LIP_VERTICES)
_LIGHT = (0.15, 0.7, 0.15)  # smoothing of the lips over time; more would blur a closure of one frame


def registered(renderer: Renderer, motions: list[Motion], landmarks: FloatArray) -> list[Motion]:
    """``motions`` so corrected that the driven mesh lies on ``landmarks`` [T, 478, 3] (pixels of the portrait)."""
    avatar = renderer.avatar
    solved = [_head(renderer, motion, points) for motion, points in zip(motions, landmarks, strict=True)]
    turns, shifts = (steadied(np.stack(column), SPAN) for column in zip(*solved, strict=True))
    moved = []
    for motion, turn, shift in zip(motions, turns, shifts, strict=True):
        rotation = np.asarray(_rotation(turn) @ motion.rotation, np.float32)
        moved.append(replace(motion, rotation=rotation, translation=motion.translation + shift.astype(np.float32)))
    left = np.zeros((len(moved), len(_LIPS), 3))
    for k, (motion, points) in enumerate(zip(moved, landmarks, strict=True)):
        left[k, :, :2] = (points[: top.VERTICES] - renderer.driven_mesh(motion))[_LIPS, :2]
        left[k] = left[k] @ motion.rotation @ avatar.rotation / avatar.unit
    padded = np.concatenate([left[:1], left, left[-1:]])
    left = np.sum([w * padded[k : k + len(left)] for k, w in enumerate(_LIGHT)], axis=0)
    return [
        replace(motion, lip_offsets=(motion.lip_offsets + offsets).astype(np.float32))
        for motion, offsets in zip(moved, left, strict=True)
    ]


def _head(renderer: Renderer, motion: Motion, landmarks: FloatArray) -> tuple[np.ndarray, np.ndarray]:
    """The turn [3] (radians, a rotation vector) and shift [3] (outer-eye-corner distances) that ``motion`` lacks."""
    avatar, model = renderer.avatar, face_model()
    used = np.flatnonzero(model.pose_weights > 0)
    weight = np.repeat(np.sqrt(model.pose_weights[used]), 2)
    goal = landmarks[used, :2].astype(np.float64)
    turn, shift = np.zeros(3), np.zeros(3)
    for _ in range(STEPS):
        rotation = np.asarray(_rotation(turn) @ motion.rotation, np.float32)
        translation = (motion.translation + shift).astype(np.float32)
        mesh = renderer.driven_mesh(replace(motion, rotation=rotation, translation=translation))[used].astype(float)
        arm = mesh - (avatar.pivot + translation * avatar.unit)  # a turn w moves a vertex by w x arm
        zero, one = np.zeros(len(used)), np.ones(len(used))
        across = np.stack([zero, arm[:, 2], -arm[:, 1], one, zero], 1)
        down = np.stack([-arm[:, 2], zero, arm[:, 0], zero, one], 1)
        slope = np.stack([across, down], 1).reshape(-1, 5) * weight[:, None]
        rest = (goal - mesh[:, :2]).reshape(-1) * weight
        curvature = slope.T @ slope
        curvature[:3, :3] += STIFF * np.trace(curvature[:3, :3]) / 3 * np.eye(3)
        step = np.linalg.solve(curvature, slope.T @ rest)
        turn, shift = turn + step[:3], shift + np.append(step[3:], 0) / avatar.unit
    return turn, shift


def _rotation(turn: np.ndarray) -> np.ndarray:
    """The matrix [3, 3] of a small rotation vector [3] (Rodrigues)."""
    angle = float(np.linalg.norm(turn))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = turn / angle
    cross = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.asarray(np.eye(3) + np.sin(angle) * cross + (1 - np.cos(angle)) * cross @ cross)
