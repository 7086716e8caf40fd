"""The outside field: where hair, ears, neck, torso and background go when the face moves and the head turns.

Geometry gives the dense motion of VividTalk 3.3 before anything is learned: exact inside the mesh, and outside a sheet
that hangs on the face's oval (`engine.face.surround`).
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.topology import OVAL
from engine.render.parts.prepared_parts import PreparedSheet


class HeadTurn:
    """A rigid turn of the head about the neck, in portrait pixels."""

    def __init__(self, pivot: FloatArray, unit: float, rotation: FloatArray, translation: FloatArray) -> None:
        """Around ``pivot`` [3] in pixels, and moved by ``translation`` [3], which counts in ``unit`` pixels."""
        self.rotation = np.ascontiguousarray(rotation, np.float32)
        self._pivot = np.asarray(pivot, np.float32)
        self._shift = self._pivot + np.asarray(translation, np.float32) * np.float32(unit)
        self.still = bool(np.array_equal(self.rotation, np.eye(3)) and not np.any(translation))

    @property
    def numbers(self) -> tuple[FloatArray, FloatArray, FloatArray, bool]:
        """As `engine.render.placing` takes it: pivot, rotation, shift, and whether there is any turn."""
        return self._pivot, self.rotation, self._shift, not self.still

    def __call__(self, points: FloatArray) -> FloatArray:
        """Turned points [N, 3]; bit-exact copies when the head keeps the portrait's pose."""
        if self.still:
            return points.copy()
        return (points - self._pivot) @ self.rotation.T + self._shift


class OuterField:
    """How the sheet hangs on a driven face."""

    def __init__(self, sheet: PreparedSheet, reference: FloatArray) -> None:
        """``reference`` [468, 3] is the face on which the ``sheet`` hangs."""
        self._sheet = sheet
        self._oval = np.array(OVAL)
        self._reference = reference[self._oval]

    def __call__(self, face: FloatArray) -> FloatArray:
        """Places of its vertices [G, 3] for the driven ``face`` [468, 3], before the head turns."""
        points = self._sheet.points.copy()
        points[self._sheet.moved] += self._sheet.hang @ (face[self._oval] - self._reference)
        return points
