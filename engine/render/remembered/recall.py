"""What a film showed of a face that does this, added to the picture that geometry painted."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import SQUARED, Look
from engine.face.panels import LUMA
from engine.face.surround import smoothstep
from engine.render.remembered.canvases import canvas

CHIN = (152, 175, 18, 200)
LIPS = list(top.LIP_VERTICES) + list(CHIN)
EYES = ("eyeBlink", "eyeSquint", "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeWide", "browDown")
BEGINS = 2.0  # how soon what never changes is there, once a face moves
FORGETS = 3.0  # times as far as the film went: there nothing of it is left
STRONGEST, TINTED = 60.0, 22.0  # grey levels that are added at most, and by which a colour may differ from them


def raw_features(region: str, avatar: Avatar, face: FloatArray, beta: FloatArray, rotation: FloatArray) -> np.ndarray:
    """What tells how ``region`` looks [r]: ``face`` [468, 3] is driven, but not yet turned."""
    turn = 5 * rotation[:2, 2]
    if region == "mouth":
        moved = (face[LIPS] - avatar.neutral[LIPS]) @ avatar.rotation / avatar.scale
        return np.concatenate([moved[:, :2].reshape(-1), turn])
    side = "Right" if region == "eye_right" else "Left"
    return np.concatenate([beta[[INDEX[name + side] for name in EYES]], turn])


def terms(look: Look, raw: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The terms [..., m] of raw features [..., r], and how much of the film is believed there [...]."""
    z = raw @ look.axes
    far = np.sqrt((z * z).mean(-1)) / look.reach[0]
    believed = 1 - smoothstep((far - 1) / (FORGETS - 1))
    z = np.clip(z, look.low, look.high)
    constant = 1 - np.exp(-BEGINS * (z * z).sum(-1, keepdims=True))
    pairs = [z[..., i : i + 1] * z[..., j : j + 1] for i in range(SQUARED) for j in range(i, SQUARED)]
    return np.concatenate([constant, z, *pairs], -1), believed


class Recall:
    """One region of one avatar in one renderer's pictures."""

    def __init__(self, avatar: Avatar, region: str, look: Look) -> None:
        self._avatar, self._region, self._look = avatar, region, look
        self._canvas = canvas(region)
        if look.looks.shape[1:3] != self._canvas.shape:
            raise ValueError(f"the film's {region} has {look.looks.shape[1:3]} pixels instead of {self._canvas.shape}")
        kept = look.looks * look.steps[:, None, None, None] * self._canvas.fade
        self._looks = np.ascontiguousarray(kept.reshape(len(kept), -1), np.float32)
        self._stamps = np.zeros((1, 1), np.int32)
        self._stamp = 0

    def add(
        self,
        out: ByteArray,
        vertices: FloatArray,
        face: FloatArray,
        beta: FloatArray,
        rotation: FloatArray,
        share: float,
    ) -> None:
        """Add to ``out`` [S, S, 3], where the face's mesh lies at ``vertices`` [468, 3], ``share`` of what is known."""
        from kernels.cpu.laying import lay_on

        found, believed = terms(self._look, raw_features(self._region, self._avatar, face, beta, rotation))
        gate = share * float(believed)
        if gate <= 0:
            return
        added = (gate * (found.astype(np.float32) @ self._looks)).reshape(-1, 3)
        light = (added @ LUMA)[:, None]  # a film too short may mistake its colours: what is said of them is held close
        added = np.clip(light, -STRONGEST, STRONGEST) + np.clip(added - light, -TINTED, TINTED)
        if self._stamps.shape != out.shape[:2]:
            self._stamps = np.zeros(out.shape[:2], np.int32)
        self._stamp += 1
        flat = self._canvas
        picture = added.reshape(*flat.shape, 3)
        lay_on(vertices, flat.triangles, flat.places, picture, self._stamps, self._stamp, out)
