"""The driven face: neutral + expression, lips that do not cross, lids that close (VividTalk eq. 4 and 8).

Everything linear is prepared once per avatar; a frame costs one small matrix product and a few corrections.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, LIP, NAMES
from engine.face.lids import both_lids, open_eyes
from engine.face.morphable_model import face_model
from engine.face.own_expression import own_expression
from engine.face.surround import smoothstep
from engine.render.parts.lip_arch import LipArch
from engine.render.parts.lip_offsets import LipOffsets
from engine.render.parts.lip_ring import LipRing

UPPER = np.array(top.LIP_INNER_UPPER[1:-1])
LOWER = np.array(top.LIP_INNER_LOWER[1:-1])
LIPS = np.isin(NAMES, LIP)
SEAM = 0.01  # centimetres left between lips that the portrait shows apart: their dark line

GAIN = {"mouthPucker": 1.7, "mouthFunnel": 1.2}  # the fitted shapes round the lips too little to be read as U and O
ROUNDED = {"mouthPucker": 1.3, "mouthFunnel": 0.7}  # how much of a lasting smile rounding the lips takes away
OWN_FROM = 0.35  # of the way to the portrait's own expression, from which it shows: each such frame is painted twice
OWN_REACH = 0.35  # distance from the portrait's own expression at which nothing of it is left
OFFSET = 7.0  # how far, in that sense, one outer-eye-corner distance of lip offset is
UNSMILED = 0.7  # the most of it, as a coefficient of the smile
TUCKS = (0.2, 0.5)  # the roll of the lower lip from which, and at which, the upper teeth stand on it


class DrivenFace:
    """Vertices of the face mesh in portrait pixels for given blendshapes, before the head turns."""

    def __init__(self, avatar: Avatar) -> None:
        model = face_model()
        basis = avatar.scale * model.expressions @ avatar.rotation.T  # [52, 468, 3] pixels
        for side in ("Left", "Right"):
            basis[INDEX["eyeBlink" + side]] = 0  # lids follow their own rule
        lips = model.neutral[list(top.LIP_INNER)]
        away = np.linalg.norm(model.neutral[:, None] - lips[None], axis=2).min(1)
        near = np.exp(-((away / 2.0) ** 2))  # the lips alone: cheeks and jaw would swell with them
        for name, gain in GAIN.items():
            basis[INDEX[name]] *= 1 + (gain - 1) * near[:, None]
        smile = basis[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].sum(0) * near[:, None]
        lasting = _lasting_smile(avatar)
        for name, share in ROUNDED.items():
            basis[INDEX[name]] -= share * lasting * smile
        self._free = 1 - avatar.stiff[:, None] if avatar.stiff.any() else None  # [468, 1] what glasses let move
        if self._free is not None:
            basis *= self._free
        self._basis = np.ascontiguousarray(basis.reshape(len(NAMES), -1), np.float32)
        self._neutral = avatar.neutral
        self._down = np.ascontiguousarray(avatar.rotation[:, 1])  # the head's own downwards, [3]
        taper = np.sin(np.linspace(0, np.pi, len(UPPER) + 2)[1:-1])
        self._arch = LipArch(avatar.neutral, avatar.scale, self._down)
        self._ring = LipRing(avatar.neutral, avatar.scale, avatar.rotation)
        self._offsets = LipOffsets(avatar.rotation, avatar.unit)
        self._seam = (SEAM * avatar.scale * taper * (avatar.smile > 0)).astype(np.float32)
        self.own = own_expression(avatar)
        self._own_lips = self.own * LIPS
        self._unexplained = np.zeros_like(avatar.reference)
        if self._own_lips.any():
            self._unexplained = open_eyes(avatar.reference, avatar.shut) - self._lipped(self._own_lips)
        self._lids = both_lids()

    def __call__(self, beta: FloatArray, offsets: FloatArray | None = None) -> FloatArray:
        """Vertices [468, 3] for ARKit coefficients ``beta`` [52] and lip ``offsets`` [40, 3]."""
        face = self._lipped(beta, offsets)
        share = self.own_share(beta, offsets)
        if share > 0:
            face += share * self._unexplained
        before = face if self._free is None else face.copy()
        self._lids[0].close(face, float(beta[INDEX["eyeBlinkRight"]]))
        self._lids[1].close(face, float(beta[INDEX["eyeBlinkLeft"]]))
        return face if self._free is None else before + self._free * (face - before)

    def own_share(self, beta: FloatArray, offsets: FloatArray | None = None) -> float:
        """How much of the portrait's own expression ``beta`` [52] is: 1 at that expression, 0 at rest or elsewhere."""
        if not self._own_lips.any():
            return 0.0
        moved = np.zeros((1, 1), np.float32) if offsets is None else offsets.reshape(1, -1)
        return float(own_shares(beta[None], moved, self._own_lips[None])[0])

    @property
    def own_lips(self) -> FloatArray:
        """The lips' part [52] of the portrait's own expression; zero where its face is neutral."""
        return self._own_lips

    def _lipped(self, beta: FloatArray, offsets: FloatArray | None = None) -> FloatArray:
        """The face of ``beta`` [52] with its lips in shape and its lids untouched [468, 3]."""
        face = self._neutral + (beta @ self._basis).reshape(-1, 3)
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
    """`DrivenFace.own_share` of R rows [R]: ``beta`` [R, 52], lip ``offsets`` [R, n], `DrivenFace.own_lips` [R, 52].

    Nothing where a row's own lips are neutral.
    """
    along = np.clip((beta * own).sum(1) / np.maximum((own * own).sum(1), 1e-9), 0, 1)
    aside = np.linalg.norm((beta - along[:, None] * own) * LIPS, axis=1) + OFFSET * np.abs(offsets).max(1)
    return np.asarray(smoothstep((along - OWN_FROM) / (1 - OWN_FROM)) * smoothstep(1 - aside / OWN_REACH), np.float32)


def tucking(beta: FloatArray) -> float:
    """How far the lower lip of ``beta`` [52] is drawn in under the upper teeth (F, V), 0 to 1."""
    pressed = beta[INDEX["mouthPressLeft"]] + beta[INDEX["mouthPressRight"]] + beta[INDEX["mouthRollUpper"]]
    rolled = beta[INDEX["mouthRollLower"]] - TUCKS[0] - float(pressed)
    return float(smoothstep(rolled / (TUCKS[1] - TUCKS[0])) * smoothstep(1 - beta[INDEX["jawOpen"]] / 0.35))


def _lasting_smile(avatar: Avatar) -> float:
    """The smile that the neutral face keeps, as a coefficient: how far its mouth's corners are lifted."""
    model = face_model()
    corners, middle = [top.LIP_INNER_UPPER[0], top.LIP_INNER_UPPER[-1]], [13, 14]

    def lift(face: np.ndarray) -> float:  # centimetres above the middle of the lips
        return float((face[middle] - face[corners])[:, 1].mean())

    head = (avatar.neutral - avatar.shift) @ avatar.rotation / avatar.scale
    smile = model.expressions[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].sum(0)
    return float(np.clip((lift(head) - lift(model.neutral)) / lift(smile), 0, UNSMILED))
