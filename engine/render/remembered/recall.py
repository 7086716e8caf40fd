"""What a film showed of a face that does this, added to the picture that geometry painted."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import SQUARED, Look
from engine.imaging.resampling import resized
from engine.render.remembered.canvases import canvas, inside
from kernels.cpu.laying import blend, lay_on, lay_on_planes, weigh

CHIN = (152, 175, 18, 200)
LIPS = np.array((*top.LIP_VERTICES, *CHIN))
EYES = ("eyeBlink", "eyeSquint", "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeWide", "browDown")
EYE_SHAPES = {
    f"eye_{side.lower()}": np.array([INDEX[name + side] for name in EYES]) for side in ("Right", "Left")
}  # [8] of the blendshapes
BEGINS = 2.0  # how soon what never changes is there, once a face moves
FORGETS = 2.5  # times as far as the film went: there nothing of it is left
# Grey levels that are added at most, and by which a colour may differ from them, on skin and between the lips. A film
# too short may mistake its colours, so what is said of them is held close.
LIMITS = (60.0, 22.0, 170.0, 26.0)
RGB = np.eye(3, dtype=np.float32)
I420 = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]], np.float32) / 255
)  # BT.601
ZERO = np.float32(0)
LAST_STAMP = 252  # of a byte's, each call uses two
FAINT = 0.03  # the share below which a frame is not looked at: each costs time


def raw_features(region: str, avatar: Avatar, face: FloatArray, beta: FloatArray, rotation: FloatArray) -> np.ndarray:
    """What tells how ``region`` looks [r]: ``face`` [468, 3] is driven, but not yet turned."""
    turn = 5 * rotation[:2, 2]
    if region == "mouth":
        moved = (face.take(LIPS, 0) - avatar.neutral.take(LIPS, 0)) @ (avatar.rotation[:, :2] / avatar.scale)
        return np.concatenate([moved.reshape(-1), turn], dtype=np.float32)
    return np.concatenate([beta[EYE_SHAPES[region]], turn], dtype=np.float32)


def terms(look: Look, raw: np.ndarray) -> FloatArray:
    """How much of each of a look's m layers raw features [T, r] call for [T, m]: less, the less the film tells."""
    out = np.empty((len(raw), len(look.steps)), np.float32)
    known = look.axes, look.low, look.high, float(look.reach[0])
    weigh(np.asarray(raw, np.float32), *known, SQUARED, BEGINS, FORGETS, look.onto, look.seen, FAINT, out)
    return out


class Recall:
    """One region of one avatar in one renderer's pictures."""

    def __init__(self, avatar: Avatar, region: str, look: Look) -> None:
        self._avatar, self._region, self._look = avatar, region, look
        flat, layers, hidden = canvas(region), look.looks, inside(region) * float(len(look.under) > 0)
        if layers.shape[1:3] != flat.shape:  # an earlier version's
            shown = (layers.astype(np.int16) + 128).astype(np.uint8)
            sized = np.stack([resized(layer, flat.shape[1], flat.shape[0]) for layer in shown])
            layers = (sized.astype(np.int16) - 128).astype(np.int8)
        self._canvas = flat
        rows = layers.transpose(1, 0, 3, 2)  # [h, m, 3, w]: what one row of the picture is made of lies together
        self._layers = np.ascontiguousarray(rows.reshape(*rows.shape[:2], -1))
        self._blank = ~self._layers.any(2)
        self._spans = flat.spans
        self._hides = bool(hidden.any())
        self._hidden, self._under = hidden, look.under if len(look.under) else np.zeros(3, np.float32)
        self._picture = np.zeros((flat.shape[0], 4, flat.shape[1]), np.float32)
        self._picture[:, 3] = 1
        self._stamps = np.zeros((1, 1), np.uint8)  # small, for it is cold whenever it is needed
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
        """Add ``share`` of what is known to ``out``, where the face's mesh lies at ``vertices`` [468, 3].

        RGB [S, S, 3], or planar I420 [S * 3 // 2, S].
        """
        weights = terms(self._look, raw_features(self._region, self._avatar, face, beta, rotation)[None])[0]
        if not weights.any():
            return
        hidden = np.float32(share * weights[0]) * self._hidden if self._hides else self._hidden
        weights *= share * self._look.steps
        flat, picture, size = self._canvas, self._picture, out.shape[1]
        colours = RGB if out.ndim == 3 else I420
        blend(weights, self._layers, self._blank, self._spans, flat.fade, LIMITS, hidden, self._under, colours, picture)
        if self._stamps.shape != (size, size) or self._stamp > LAST_STAMP:
            self._stamps, self._stamp = np.zeros((size, size), np.uint8), 0
        self._stamp += 2
        laid = vertices, flat.triangles, flat.places, picture
        if out.ndim == 3:
            lay_on(*laid, 0, ZERO, self._stamps, self._stamp, out.transpose(2, 0, 1))
        else:
            lay_on_planes(*laid, self._stamps, self._stamp, out)
