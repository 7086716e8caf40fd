"""One frame's life from sound to picture (DESIGN steps 3 to 9): synchronous, no queues, a row for each session."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from engine.clock import look_ahead_frames
from engine.config import EngineConfig, checked_seed
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, ByteArray, FloatArray, Motion
from engine.cores import usable_cores
from engine.errors import EngineFull, VivifyError
from engine.face.avatar import Avatar
from engine.face.blendshapes import LIP, NAMES
from engine.face.kept.film_memory import Manner
from engine.marking.mark_code import MarkIds
from engine.motion.controls import Controller, Controls
from engine.motion.idle import IdleMotion
from engine.motion.manner import AT_REST, Mouth
from engine.motion.motion_networks import Mask, MotionNetworks, Moved
from engine.paths import assets
from engine.programs.motion_programs import MotionPrograms
from engine.programs.movers import open_mover
from engine.quality import Painters
from engine.render.crew import ALONE, Crew
from engine.render.renderer import Renderer

MOST_CORES = 4  # that share one picture: each has its shares to begin and to end
LEAST_SHARED = 512  # pixels of a picture's side: what smaller ones gain by it is less than it costs
_LIPS = np.array([name in LIP for name in NAMES])


@dataclass(slots=True)
class Row:
    """What one session owns inside the batch."""

    renderer: Renderer | None  # None for one that only moves
    idle: IdleMotion
    look_ahead: int  # frames
    heard: int = 0  # audio frames taken in so far; the next motion is for frame heard - look_ahead
    shown: int = 0  # frames whose motion has been given; none is given twice
    controls: Controller = field(default_factory=Controller)
    head: FloatArray = field(default_factory=lambda: np.zeros(6, np.float32))  # where it was last
    held: FloatArray | None = None  # where it stood when another engine had it
    since: int = 0  # frames shown from then on
    manner: Manner = field(default_factory=Manner)  # of the person shown
    mouth: Mouth = field(default_factory=Mouth)

    @property
    def shows(self) -> bool:
        """Whether the frame heard next has a motion to give: not while the look-ahead fills, nor twice for one."""
        return self.heard - self.look_ahead >= self.shown


@dataclass(frozen=True, slots=True)
class Request:
    """One row's input of a step: its next 40 ms of sound, and whether anyone will look at the picture."""

    row: int
    samples: FloatArray  # [640]
    level: float  # 0..1, how loud the voice is, for the head's liveliness
    speaking: bool
    draw: bool = True
    matte: bool = False  # RGBA instead of RGB


@dataclass(frozen=True, slots=True)
class Drawn:
    """One row's output of a step. ``motion`` is None while the look-ahead fills; ``picture`` also when not drawn."""

    row: int
    motion: Motion | None
    picture: ByteArray | None  # RGB [H, W, 3] or I420 [H * 3 // 2, W]; RGBA [H, W, 4] where the matte was asked for
    features_ms: float
    motion_ms: float
    render_ms: float


