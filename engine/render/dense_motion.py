"""The outside field: where hair, ears, neck, torso and background go when the face moves and the head turns.

Geometry gives the dense motion of VividTalk 3.3 before anything is learned: exact inside the mesh, and outside a sheet
that hangs on the face's oval (`engine.face.surround`).
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.avatar import Avatar
from engine.face.topology import OVAL


class HeadTurn:
    """A rigid turn of the head about the neck, in portrait pixels."""

    def __init__(self, avatar: Avatar, rotation: FloatArray, translation: FloatArray) -> None:
        self.rotation = np.asarray(rotation, np.float32)
        self._pivot = avatar.pivot
        self._shift = avatar.pivot + np.asarray(translation, np.float32) * np.float32(avatar.unit)
        self.still = bool(np.array_equal(self.rotation, np.eye(3)) and not np.any(translation))

    def __call__(self, points: FloatArray) -> FloatArray:
        """Turned points [N, 3]; bit-exact copies when the head keeps the portrait's pose."""
        if self.still:
            return points.copy()
        return (points - self._pivot) @ self.rotation.T + self._shift


class OuterField:
    """Driven places of the sheet's vertices."""

    def __init__(self, avatar: Avatar) -> None:
        self._points = avatar.around
        self._head = avatar.around_head[:, None]
        column = {vertex: i for i, vertex in enumerate(OVAL)}
        hang = np.zeros((len(avatar.around), len(OVAL)), np.float32)
        rows = np.arange(len(avatar.around))
        for k in range(avatar.around_near.shape[1]):
            columns = np.array([column.get(int(v), 0) for v in avatar.around_near[:, k]])
            np.add.at(hang, (rows, columns), avatar.around_share[:, k] * avatar.around_skin)
        self._moved = np.flatnonzero(hang.max(1) > 1e-4)
        self._hang = np.ascontiguousarray(hang[self._moved])
        self._oval = np.array(OVAL)
        self._reference = avatar.reference[self._oval]

    def __call__(self, face: FloatArray, turn: HeadTurn) -> FloatArray:
        """Places [G, 3] for the driven, not yet turned ``face`` [468, 3] and the head's turn."""
        points = self._points.copy()
        points[self._moved] += self._hang @ (face[self._oval] - self._reference)
        if not turn.still:
            points += (turn(points) - points) * self._head
        return points
