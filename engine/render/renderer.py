"""The picture of one avatar for one motion: driven mesh, outside field, eyes, mouth, paint."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import SAMPLES_PER_FRAME, ByteArray, FloatArray, Motion
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import face_model
from engine.face.surround import smoothstep
from engine.render.canvas import Canvas
from engine.render.compositor import GRAIN, Compositor
from engine.render.crew import ALONE, Rows
from engine.render.dense_motion import HeadTurn, OuterField
from engine.render.parts.driven_face import DrivenFace, tucking
from engine.render.parts.eyes import Eye
from engine.render.parts.lip_offsets import check_offsets
from engine.render.parts.mouth import Mouth
from engine.render.placing import place
from engine.render.prepared import Prepared, prepare
from engine.render.projection import Shown, projection_texture
from engine.render.remembered.drifting import Drifting
from engine.render.remembered.recall import Called, Recalls
from engine.render.remembered.uncovering import Uncovering
from kernels.cpu.pixel_kernels import bytes_to_i420, planes_of

LID_SLIDE = 0.62  # how far the lid's texture slides under a closing lid, so that lashes are not smeared over it
CREASE = 0.25  # how much darker lips meet that the portrait shows apart
CONTACT = 0.35  # how much darker a lip is where teeth stand on it
ALONG_RIM = np.sin(np.linspace(0.12, np.pi - 0.12, 11)) ** 0.5  # [11] of either, column by column: less at corners
CORNER, GATHERS = 0.45, 0.65  # centimetres around a corner of the lips; of its way inwards that its texture does not go
BOUNDS = (-1.0, 1.5)  # that blendshapes are held within
UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
NO_DRIFT = np.zeros((0, 2), np.float32)
NOTHING = 0.02  # pixels between the lips below which the inside of the mouth is not drawn


@dataclass(frozen=True)
class Posed:
    """A scene in place for one motion, ready to be painted; the dense mesh's own rows are still to be filled in."""

    vertices: FloatArray  # [V, 3] pixels of the picture
    maps: FloatArray  # [V, 3 or 6] as `Scene.maps`
    plain: FloatArray  # the same for the portrait's own expression
    shown: Shown
    own: float  # how much of the portrait's own expression is painted over it, 0 to 1
    face: FloatArray  # [468, 3] the driven face before the head turns, in pixels of the portrait
    called: Called  # what a film adds to it


