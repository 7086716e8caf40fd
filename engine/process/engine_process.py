"""A server's handle on the engine process: starts it, opens sessions, hands out frames, notices when it dies.

The process itself is `engine.process.engine_worker`. The networks and the kernels live only there, so that neither
their memory nor their locks are the server's.
"""

from __future__ import annotations

import contextlib
import itertools
import logging
import os
import secrets
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from pathlib import Path
from typing import Any

import numpy as np

from engine.clock import look_ahead_frames
from engine.config import SLOTS_PER_SESSION, EngineConfig, slot_bytes
from engine.contracts import ByteArray, Frame, Ledger
from engine.errors import EngineAway, EngineFull, NoConsent, UnknownAvatar, VivifyError
from engine.marking.mark_code import SESSION_BITS
from engine.process.engine_session import EngineSession, OnFrame, OnLost
from engine.process.picture_memory import picture_memory
from engine.process.waiting_commands import Commands
from engine.process.wire import Wire, unpacked

log = logging.getLogger("vivify")

OPEN_TIMEOUT_S = 30.0  # an avatar may have to be read first
STOP_TIMEOUT_S = 5.0
_REFUSALS: dict[str, type[VivifyError]] = {k.__name__: k for k in (EngineFull, UnknownAvatar, NoConsent)}
MOST_UNSENT = 1_000  # messages, of each session, that wait for a process that stalls: more than it may stall for

# The engine's matrices are small: a second BLAS thread would only spin, and take a core from the encoder.
ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


