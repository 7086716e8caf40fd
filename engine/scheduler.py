"""Steps every session that has sound as one batch; decides what is drawn when a session has fallen behind."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from engine.contracts import DEFAULT_LOOK_AHEAD_MS, AudioChunk, Frame, Ledger
from engine.face.avatar import Avatar
from engine.motion.prior.keys import Key
from engine.pipeline import Drawn, Pipeline, Request
from engine.render.renderer import Renderer
from engine.session import Session

NO_PICTURE = np.zeros((0, 0), np.uint8)
MAX_BACKLOG = 4  # frames of sound a live session may have waiting and still be drawn: a burst, not a jam
# The further pictures fall behind their sound's pace, the more of them are left out, for the next one's sake: none up
# to the first, half of them 80 ms later, never more than three in four. So where all fall behind, all lose alike.
LATE_S, LATER_S = 0.080, 0.160
MOST_LEFT_OUT = 0.75
CROWDED = 2  # times as many in a step while more wait than are drawn at once: the more, the less networks cost each


@dataclass(frozen=True, slots=True)
class _Taken:
    """What a tick took from one session."""

    session: Session
    chunk: AudioChunk
    arrived: float
    request: Request


class Scheduler:
    """Owns the pipeline's rows on behalf of the sessions."""

    def __init__(self, pipeline: Pipeline) -> None:
        self._pipeline = pipeline
        self._sessions: list[Session] = []

    def open(
        self,
        avatar: Avatar | None,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        seed: int = 0,
        live: bool = True,
        matte: bool = False,
        renderer: Renderer | None = None,
    ) -> Session:
        """A new session on a free row, drawn by ``renderer`` where it is made already; without an avatar it only moves.

        Raises EngineFull.
        """
        row = self._pipeline.join(avatar, look_ahead_ms, seed, renderer)
        session = Session(row, live, matte, moves_only=avatar is None)
        self._sessions.append(session)
        return session

    def close(self, session: Session) -> None:
        """End a session; its row is free. Nothing more may be asked of it: VivifyError from then on, here too."""
        session.check_open()
        session.closed = True
        self._sessions.remove(session)
        self._pipeline.leave(session.row)

    def clear(self, session: Session, now: float = 0.0, times: int = 1) -> int:
        """Barge-in: see `Session.clear`. The row forgets what it heard, so the mouth closes with the next frame."""
        session.check_open()
        epoch = session.clear(now, times)
        self._pipeline.forget(session.row)
        self._pipeline.skip(session.row, session.take_skipped())
        return epoch

    def hold_head(self, session: Session, head: tuple[float, ...]) -> None:
        """Let a new session's head begin at ``head``, a `Frame.head` of another engine."""
        session.check_open()
        self._pipeline.hold_head(session.row, head)

    def set_controls(self, session: Session, wishes: dict[str, Any]) -> None:
        """Put ``wishes`` into the session's `Controls`. Raises VivifyError for odd ones."""
        session.check_open()
        self._pipeline.set_controls(session.row, self._pipeline.controls(session.row).changed(wishes))

    def set_key(self, session: Session, key: Key) -> None:
        """Have the session's face show ``key``, counted from the next frame.

        Raises VivifyError where the mover takes no keys, or too many wait.
        """
        session.check_open()
        self._pipeline.pin(session.row, key.frame, key.frames, key.values)

    def set_look_ahead(self, session: Session, milliseconds: int) -> None:
        """Switch the look-ahead of a running session. Raises VivifyError for one that is not offered."""
        session.check_open()
        self._pipeline.set_look_ahead(session.row, milliseconds)

    def tick(self) -> int:
        """Advance sessions that have a whole frame of sound. Returns how many advanced.

        As many are drawn at a time as the pipeline draws at once, those first whose sound came first: nobody waits for
        pictures that others are to have later, unless so many wait that what a step costs matters more.
        """
        waiting = sorted((s for s in self._sessions if s.pending), key=lambda session: session.turn)
        taken: list[_Taken] = []
        most = self._pipeline.at_once
        if sum(not session.moves_only for session in waiting) > most:
            most *= CROWDED
        drawn = 0
        for session in waiting:
            if session.moves_only or drawn < most:
                taken.append(self._take(session))
                drawn += taken[-1].request.draw
        if taken:
            for one, result in zip(taken, self._pipeline.step([t.request for t in taken]), strict=True):
                self._deliver(one, result)
        return len(taken)

    def _take(self, session: Session) -> _Taken:
        audio = session.next_audio()
        assert audio is not None
        chunk, level, arrived = audio
        draw = not session.moves_only and (not session.live or self._worth_drawing(session))
        request = Request(session.row, chunk.samples, level, session.speaking, draw, session.matte)
        return _Taken(session, chunk, arrived, request)

    def _worth_drawing(self, session: Session) -> bool:
        """Whether a live session's picture is drawn, or left out: see `LATE_S`."""
        if session.pending > MAX_BACKLOG:
            return False
        late = time.monotonic() - session.expected
        session.to_leave_out += min(max((late - LATE_S) / LATER_S, 0.0), MOST_LEFT_OUT)
        if session.to_leave_out < 1:
            return True
        session.to_leave_out -= 1
        return False

    def _deliver(self, one: _Taken, result: Drawn) -> None:
        if result.motion is None:
            return
        session = one.session
        session.moved(result.motion)
        if result.picture is None and not session.moves_only:
            session.dropped += 1
            return
        picture = NO_PICTURE if result.picture is None else result.picture
        ledger = Ledger(one.arrived, result.features_ms, result.motion_ms, result.render_ms, time.monotonic())
        speaking, head = one.request.speaking, self._pipeline.head(session.row)
        learned = self._pipeline.learned
        motion = result.motion
        session.deliver(Frame(motion.position, session.epoch, picture, ledger, speaking, head, learned, motion))