class Renderer:
    """Renders one avatar. The avatar is shared and never written.

    Not for two threads at once. Who has many renderers lends each a ``canvas`` while it paints; or it makes its own.
    """

    def __init__(self, avatar: Avatar, size: int = 512, known: Prepared | None = None) -> None:
        """``known`` is `prepare(avatar)`, where that is at hand: another renderer's, perhaps."""
        if not 64 <= size <= 2048:
            raise VivifyError(f"A picture of 64 to 2048 pixels was expected, not {size}: choose a size such as 512.")
        self.avatar = avatar
        self.size = size
        known = known or prepare(avatar)
        self.prepared = known  # what posing knows of the portrait
        self.scene = known.scene  # what `pose` puts in place
        self._drive = DrivenFace(known.head, known.face, known.lips)
        self._field = OuterField(known.sheet, known.face.reference)
        self._eyes = [Eye(known.eyes[0], right=True), Eye(known.eyes[1], right=False)]
        self._mouth = Mouth(known.mouth)
        self._oval = np.array(top.OVAL)
        sizes = [len(part.points) for eye in known.eyes for part in eye.parts]
        counts = np.cumsum([self.scene.base + self.scene.dense.count, *sizes])
        self._iris_at = [int(counts[1]), int(counts[5])]  # where the irises' vertices begin
        self._lash_at = [int(counts[2]), int(counts[6])]  # and the lashes'
        self._step = avatar.size / size
        self.compositor = Compositor(self.scene, size, self._step)  # paints the driven face
        self.crew = ALONE  # who shares the work of a picture
        self.canvas: Canvas | None = None  # what the next picture is painted on
        self.painter = self.compositor  # who painted the last picture, and knows where each pixel came from
        self._recalls = Recalls(avatar)  # what a film adds
        drift = avatar.film.drift if avatar.film else None
        self._drifting = Drifting(avatar, drift) if drift else None  # where a film says that its surroundings go
        self._uncovering = Uncovering(avatar, self._step)  # what a film saw of this head turned
        self._portrait: Compositor | None = None  # made when the portrait's own expression is first asked for

    def warm_up(self) -> None:
        """Compile (or load from the cache) what a live frame needs; the first call on a machine takes some seconds."""
        beta = np.zeros(len(NAMES), np.float32)
        beta[INDEX["jawOpen"]] = 0.3
        motion = Motion(0, beta, np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
        self.render(motion) if self.size % 2 else self.planes(motion)

    def render(self, motion: Motion, out: ByteArray | None = None, alpha: bool = False) -> ByteArray:
        """RGB uint8 [size, size, 3] of ``motion``, written to ``out`` when given (C-contiguous, same shape).

        With ``alpha`` RGBA [size, size, 4]: the person's matte moves along with the picture. Colours are the person's
        alone, free of the background and not multiplied by the matte.
        """
        if out is None:
            out = np.empty((self.size, self.size, 4 if alpha else 3), np.uint8)
        if not alpha:
            self.painter = self._draw(motion, out, False)
            return out
        layer = np.empty((self.size, self.size, 3), np.uint8)
        self.painter = self._draw(motion, layer, True)
        out[..., :3] = layer
        self.painter.paint_matte(layer)
        out[..., 3] = layer[..., 0]
        return out

    @property
    def direct(self) -> bool:
        """Whether what is painted is the picture, and nothing has to be added to its RGB."""
        return True

    def planes(self, motion: Motion, out: ByteArray | None = None) -> ByteArray:
        """`render` as planar I420 [size * 3 // 2, size], BT.601 in its limited range; ``size`` must be even.

        Painted as such where nothing has to be added to the picture's RGB, in half the time.
        """
        if out is None:
            out = np.empty((self.size * 3 // 2, self.size), np.uint8)
        if self.direct:
            self.painter = self._draw(motion, out, False)
        else:
            bytes_to_i420(self.render(motion), out)
        return out

    def pose(self, motion: Motion) -> Posed:
        """Where everything is for ``motion``, and what it samples. Touches nothing of the renderer's own."""
        beta, offsets = check(motion)
        own = self._drive.own_share(beta, offsets)
        face, turn, scene = self._drive(beta, offsets, own), self._turn(motion), self.scene
        called = self._recalls.call(face, beta, motion.rotation, 1 - own)
        filled = called.fills and self.direct  # networks are to see what lies behind the lips
        inside, shade, out_of_mouth = self._mouth.unseen if filled else self._mouth.pose(beta, face)
        eyes = [points for eye in self._eyes for points in eye.pose(beta, face)]
        head, around = np.concatenate([face, *eyes, inside], dtype=np.float32), self._field(face)
        drift = self._drifting(motion) if self._drifting and not turn.still else NO_DRIFT
        vertices, factor = np.zeros((len(scene.back), 3), np.float32), np.float32(self.size / self.avatar.size)
        sheet = around, self.prepared.sheet.head, drift, self._oval
        place(head, top.VERTICES, *sheet, turn.numbers, scene.back, factor, scene.dense.count, vertices)
        maps = scene.maps.copy()
        maps[len(maps) - len(shade) :, 2] = shade
        self._slide_lids(maps, beta)
        gate = None if turn.still else self._towards_viewer(turn)
        self._tuck_outline(maps, face, gate)
        self._turn_into_view(maps, gate)
        self._uncovering.let_go(maps, motion)
        for eye, gaze, at in zip(self._eyes, eyes[1::4], self._iris_at, strict=True):
            maps[at : at + len(gaze), :2] = eye.look_texture(gaze)
        plain = maps.copy() if own > 0 else maps
        self._darken_seam(maps, face, beta)
        self._let_corners_go(maps, face)
        gap = np.abs(face[LOWER] - face[UPPER]).max()
        through = scene.whole if filled else scene.tongue_out if out_of_mouth else scene.open
        return Posed(vertices, maps, plain, scene.closed if gap <= NOTHING else through, own, face, called)

    def _draw(self, motion: Motion, out: ByteArray, clean: bool) -> Compositor:
        """Paint RGB, or planar I420, into ``out`` and return who painted last."""
        posed = self.pose(motion)
        vertices, own = posed.vertices, posed.own
        self.canvas = self.canvas or Canvas(self.size)
        if own == 1:
            self.scene.thicken(vertices, posed.plain)
            return self._paint_portrait(motion, posed, out, clean)
        if own > 0:
            self.scene.thicken(vertices, posed.plain)
            rows, portrait = self._mouth_rows(vertices), np.empty_like(out)
            self._paint_portrait(motion, posed, portrait, clean, rows)
        self.scene.thicken(vertices, posed.maps)
        seen = self._uncovering.textures(motion, self.scene, out, clean)
        self.compositor.paint(vertices, posed.maps, posed.shown, out, self.canvas, clean, self.crew, None, seen)
        if own > 0:
            for ours, theirs in zip(stretches(out, rows), stretches(portrait, rows), strict=True):
                ours[:] = (ours + np.float32(own) * (theirs.astype(np.float32) - ours) + 0.5).astype(np.uint8)
        self._recalls.add(out, vertices[: top.VERTICES], posed.called, self.canvas.room)
        return self.compositor

    @property
    def own_expression(self) -> FloatArray:
        """Blendshapes [52] that give the portrait back as it is; zero where its face is neutral."""
        return self.prepared.face.own.copy()

    @property
    def own_lips(self) -> FloatArray:
        """The lips' part of it [52]: what decides how much of the portrait's own expression is shown."""
        return self.prepared.face.own_lips.copy()

    def _paint_portrait(
        self, motion: Motion, posed: Posed, out: ByteArray, clean: bool, rows: Rows | None = None
    ) -> Compositor:
        """Paint with the portrait's own mouth, teeth and all, as one surface with its skin."""
        if self._portrait is None:
            self._portrait = Compositor(self.scene.portrait, self.size, self._step)
        assert self.canvas is not None
        mesh, seen = (posed.vertices, posed.plain), self._uncovering.textures(motion, self.scene.portrait, out, clean)
        self._portrait.paint(*mesh, self.scene.whole, out, self.canvas, clean, self.crew, rows, seen)
        return self._portrait

    def _mouth_rows(self, vertices: FloatArray) -> Rows:
        """In which rows the portrait's own mouth may be seen, on the vertices [V, 3] as they are: all of its tiles."""
        y = vertices[self.scene.mouth, 1]
        first, last = (int(edge) // GRAIN for edge in np.clip([y.min() - 2, y.max() + 2], 0, self.size - 1))
        return first * GRAIN, min((last + 1) * GRAIN, self.size)

    def driven_mesh(self, motion: Motion) -> FloatArray:
        """The posed face [468, 3] in pixels of the portrait (eq. 4 and 8)."""
        return self._turn(motion)(self._drive(*check(motion)))

    def projection_texture(self, motion: Motion) -> FloatArray:
        """PT of eq. 10 for ``motion``: NCC on the driven face, the portrait around it; [S, S, 3] in [0, 1]."""
        return projection_texture(self.driven_mesh(motion), self.avatar.portrait, self.avatar.size)

    def _slide_lids(self, maps: FloatArray, beta: FloatArray) -> None:
        for eye, known, at in zip(self._eyes, self.prepared.eyes, self._lash_at, strict=True):
            amount = eye.closing(beta)
            if amount > 0:
                maps[eye.rim[1:-1], :2] += amount * LID_SLIDE * known.fold
                maps[at : at + 2 * len(known.line), 2] = np.tile(1 - amount**2 * known.line, 2)

    def _turn(self, motion: Motion) -> HeadTurn:
        head = self.prepared.head
        return HeadTurn(head.pivot, head.unit, motion.rotation, motion.translation)

    def _towards_viewer(self, turn: HeadTurn) -> FloatArray:
        """How far each vertex has turned towards the viewer since the portrait, 0 to 1 [468]."""
        normals = self.prepared.face.normals
        toward = -(normals @ turn.rotation[2])
        return np.asarray(smoothstep((toward + normals[:, 2] - 0.02) / 0.10), np.float32)

    def _tuck_outline(self, maps: FloatArray, face: FloatArray, towards: FloatArray | None) -> None:
        """Vertices on the outline's soft pixels sample the skin beside them once they turn ``towards`` us or move."""
        known = self.prepared.face
        rows = known.soft
        if not len(rows):
            return
        moved = np.abs(face[rows] - known.reference[rows]).max(1) / self.prepared.head.scale
        gate = smoothstep((moved - 0.02) / 0.12)
        if towards is not None:
            gate = np.maximum(towards[rows], gate)
        maps[rows, :2] += gate[:, None] * known.tuck

    def _let_corners_go(self, maps: FloatArray, face: FloatArray) -> None:
        """Lips drawn in leave the dark beside their corners behind: it is gathered there instead of dragged along.

        Beside a mouth that smiles openly lies no such dark, but the cheeks' folds.
        """
        if self.prepared.lips.apart:
            return
        head, neutral = self.prepared.head, self.prepared.face.neutral
        across, scale = head.rotation[:, 0], head.scale
        for corner, outward in ((top.LIP_OUTER_UPPER[0], -1.0), (top.LIP_OUTER_UPPER[-1], 1.0)):
            drawn_in = -outward * float((face[corner] - neutral[corner]) @ across) / scale
            if drawn_in > 0:
                rows, share = beside(corner)
                maps[rows, :2] += share * outward * GATHERS * min(drawn_in, 1.0) * scale * across[:2]

    def _turn_into_view(self, maps: FloatArray, gate: FloatArray | None) -> None:
        """Skin that the portrait hides takes its mirror twin's texture, and its rim lets go of the sheet.

        Gated by how far each vertex has turned towards the viewer, so the portrait's own pose stays exact.
        """
        if gate is None:
            return
        if maps.shape[1] == 6:
            maps[: top.VERTICES, 5] = self.prepared.face.mirror_share * gate
        share, rim = gate[self._oval, None], self.scene.rim
        maps[rim, :2] += share * (self.prepared.face.rim_beyond - maps[rim, :2])

    def _darken_seam(self, maps: FloatArray, face: FloatArray, beta: FloatArray) -> None:
        """Rims darken where nothing painted does: lips closed over an open smile, a lower lip under the teeth."""
        tuck, apart = tucking(beta), self.prepared.lips.apart
        if not apart and tuck <= 0:
            return
        gap = np.linalg.norm(face[LOWER] - face[UPPER], axis=1) / self.prepared.head.scale
        closed = CREASE * ALONG_RIM * np.clip(1 - gap / 0.3, 0, 1) * apart
        maps[UPPER, 2] = 1 - closed
        maps[LOWER, 2] = 1 - np.maximum(closed, CONTACT * tuck * ALONG_RIM)


@cache
def beside(corner: int) -> tuple[np.ndarray, FloatArray]:
    """Vertices around a corner of the lips, the inner rims left out, and how near they are [n, 1], 1 at the corner."""
    model = face_model().neutral
    near = np.exp(-((np.linalg.norm(model - model[corner], axis=1) / CORNER) ** 2))
    near[list(top.LIP_INNER)] = 0
    rows = np.flatnonzero(near > 0.02)
    return rows, near[rows, None].astype(np.float32)


def stretches(picture: ByteArray, rows: Rows) -> list[ByteArray]:
    """Some ``rows`` of RGB [size, size, 3], or of the planes of I420 [size * 3 // 2, size]; they share its memory."""
    if picture.ndim == 3:
        return [picture[slice(*rows)]]
    luma, *chroma = planes_of(picture)
    return [luma[slice(*rows)], *(plane[rows[0] // 2 : rows[1] // 2] for plane in chroma)]


def check(motion: Motion) -> tuple[FloatArray, FloatArray | None]:
    """Blendshapes [52] and lip offsets [40, 3] or None, finite and within bounds. ValueError for a wrong shape."""
    beta = np.asarray(motion.blendshapes, np.float32)
    if beta.shape != (len(NAMES),):
        raise ValueError(f"Motion.blendshapes was expected to have shape ({len(NAMES)},), but came as {beta.shape}.")
    if not np.isfinite(beta).all():
        beta = np.nan_to_num(beta)
    return np.minimum(np.maximum(beta, BOUNDS[0]), BOUNDS[1]), check_offsets(motion.lip_offsets)


def still(position: int = 0) -> Motion:
    """The motion in which nothing moves, at frame-aligned ``position``."""
    position -= position % SAMPLES_PER_FRAME
    return Motion(position, np.zeros(len(NAMES), np.float32), np.eye(3, dtype=np.float32), np.zeros(3, np.float32))
