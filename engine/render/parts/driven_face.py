"""The driven face: neutral + expression, lips that do not cross, lids that close (VividTalk eq. 4 and 8).

Everything linear was prepared once per avatar; a frame costs one small matrix product and a few corrections.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.face.lids import both_lids
from engine.face.surround import smoothstep
from engine.render.parts.lip_arch import LipArch
from engine.render.parts.lip_offsets import LipOffsets
from engine.render.parts.lip_ring import LipRing
from engine.render.parts.prepared_parts import PreparedFace, PreparedHead, PreparedLips

UPPER = np.array(top.LIP_INNER_UPPER[1:-1])
LOWER = np.array(top.LIP_INNER_LOWER[1:-1])
LIPS = np.isin(NAMES, LIP)

OWN_FROM = 0.35  # of the way to the portrait's own expression, from which it shows: each such frame is painted twice
OWN_REACH = 0.35  # distance from the portrait's own expression at which nothing of it is left
OFFSET = 7.0  # how far, in that sense, one outer-eye-corner distance of lip offset is
TUCKS = (0.2, 0.5)  # the roll of the lower lip from which, and at which, the upper teeth stand on it


class DrivenFace:
    """Vertices of the face mesh in portrait pixels for given blendshapes, before the head turns."""

    def __init__(self, head: PreparedHead, face: PreparedFace, lips: PreparedLips) -> None:
        self._face, self._seam = face, lips.seam
        self._held = bool((face.free < 1).any())  # by glasses
        self._smiles, self._smiling = bool(face.own_lips.any()), float(face.own_lips @ face.own_lips)
        self._down = np.ascontiguousarray(head.rotation[:, 1])  # the head's own downwards, [3]
        self._arch = LipArch(face.neutral, head.scale, self._down)
        self._ring = LipRing(lips.thick, lips.angle, head.scale, head.rotation)
        self._offsets = LipOffsets(head.rotation, head.unit)
        self._lids = both_lids()

    def __call__(self, beta: FloatArray, offsets: FloatArray | None = None, share: float | None = None) -> FloatArray:
        """Vertices [468, 3] for ARKit coefficients ``beta`` [52] and lip ``offsets`` [40, 3].

        ``share`` is their `own_share`, where that is known.
        """
        face = self.lipped(beta, offsets)
        share = self.own_share(beta, offsets) if share is None else share
        if share > 0:
            face += share * self._face.unexplained
        before = face.copy() if self._held else face
        self._lids[0].close(face, float(beta[INDEX["eyeBlinkRight"]]))
        self._lids[1].close(face, float(beta[INDEX["eyeBlinkLeft"]]))
        return before + self._face.free * (face - before) if self._held else face

    def own_share(self, beta: FloatArray, offsets: FloatArray | None = None) -> float:
        """How much of the portrait's own expression ``beta`` [52] is: 1 at that expression, 0 at rest or elsewhere."""
        if not self._smiles or float(beta @ self._face.own_lips) <= OWN_FROM * self._smiling:
            return 0.0
        moved = np.zeros((1, 1), np.float32) if offsets is None else offsets.reshape(1, -1)
        return float(own_shares(beta[None], moved, self._face.own_lips[None])[0])

    def lipped(self, beta: FloatArray, offsets: FloatArray | None = None) -> FloatArray:
        """The face of ``beta`` [52] with its lips in shape and its lids untouched [468, 3]."""
        face = self._face.neutral + (beta @ self._face.basis).reshape(-1, 3)
        self._arch.shape(face)
        self._ring.shape(face, beta)
        self._arch.tuck(face, tucking(beta))
        if offsets is not None:
            self._offsets.move(face, offsets)
        self._part_lips(face)
        return np.asarray(face, np.float32)

    def _part_lips(self, face: FloatArray) -> None:
        """Lips that have crossed meet in the middle."""
        gap = (face[LOWER] - face[UPPER]) @ self._down
        lack = 0.5 * np.maximum(self._seam - gap, 0)[:, None] * self._down
        face[LOWER] += lack
        face[UPPER] -= lack


def own_shares(beta: FloatArray, offsets: FloatArray, own: FloatArray) -> FloatArray:
    """`DrivenFace.own_share` of R rows [R]: ``beta`` [R, 52], lip ``offsets`` [R, n], `PreparedFace.own_lips` [R, 52].

    Nothing where a row's own lips are neutral.
    """
    along = np.clip((beta * own).sum(1) / np.maximum((own * own).sum(1), 1e-9), 0, 1)
    aside = np.linalg.norm((beta - along[:, None] * own) * LIPS, axis=1) + OFFSET * np.abs(offsets).max(1)
    return np.asarray(smoothstep((along - OWN_FROM) / (1 - OWN_FROM)) * smoothstep(1 - aside / OWN_REACH), np.float32)


def tucking(beta: FloatArray) -> float:
    """How far the lower lip of ``beta`` [52] is drawn in under the upper teeth (F, V), 0 to 1."""
    pressed = beta[INDEX["mouthPressLeft"]] + beta[INDEX["mouthPressRight"]] + beta[INDEX["mouthRollUpper"]]
    rolled = float(beta[INDEX["mouthRollLower"]]) - TUCKS[0] - float(pressed)
    if rolled <= 0:
        return 0.0
    return float(smoothstep(rolled / (TUCKS[1] - TUCKS[0])) * smoothstep(1 - float(beta[INDEX["jawOpen"]]) / 0.35))
