"""What a film showed of a face that does this, added to the picture that geometry painted."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.kept.film_memory import SQUARED, Look
from engine.imaging.resampling import resized
from engine.render.remembered.canvases import canvas, inside
from kernels.cpu.looks.laying import blend, lay_on, lay_on_planes, weigh

CHIN = (152, 175, 18, 200)
LIPS = np.array((*top.LIP_VERTICES, *CHIN))
EYES = ("eyeBlink", "eyeSquint", "eyeLookUp", "eyeLookDown", "eyeLookIn", "eyeLookOut", "eyeWide", "browDown")
EYE_SHAPES = {
    f"eye_{side.lower()}": np.array([INDEX[name + side] for name in EYES]) for side in ("Right", "Left")
}  # [8] of the blendshapes
SHUT = 0.6  # eyeBlink from which gaze says nothing: blinks that are filmed look down, those that are made ahead
BEGINS = 2.0  # how soon what never changes is there, once a face moves
FORGETS = 2.5  # times as far as the film went: there nothing of it is left
# Grey levels that are added at most, and by which a colour may differ from them, on skin and between the lips. A film
# too short may mistake its colours, so what is said of them is held close.
LIMITS = (60.0, 22.0, 170.0, 26.0)
RGB = np.eye(3, dtype=np.float32)
I420 = (
    np.array([[65.481, 128.553, 24.966], [-37.797, -74.203, 112], [112, -93.786, -18.214]], np.float32) / 255
)  # BT.601
FILLED = 0.95  # of a look from which on nothing is left of what geometry paints between the lips
TONGUE_OUT = INDEX["tongueOut"]  # past the lips, which no film is asked for
FAINT = 0.03  # the share below which a frame is not looked at: each costs time


def raw_features(region: str, avatar: Avatar, face: FloatArray, beta: FloatArray, rotation: FloatArray) -> np.ndarray:
    """What tells how ``region`` looks [r]: ``face`` [468, 3] is driven, but not yet turned."""
    turn = 5 * rotation[:2, 2]
    if region == "mouth":
        moved = (face.take(LIPS, 0) - avatar.neutral.take(LIPS, 0)) @ (avatar.rotation[:, :2] / avatar.scale)
        return np.concatenate([moved.reshape(-1), turn], dtype=np.float32)
    eye = beta[EYE_SHAPES[region]]
    eye[1:-1] *= max(1 - eye[0] / SHUT, 0)
    return np.concatenate([eye, turn], dtype=np.float32)


def terms(look: Look, raw: np.ndarray) -> FloatArray:
    """How much of each of a look's m layers raw features [T, r] call for [T, m]: less, the less the film tells."""
    out = np.empty((len(raw), len(look.steps)), np.float32)
    known = look.axes, look.low, look.high, float(look.reach[0])
    nears = look.places, look.beside, look.onto, look.seen
    weigh(np.asarray(raw, np.float32), *known, SQUARED, BEGINS, FORGETS, *nears, FAINT, out)
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
        self._canvas, self._spans = flat, flat.spans
        self._layers = Layers.packed(layers, self._spans)
        self.hides = bool(hidden.any())  # what geometry paints there
        self._hidden, self._under = hidden, look.under if len(look.under) else np.zeros(3, np.float32)
        self._picture = np.zeros((flat.shape[0], 4, flat.shape[1]), np.float32)
        self._picture[:, 3] = 1

    def call(self, face: FloatArray, beta: FloatArray, rotation: FloatArray, share: float) -> FloatArray:
        """``share`` of what the driven ``face`` [468, 3] calls for of each layer [m + k]; the first's tells of all."""
        raw = raw_features(self._region, self._avatar, face, beta, rotation)
        return np.float32(share) * terms(self._look, raw[None])[0]

    def add(self, out: ByteArray, vertices: FloatArray, called: FloatArray, room: FloatArray) -> None:
        """Add what was ``called`` for to ``out``, where the face's mesh lies at ``vertices`` [468, 3].

        RGB [S, S, 3], or planar I420 [S * 3 // 2, S]. ``room`` [2 * S * S] is written to.
        """
        if not called.any():
            return
        flat, picture, rgb = self._canvas, self._picture, out.ndim == 3
        share = np.float32(min(called[0] / FILLED, 1) if self.hides else 0)
        kept = flat.fade, LIMITS, share, self._hidden, self._under, RGB if rgb else I420
        blend(called, self._look.steps, *self._layers, self._spans, *kept, picture)
        (lay_on if rgb else lay_on_planes)(vertices, flat.triangles, flat.places, picture, room, out)


class Layers(NamedTuple):
    """A look's layers as `kernels.cpu.looks.laying.blend` reads them."""

    numbers: np.ndarray  # [n] int8, of each row one layer after the other
    begins: np.ndarray  # [h] where a row's begin
    blank: np.ndarray  # [h, m] layers that say nothing in a row

    @staticmethod
    def packed(layers: np.ndarray, spans: np.ndarray) -> Layers:
        """Of ``layers`` [m, h, w, 3] int8 what lies within the ``spans`` [h, 2] of rows."""
        rows = [np.moveaxis(layers[:, y, first:last], 2, 1) for y, (first, last) in enumerate(spans)]  # [m, 3, n]
        begins = np.cumsum([0, *(row.size for row in rows)])[:-1]
        return Layers(
            np.concatenate([row.ravel() for row in rows]), begins, np.array([~row.any((1, 2)) for row in rows])
        )


class Called(NamedTuple):
    """What the driven face of one picture calls for."""

    layers: list[FloatArray]  # [m + k] of each region
    fills: bool  # whether nothing is left of what geometry would paint between the lips


class Recalls:
    """All that an avatar's film adds to one renderer's pictures."""

    def __init__(self, avatar: Avatar) -> None:
        looks = avatar.film.looks.items() if avatar.film else ()
        self._regions = [Recall(avatar, region, look) for region, look in looks]

    def call(self, face: FloatArray, beta: FloatArray, rotation: FloatArray, share: float) -> Called:
        """``share`` of what the driven ``face`` [468, 3], not yet turned, calls for."""
        layers = [region.call(face, beta, rotation, share) for region in self._regions]
        filled = any(region.hides and called[0] >= FILLED for region, called in zip(self._regions, layers, strict=True))
        return Called(layers, filled and beta[TONGUE_OUT] <= 0)

    def add(self, out: ByteArray, vertices: FloatArray, called: Called, room: FloatArray) -> None:
        """As `Recall.add`, of every region."""
        for region, layers in zip(self._regions, called.layers, strict=True):
            region.add(out, vertices, layers, room)