class EngineProcess:
    """Starts the engine, and is the only one that reads from it.

    ``on_lost`` of every open session is called, from the reader thread, with a sentence when the process dies.
    """

    def __init__(self, config: EngineConfig) -> None:
        self.config = config
        self.default_avatar = ""
        self._avatars: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None
        self._wire: Wire | None = None
        self._sessions: dict[int, EngineSession] = {}
        self._opening: dict[int, Future[None]] = {}
        self._numbers = itertools.count()
        self._lock = threading.Lock()
        self._slot_bytes = slot_bytes(config.size)
        self._outbox = Commands(MOST_UNSENT * (config.max_sessions + 1))
        self._heard = time.monotonic()  # the process's last sign of life
        self._stopping = False
        self.on_death: Callable[[], None] | None = None  # called last, when the process has died by itself

    @property
    def alive(self) -> bool:
        return self._process is not None and self._process.poll() is None

    @property
    def ending(self) -> str:
        """How the process ended, in words."""
        code = self._process.poll() if self._process else None
        return "it still runs" if code is None else f"signal {-code}" if code < 0 else f"exit code {code}"

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    def avatars(self) -> list[str]:
        return list(self._avatars)

    def start(self, on_progress: Callable[[str], None] | None = None) -> None:
        """Start the process and wait until it is warm. Raises VivifyError with the process's own sentence."""
        size = SLOTS_PER_SESSION * self.config.max_sessions * self._slot_bytes
        with picture_memory(size) as (file, self._memory):
            self._process = self._spawn(file)
        assert self._process.stdin
        assert self._process.stdout
        self._wire = Wire(self._process.stdout, self._process.stdin)
        self._writer = threading.Thread(target=self._write, name="engine-writer", daemon=True)
        self._writer.start()
        self._await_ready(on_progress or (lambda text: None))
        self._reader = threading.Thread(target=self._read, name="engine-reader", daemon=True)
        self._reader.start()

    def open(
        self,
        avatar: str | None,
        look_ahead_ms: int,
        seed: int,
        on_frame: OnFrame,
        on_lost: OnLost | None = None,
        matte: bool = False,
        head: tuple[float, ...] = (),
        moves_only: bool = False,
        mark: int | None = None,
        badge: bool = False,
    ) -> EngineSession:
        """A new session. ``on_frame`` is called from the reader thread; the picture is planar I420 and the caller's.

        ``head`` is where the head begins, a `Frame.head`; else it is at rest. With ``matte`` pictures are twice as
        wide: the person's colours, and beside them the matte as grey. One that ``moves_only`` has empty pictures.
        ``mark`` is the session's id in the mark, a random one if none is given; ``badge`` is for all to see.

        Raises EngineFull, UnknownAvatar, or VivifyError for a look-ahead that is not offered or a dead engine.
        """
        look_ahead_frames(look_ahead_ms)
        number = next(self._numbers)
        session = EngineSession(self.tell, self.forget, number, on_frame, on_lost)
        answer: Future[None] = Future()
        with self._lock:
            self._opening[number] = answer
            self._sessions[number] = session
        asked = {"avatar": avatar, "look_ahead_ms": look_ahead_ms, "seed": seed, "matte": matte, "head": head}
        asked |= {"mark": secrets.randbits(SESSION_BITS) if mark is None else mark, "badge": badge}
        self.tell({"do": "open", "session": number, "moves_only": moves_only, **asked})
        if not self.alive:
            self._fail_openings()
        try:
            answer.result(OPEN_TIMEOUT_S)
        except FutureTimeout:
            if self.forget(number):
                self.tell({"do": "close", "session": number})
            raise VivifyError(f"The engine did not open a session within {OPEN_TIMEOUT_S:.0f} s: restart it.") from None
        except VivifyError:
            self.forget(number)
            raise
        return session

    def stop(self) -> None:
        """End the process. Open sessions end silently; calling it again does nothing."""
        self._stopping = True
        if self._process is None or self._wire is None:
            return
        self._outbox.close()  # the writer closes the pipe, which the worker takes as its end
        self._reap()
        self._writer.join(STOP_TIMEOUT_S)
        if hasattr(self, "_reader"):
            self._reader.join(STOP_TIMEOUT_S)
        self._wire.close()

    def kill(self) -> None:
        """End a process that does not answer; its sessions hear of it by ``on_lost``."""
        if self._process is not None:
            self._process.kill()

    def tell(self, head: dict[str, Any], payload: bytes = b"") -> None:
        """Send a command, without waiting for a process that stalls; one that never reads again is ended.

        What is said to a process that is gone is dropped, its sessions hear of it by ``on_lost``.
        """
        if self._wire is None:
            raise VivifyError("The engine is not running: call start() first.")
        if not self._outbox.put(head, payload):
            self.kill()

    @property
    def silent_s(self) -> float:
        """Seconds since the process last gave a sign of life; `ping` asks for one."""
        return time.monotonic() - self._heard

    def ping(self) -> None:
        self.tell({"do": "ping"})

    def add_avatar(self, name: str, folder: Path) -> None:
        """Let sessions ask for the avatar in ``folder`` as ``name``; `avatars` does not list it."""
        self.tell({"do": "add avatar", "name": name, "folder": str(folder)})

    def remove_avatar(self, name: str) -> None:
        """The reverse; sessions that show it go on."""
        self.tell({"do": "remove avatar", "name": name})

    def forget(self, number: int) -> bool:
        """Take a session off the list; True if it was there."""
        with self._lock:
            self._opening.pop(number, None)
            return self._sessions.pop(number, None) is not None

    def _spawn(self, memory: int) -> subprocess.Popen[bytes]:
        command = [sys.executable, "-m", "engine.process.engine_worker"]
        command += ["--avatar", self.config.avatar, "--size", str(self.config.size)]
        command += ["--max-sessions", str(self.config.max_sessions), "--memory", str(memory)]
        command += ["--quality", self.config.quality, "--device", self.config.device]
        command += ["--mover", self.config.moved_by, "--lips", self.config.lips]
        if not self.config.mark:
            log.warning("pictures carry no mark: --mark off")
        command += ["--mark", "on" if self.config.mark else "off", "--method", self.config.method]
        command += ["--require-consent"] * self.config.consent
        wishes = {"weights": self.config.weights, "photo": self.config.photo, "compile": self.config.compiler}
        command += [f"--{option}={value}" for option, value in wishes.items() if value is not None]
        root = str(Path(__file__).resolve().parents[2])  # the folder that holds the package, installed or not
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        return subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            pass_fds=[memory],
            env={**os.environ, **ONE_THREAD, "PYTHONPATH": path},
            start_new_session=True,  # Ctrl-C is for the server, which then stops the engine in order
        )

    def _reap(self) -> None:
        """Wait for a process that should be ending; one that does not is killed."""
        assert self._process
        try:
            self._process.wait(STOP_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _await_ready(self, on_progress: Callable[[str], None]) -> None:
        assert self._wire
        while (message := self._wire.receive()) is not None:
            head, _ = message
            if head["event"] == "progress":
                on_progress(head["text"])
            elif head["event"] == "ready":
                self._avatars, self.default_avatar = head["avatars"], head["default"]
                self._heard = time.monotonic()
                return
            elif head["event"] == "fatal":
                self.stop()
                raise _REFUSALS.get(head["kind"], VivifyError)(head["error"])
        self.stop()
        raise VivifyError(
            "The engine process ended before it was ready: its own message stands above; try 'vivify doctor'."
        )

    def _write(self) -> None:
        """Everything goes through this thread: only it waits when the pipe is full."""
        assert self._wire
        assert self._process
        assert self._process.stdin
        try:
            while (message := self._outbox.take()) is not None:
                self._wire.send(*message)
        except OSError:
            pass  # the process is gone: the reader notices, too
        except ValueError:  # what cannot be sent: without its writer the process would be deaf, and nobody would know
            log.exception("a message to the engine could not be sent: it is ended")
            self.kill()
        with contextlib.suppress(OSError):
            self._process.stdin.close()

    def _read(self) -> None:
        assert self._wire
        try:
            while (message := self._wire.receive()) is not None:
                self._heard = time.monotonic()
                self._event(*message)
        except (OSError, ValueError):
            pass  # a pipe that breaks or garbles is an engine that died
        if not self._stopping:
            self._reap()
            self._fail_openings()
            with self._lock:
                lost = list(self._sessions.values())
                self._sessions.clear()
            for session in lost:
                session.lost("The engine stopped unexpectedly: please connect again.")
            if self.on_death is not None:
                self.on_death()

    def _event(self, head: dict[str, Any], payload: bytes) -> None:
        number = head.get("session", -1)
        if head["event"] == "frame":
            self._frame(number, head, payload)
            return
        with self._lock:
            answer = self._opening.pop(number, None)
            session = self._sessions.get(number)
        if head["event"] == "opened" and answer:
            answer.set_result(None)
        elif head["event"] == "refused" and answer:
            answer.set_exception(_REFUSALS.get(head["kind"], VivifyError)(head["error"]))
        elif head["event"] == "lost" and session:
            self.forget(number)
            session.lost(head["error"])

    def _picture(self, slot: int, width: int) -> ByteArray:
        """The picture in ``slot`` [H * 3 // 2, width], and the slot is free again."""
        height = self.config.size * 3 // 2
        picture = np.frombuffer(self._memory, np.uint8, height * width, slot * self._slot_bytes).copy()
        if width:
            self._memory[(slot + 1) * self._slot_bytes - 1] = 0
        return picture.reshape(height, width)

    def _frame(self, number: int, head: dict[str, Any], payload: bytes) -> None:
        picture = self._picture(head["slot"], head["width"])
        session = self._sessions.get(number)
        if session is not None:
            session.dropped = head["dropped"]
            ledger = Ledger(**head["ledger"])
            stood, learned = tuple(head["head"]), head["learned"]
            position, speaking = head["position"], head["speaking"]
            motion = unpacked(position, payload)
            session.frame_came(Frame(position, head["epoch"], picture, ledger, speaking, stood, learned, motion))

    def _fail_openings(self) -> None:
        with self._lock:
            waiting = list(self._opening.values())
            self._opening.clear()
        for answer in waiting:
            if not answer.done():
                answer.set_exception(EngineAway())