class Pipeline:
    """The networks once, and up to ``max_sessions`` rows that join and leave while others run."""

    def __init__(
        self, config: EngineConfig, weights: Path | None = None, unhurried: bool = False, planes: bool = False
    ) -> None:
        """``weights`` of the face's motion instead of the bundled ones; ``unhurried``, ``planes`` as for `Painters`."""
        self.config = config
        self._networks = self._open(weights)
        self._mover = open_mover(config.moved_by, config.max_sessions)
        picture = assets() / "weights" / "picture.safetensors"
        self._painters = Painters(config.quality, config.size, picture, unhurried, planes)
        self._rows: list[Row | None] = [None] * config.max_sessions
        self._look_ahead = np.zeros(config.max_sessions, np.int64)  # [B], frames
        # The kernels let go of Python's lock: several cores draw pictures of several sessions, or share one.
        self._cores = usable_cores()
        self.at_once = max(self._cores, 2)  # sessions in a step: a pair's networks cost a third less than two steps'
        self._threads = ThreadPoolExecutor(self._cores, thread_name_prefix="painter")
        self._crew = Crew(self._threads, min(self._cores, MOST_CORES))

    def _open(self, weights: Path | None) -> MotionNetworks:
        return MotionPrograms(self.config.max_sessions, weights, self.config.lips)

    @property
    def learned(self) -> bool:
        """Whether networks finish the pictures just now."""
        return self._painters.learned

    def renderer(self, avatar: Avatar) -> Renderer:
        """What will draw ``avatar``: half a step's time of work, which another thread may do."""
        return self._painters.renderer(avatar)

    def join(self, avatar: Avatar | None, look_ahead_ms: int, seed: int, renderer: Renderer | None = None) -> int:
        """Take a free row, drawn by ``renderer`` if it is made already; without an avatar it only moves.

        Raises EngineFull when there is none, VivifyError for what is no seed.
        """
        checked_seed(seed)
        if None not in self._rows:
            raise EngineFull(
                f"The engine serves {len(self._rows)} sessions and all are taken: try again when one has ended."
            )
        row = self._rows.index(None)
        look_ahead = look_ahead_frames(look_ahead_ms)
        if avatar is not None:
            renderer = renderer or self.renderer(avatar)
        manner = avatar.film.manner if avatar is not None and avatar.film else Manner()
        self._rows[row] = Row(renderer, IdleMotion(seed, float(manner.blink_gap[0])), look_ahead, manner=manner)
        self._look_ahead[row] = look_ahead
        mask, seeds = self._mask([row]), np.full(len(self._rows), seed)
        self._networks.begin(mask, seeds)
        if self._mover is not None:
            self._mover.begin(mask, seeds)
            self._steer(row)
        return row

    def leave(self, row: int) -> None:
        self._rows[row] = None

    def mark(self, row: int, ids: MarkIds | None) -> bool:
        """Mark the row's pictures, those without a matte, from now on, or not; False where that is left to others."""
        return False

    def forget(self, row: int) -> None:
        """Drop what the row has heard, as after a barge-in: the mouth rests, brows, head and clock go on."""
        self._taken(row).mouth.quiet = AT_REST
        self._networks.forget(self._mask([row]))
        if self._mover is not None:
            self._mover.forget(self._mask([row]))

    def skip(self, row: int, frames: int) -> None:
        """Let the row's clock jump over audio that was dropped by a barge-in."""
        self._taken(row).heard += frames

    def set_look_ahead(self, row: int, milliseconds: int) -> None:
        """Switch the row's look-ahead while it runs: a longer one holds the picture, a shorter one skips some."""
        self._look_ahead[row] = self._taken(row).look_ahead = look_ahead_frames(milliseconds)

    def controls(self, row: int) -> Controls:
        """What is wished of the row's face."""
        return self._taken(row).controls.wished

    def set_controls(self, row: int, controls: Controls) -> None:
        """Wish something else of the row's face; it gets there within half a second."""
        self._taken(row).controls.wished = controls
        self._steer(row)

    def _steer(self, row: int) -> None:
        """Tell the mover what is wished; a person whose head goes twice as far as usual is a whole style livelier."""
        if self._mover is not None:
            taken = self._taken(row)
            wished, own = taken.controls.wished, float(np.log2(taken.manner.head).mean())
            self._mover.steer(row, wished.style + own, wished.guidance)

    def pin(self, row: int, ahead: int, frames: int, values: dict[int, float]) -> None:
        """Have the row show ``values`` by place (`engine.motion.prior.nonlip.NONLIP`) ``ahead`` frames after the next.

        They hold for ``frames`` frames. Raises VivifyError where the mover takes no keys, or there are too many.
        """
        if self._mover is None or not self._mover.pin(row, ahead, frames, values):
            raise VivifyError(
                f"A key was expected to find a mover that takes it and room among those that wait, but the mover is "
                f"{self.config.moved_by}: use the mover prior, and fewer or shorter keys."
            )

    def head(self, row: int) -> tuple[float, ...]:
        """Where the row's head was last: yaw, pitch, roll in radians, translation in outer-eye-corner distances."""
        return tuple(map(float, self._taken(row).head))

    def hold_head(self, row: int, head: tuple[float, ...]) -> None:
        """Let a new row's head begin where another engine's stood: its own movement takes over within a second."""
        self._taken(row).held = np.array(head, np.float32)

    def step(self, requests: list[Request]) -> list[Drawn]:
        """Advance every requested row by one frame. All rows share one pass of the networks."""
        began = time.perf_counter()
        samples = np.zeros((len(self._rows), SAMPLES_PER_FRAME), np.float32)  # [B, 640]
        speaking = np.zeros(len(self._rows), np.bool_)
        for request in requests:
            samples[request.row] = request.samples
            speaking[request.row] = request.speaking
        mask = self._mask([request.row for request in requests])
        shown = self._mask([request.row for request in requests if self._taken(request.row).shows])
        drawn = self._draw_all(requests, self._move(samples, speaking, mask, shown))
        if any(d.picture is not None for d in drawn):
            self._painters.observe(1000 * (time.perf_counter() - began))
        return drawn

    def _move(self, samples: FloatArray, speaking: Mask, mask: Mask, shown: Mask) -> Moved:
        """What the networks say of the next frame of every row, and the mover where there is one."""
        if self._mover is None:
            return self._networks.step(samples, speaking, self._look_ahead, mask, shown)
        moved = self._networks.step(samples, speaking, self._look_ahead, mask, self._mask([]))
        began = time.perf_counter()
        carried = self._mover.step(samples, speaking, self._look_ahead, mask, shown)
        spent = moved.motion_ms + 1000 * (time.perf_counter() - began)
        return replace(moved, heads=carried.heads, others=carried.shapes, motion_ms=spent)

    def _draw_all(self, requests: list[Request], moved: Moved) -> list[Drawn]:
        def draw(request: Request) -> Drawn:
            return self._draw(request, moved)

        painted = sum(row is not None and row.renderer is not None for row in self._rows)
        for request in requests:  # cores that share a picture wait for each other: only while there is a core for each
            if renderer := self._taken(request.row).renderer:
                shared = len(requests) == 1 and painted <= self._cores and self.config.size >= LEAST_SHARED
                renderer.crew = self._crew if shared else ALONE
        others = [self._threads.submit(draw, request) for request in requests[1:]]
        return [draw(requests[0]), *(other.result() for other in others)]  # this thread draws, too

    def _compose(self, request: Request, moved: Moved) -> Motion | None:
        """The row's motion, idle life and wishes included; None while the look-ahead fills."""
        row = self._taken(request.row)
        frame, shows = row.heard - row.look_ahead, row.shows
        row.heard += 1
        if not shows:
            return None
        row.shown = frame + 1
        head = moved.heads[request.row].copy()
        if moved.others is None:  # a mover has a manner of its own
            head[:3] *= row.manner.head
        row.head = _let_go(row, head)
        life = row.idle.step(request.level, request.speaking, row.head)
        lips = _own_lips(row, moved, request.row)
        shapes = lips + life.blendshapes
        if moved.others is not None:
            shapes = np.where(_LIPS, lips, moved.others[request.row])
        motion = Motion(
            position=SAMPLES_PER_FRAME * frame,
            blendshapes=np.clip(shapes, 0.0, 1.0).astype(np.float32),
            rotation=life.rotation,
            translation=life.translation,
            lip_offsets=moved.lips[request.row],
        )
        return row.controls.apply(motion)

    def _draw(self, request: Request, moved: Moved) -> Drawn:
        began = time.perf_counter()
        motion = self._compose(request, moved)
        if motion is None:
            return Drawn(request.row, None, None, moved.features_ms, moved.motion_ms, 0.0)
        composed = time.perf_counter()
        renderer = self._taken(request.row).renderer
        picture = self._painters.paint(renderer, motion, request.matte) if renderer and request.draw else None
        ended = time.perf_counter()
        motion_ms = moved.motion_ms + 1000 * (composed - began)
        return Drawn(request.row, motion, picture, moved.features_ms, motion_ms, 1000 * (ended - composed))

    def _mask(self, rows: list[int]) -> Mask:
        mask = np.zeros(len(self._rows), np.bool_)
        mask[rows] = True
        return mask

    def _taken(self, row: int) -> Row:
        taken = self._rows[row]
        if taken is None:
            raise IndexError(f"row {row} is free: join() gives rows out, leave() takes them back")
        return taken


def _own_lips(row: Row, moved: Moved, at: int) -> FloatArray:
    """What the networks say [52] as the row's person says it; other networks' lips have no manner."""
    if moved.said is None:
        return moved.shapes[at]
    return row.mouth.step(moved.shapes[at], moved.said[at], row.manner)


def _let_go(row: Row, own: FloatArray) -> FloatArray:
    """The head's own pose [6], which takes over from the held one; a prior's begins anywhere, not at rest."""
    if row.held is None:
        return own
    if row.since == 0:
        row.held = row.held - own  # from here on, how far the held one is from where the own movement began
    rise = min((row.since + 1) / FRAMES_PER_SECOND, 1.0)
    row.since += 1
    if rise == 1.0:
        row.held = None
        return own
    return own + np.float32(1 - rise * rise * (3 - 2 * rise)) * row.held
