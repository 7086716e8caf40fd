"""Keeps an engine running: a process that dies or hangs is replaced, and its sessions go on where their sound is.

The sound of a session is nobody's to wait for: what is pushed while there is no process is skipped, pictures stand
still, and the new process takes the session up at the next frame, with the head where it stood. To its user only the
clock's gap in the pictures shows.
"""

from __future__ import annotations

import logging
import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from engine.clock import look_ahead_frames
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, Frame
from engine.errors import VivifyError
from engine.marking.mark_code import SESSION_BITS
from engine.motion.controls import Controls
from engine.motion.prior.keys import live_key
from engine.process.engine_process import EngineProcess
from engine.process.engine_session import EngineSession, OnFrame, OnLost

log = logging.getLogger("vivify")

LOOK_EVERY_S = 0.5
HANG_LIMIT_S = 8.0  # a process that gives no sign of life for so long is replaced; reading an avatar takes less
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0  # between attempts to start one, when they fail


@dataclass(slots=True)
class _Life:
    """A kept session's time in one process."""

    session: EngineSession | None = None
    base: int | None = None  # sample of the kept clock at which the process's clock begins; known with the first sound
    epoch: int = 0  # the kept session's epoch when it began


class KeptSession:
    """An `EngineSession` that outlives its process. Its methods return at once and may be called from any thread."""

    def __init__(
        self,
        keeper: EngineKeeper,
        asked: tuple[str | None, int, int, bool, bool, bool],  # avatar, look_ahead_ms, seed, matte, moves_only, badge
        on_frame: OnFrame,
        on_lost: OnLost | None,
    ) -> None:
        self.epoch = 0
        self._keeper = keeper
        self._avatar, self._look_ahead_ms, self._seed, self._matte, self._moves_only, self._badge = asked
        self.mark = secrets.randbits(SESSION_BITS)  # its id in the invisible mark, whichever process draws it
        self._wished: dict[str, Any] = {}
        self._on_frame = on_frame
        self._on_lost = on_lost
        self._lock = threading.Lock()
        self._life = _Life()
        self._dropped = 0  # in the processes that are gone
        self._head: tuple[float, ...] = ()  # where it was last: a new process begins there
        self._closed = False

    @property
    def dropped(self) -> int:
        """Frames the engine did not draw or could not hand over in time."""
        session = self._life.session
        return self._dropped + (session.dropped if session else 0)

    def push_audio(self, chunk: AudioChunk) -> None:
        """See `EngineSession.push_audio`."""
        with self._lock:
            life = self._life
            if life.session is None:
                return
            if life.base is None:
                life.base = -(-chunk.position // SAMPLES_PER_FRAME) * SAMPLES_PER_FRAME
            early = max(life.base - chunk.position, 0)
            if early < len(chunk.samples):
                life.session.push_audio(AudioChunk(chunk.position + early - life.base, chunk.samples[early:]))

    def clear(self) -> int:
        """See `EngineSession.clear`."""
        with self._lock:
            self.epoch += 1
            if self._life.session is not None:
                self._life.session.clear()
            return self.epoch

    def set_controls(self, wishes: dict[str, Any]) -> Controls:
        """See `EngineSession.set_controls`. A new process is told again."""
        with self._lock:
            controls = Controls().changed(self._wished).changed(wishes)
            self._wished = controls.as_dict()
            if self._life.session is not None:
                self._life.session.set_controls(self._wished)
            return controls

    def set_key(self, told: dict[str, Any]) -> None:
        """See `engine.motion.prior.keys.live_key`, which may refuse it. A new process does not know of it."""
        key = live_key(told, self._keeper.config.moved_by)
        with self._lock:
            if self._life.session is not None:
                self._life.session.set_key(key)

    def set_look_ahead(self, milliseconds: int) -> int:
        """See `EngineSession.set_look_ahead`. Returns the one that holds: not every method has a choice."""
        look_ahead_frames(milliseconds)
        milliseconds = self._keeper.config.heard_ahead(milliseconds)
        with self._lock:
            self._look_ahead_ms = milliseconds
            if self._life.session is not None:
                self._life.session.set_look_ahead(milliseconds)
        return milliseconds

    def close(self) -> None:
        """See `EngineSession.close`."""
        self._keeper.forget(self)
        with self._lock:
            self._closed = True
            if self._life.session is not None:
                self._life.session.close()

    def enter(self, process: EngineProcess) -> None:
        """Begin a life in ``process``. Raises what `EngineProcess.open` raises."""
        life = _Life()

        def on_frame(frame: Frame) -> None:
            self._head = frame.head
            if life.base is not None:
                at = frame.position + life.base
                motion = None if frame.motion is None else replace(frame.motion, position=at)
                self._on_frame(replace(frame, position=at, epoch=frame.epoch + life.epoch, motion=motion))

        def on_lost(reason: str) -> None:
            if process.alive:
                self._end(reason)
            else:
                self._leave(life)

        session = process.open(
            self._avatar,
            self._look_ahead_ms,
            self._seed,
            on_frame,
            on_lost,
            self._matte,
            self._head,
            self._moves_only,
            self.mark,
            self._badge,
        )
        with self._lock:
            if self._wished:
                session.set_controls(self._wished)
            life.session, life.epoch = session, self.epoch
            self._life = life
            if self._closed:
                session.close()

    def _leave(self, life: _Life) -> None:
        with self._lock:
            if life.session is not None and self._life is life:
                self._dropped += life.session.dropped
                self._life = _Life()

    def _end(self, reason: str) -> None:
        self._keeper.forget(self)
        if self._on_lost is not None and not self._closed:
            self._on_lost(reason)

    def resume(self, process: EngineProcess) -> None:
        """Go on in a new process; a session that it refuses ends."""
        try:
            self.enter(process)
        except VivifyError as error:
            if process.alive:
                self._end(str(error))


class EngineKeeper:
    """An engine that is there again soon after it died. The interface is `EngineProcess`'s."""

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.restarts = 0
        self.openings = ThreadPoolExecutor(config.max_sessions, "engine-opening")  # to wait in: see `open`
        self._process = EngineProcess(config)
        self._sessions: set[KeptSession] = set()
        self._added: dict[str, Path] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._dead = threading.Event()

    @property
    def alive(self) -> bool:
        return self._process.alive and not self._dead.is_set()

    @property
    def pid(self) -> int | None:
        return self._process.pid

    @property
    def default_avatar(self) -> str:
        return self._process.default_avatar

    def avatars(self) -> list[str]:
        return self._process.avatars()

    def knows(self, avatar: str) -> bool:
        """Whether a session may ask for an avatar of that name: a name is looked up before it travels."""
        return avatar in self._added or avatar in self._process.avatars()

    def start(self, on_progress: Callable[[str], None] | None = None) -> None:
        """Start the engine and wait until it is warm. Raises VivifyError when it cannot be started."""
        self._process.on_death = self._dead.set
        self._process.start(on_progress)
        self._watcher = threading.Thread(target=self._watch, name="engine-keeper", daemon=True)
        self._watcher.start()

    def open(
        self,
        avatar: str | None,
        look_ahead_ms: int,
        seed: int,
        on_frame: OnFrame,
        on_lost: OnLost | None = None,
        matte: bool = False,
        moves_only: bool = False,
        badge: bool = False,
    ) -> KeptSession:
        """See `EngineProcess.open`. ``on_lost`` is called only for what a new process cannot mend.

        It waits for the engine: call it from `openings`, whose threads are nobody else's to wait for.
        """
        session = KeptSession(self, (avatar, look_ahead_ms, seed, matte, moves_only, badge), on_frame, on_lost)
        with self._lock:
            self._sessions.add(session)
        try:
            session.enter(self._process)
        except BaseException:
            self.forget(session)
            raise
        return session

    def add_avatar(self, name: str, folder: Path) -> None:
        """See `EngineProcess.add_avatar`. A new process is told again."""
        self._added[name] = folder
        self._process.add_avatar(name, folder)

    def remove_avatar(self, name: str) -> None:
        """See `EngineProcess.remove_avatar`."""
        self._added.pop(name, None)
        self._process.remove_avatar(name)

    def forget(self, session: KeptSession) -> None:
        with self._lock:
            self._sessions.discard(session)

    def stop(self) -> None:
        """End the engine for good. Calling it again does nothing."""
        self._stopping.set()
        self._dead.set()
        if hasattr(self, "_watcher"):
            self._watcher.join()
        self._process.stop()
        self.openings.shutdown(wait=False)

    def _watch(self) -> None:
        """Notice death at once and silence in time; both are mended by a new process."""
        while not self._stopping.is_set():
            if self._dead.wait(LOOK_EVERY_S):
                if not self._stopping.is_set():
                    self._replace()
            elif self._process.silent_s > HANG_LIMIT_S:
                log.warning("the engine gave no sign of life for %.0f s: it is ended", HANG_LIMIT_S)
                self._process.kill()
            else:
                self._process.ping()

    def _replace(self) -> None:
        pause = FIRST_PAUSE_S
        log.warning("the engine died (%s): a new one is started", self._process.ending)
        while not self._stopping.is_set():
            process = EngineProcess(self.config)
            try:
                process.start()
            except (VivifyError, OSError) as error:
                log.error("the engine could not be started, once more in %.1f s: %s", pause, error)
                self._stopping.wait(pause)
                pause = min(2 * pause, LONGEST_PAUSE_S)
                continue
            self._dead.clear()
            process.on_death = self._dead.set
            if not process.alive:
                self._dead.set()
            self._process.stop()
            self._process = process
            self.restarts += 1
            for name, folder in tuple(self._added.items()):
                process.add_avatar(name, folder)
            with self._lock:
                sessions = list(self._sessions)
            for session in sessions:
                session.resume(process)
            log.warning("the engine runs again, %d sessions go on", len(sessions))
            return
