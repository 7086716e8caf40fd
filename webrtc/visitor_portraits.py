"""Portraits that visitors bring: enrolled in a process apart, kept for a while under names nobody can guess."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import shutil
import subprocess
import sys
import tempfile
import threading
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from engine.errors import EngineFull, VivifyError
from engine.marking.consent import NoConsent
from engine.process.keeper import EngineKeeper
from webrtc.access.addresses import PORTRAIT, fresh
from webrtc.access.rights import Caller
from webrtc.live_session import UnknownSession

TIME_LIMIT_S = 120.0  # of one enrolment, on the clock
KEPT_S = 3600.0  # an avatar that nobody has used for so long is deleted
JOBS = 64  # finished enrolments that can still be asked about
MOST_COMING = 4  # photos that are being sent at the same time
NAME = "portrait.upload"  # the file's name never comes from outside
FAILED = "The portrait could not be read within the limits set for it: give a smaller or simpler picture."


log = logging.getLogger("vivify")
Receive = Callable[[Path], Awaitable[None]]  # puts a photo into a file


class TooManyPortraits(VivifyError):
    """One owner has all the portraits that one may have."""


@dataclass(slots=True)
class Job:
    """One enrolment: ``state`` is working, done or refused."""

    name: str
    state: str = "working"
    progress: str = "waiting"
    avatar: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None


class VisitorPortraits:
    """At most ``most`` avatars, ``each`` of one owner, one enrolment at a time.

    ``in_use`` tells whether somebody shows an avatar.
    """

    def __init__(
        self, engine: EngineKeeper, most: int, each: int, in_use: Callable[[str], bool], node: str = ""
    ) -> None:
        self.folders: dict[str, Path] = {}  # by avatar, the oldest first
        self._owners: dict[str, str] = {}  # by avatar
        self._engine = engine
        self._most, self._each = most, each
        self._in_use = in_use
        self._node = node
        self._coming: list[str] = []  # visitors whose photos are being sent
        self._jobs: dict[str, Job] = {}
        self._busy = False
        self._home: Path | None = None
        self._process: subprocess.Popen[str] | None = None

    def job(self, name: str) -> Job:
        """Raises UnknownSession."""
        if name not in self._jobs:
            raise UnknownSession
        return self._jobs[name]

    async def bring(self, caller: Caller, receive: Receive, consent: str = "") -> Job:
        """Take a photo in and start to enrol it; ``consent`` is what its bringer says of the person's.

        Refused before any of it is read, and again once it is here. Raises EngineFull while another one is enrolled or
        too many are kept, TooManyPortraits for an owner who shows all that one may have, NoConsent where it is
        required and not given, and what ``receive`` raises.
        """
        if self._engine.config.consent and not consent:
            raise NoConsent(
                "Portraits are taken here only with their person's consent: ask them, then say so in ?consent=TEXT."
            )
        self._make_room(caller)
        if len(self._coming) >= MOST_COMING or caller.visitor in self._coming:
            raise EngineFull("Photos are being sent already: try again in a little while.")
        job = Job(fresh(self._node))
        folder = self._folder(job.name)
        self._coming.append(caller.visitor)
        try:
            await receive(folder / NAME)
            self._make_room(caller)
        except BaseException:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        finally:
            self._coming.remove(caller.visitor)
        while len(self._jobs) >= JOBS:
            del self._jobs[next(iter(self._jobs))]
        self._jobs[job.name] = job
        self._busy = True
        work = job, folder, caller.owner, consent, asyncio.get_running_loop()
        threading.Thread(target=self._enrol, args=work, name="enrolment", daemon=True).start()
        return job

    def _make_room(self, caller: Caller) -> None:
        """Let an owner's further portrait take the place of the oldest that nobody shows. Raises as `bring`."""
        if self._busy:
            raise EngineFull("Another portrait is being made: try again in a little while.")
        own = [name for name, owner in self._owners.items() if owner == caller.owner]
        if len(own) >= self._each:
            idle = [name for name in own if not self._in_use(name)]
            if not idle:
                raise TooManyPortraits(f"At most {self._each} portraits of one owner are kept, and all are shown now.")
            self._remove(idle[0])
        if len(self.folders) >= self._most:
            raise EngineFull("Too many portraits are kept: try again in a little while.")

    def _folder(self, name: str) -> Path:
        if self._home is None:
            self._home = Path(tempfile.mkdtemp(prefix="vivify-"))
        folder = self._home / name
        folder.mkdir(mode=0o700)
        return folder

    def close(self) -> None:
        """Delete everything."""
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)

    def _enrol(self, job: Job, folder: Path, owner: str, consent: str, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread of its own: run the process, pass on what it tells."""
        root = str(Path(__file__).resolve().parent.parent)
        path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "engine.process.enrolment_worker", str(folder / NAME), str(folder / "avatar")]
        last: dict[str, object] = {}
        try:
            self._process = subprocess.Popen(
                [*command, str(self._engine.config.size), consent],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
            timer = threading.Timer(TIME_LIMIT_S, self._process.kill)
            timer.start()
            with self._process as process:
                assert process.stdout
                for line in process.stdout:
                    last = json.loads(line)
                    if "unlimited" in last:
                        log.warning("this system does not hold enrolment to a limit of memory: see docs/deploy.md")
                    job.progress = str(last.get("progress", job.progress))
            timer.cancel()
        except (OSError, ValueError):
            last = {}
        (folder / NAME).unlink(missing_ok=True)
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(self._finish, job, folder, owner, last)

    def _finish(self, job: Job, folder: Path, owner: str, last: dict[str, object]) -> None:
        self._busy = False
        warnings = last.get("warnings")
        if not isinstance(warnings, list):
            shutil.rmtree(folder, ignore_errors=True)
            job.state, job.error = "refused", str(last.get("error") or FAILED)
            return
        name = f"{PORTRAIT}{fresh(self._node)}"
        self.folders[name], self._owners[name] = folder / "avatar", owner
        self._engine.add_avatar(name, folder / "avatar")
        job.warnings, job.avatar, job.state = [str(text) for text in warnings], name, "done"
        asyncio.get_running_loop().call_later(KEPT_S, self._expire, name)

    def _expire(self, name: str) -> None:
        if self._in_use(name):
            asyncio.get_running_loop().call_later(KEPT_S, self._expire, name)
        elif name in self.folders:
            self._remove(name)

    def _remove(self, name: str) -> None:
        self._engine.remove_avatar(name)
        del self._owners[name]
        shutil.rmtree(self.folders.pop(name).parent, ignore_errors=True)


class NoPortraits(VivifyError):
    """This server takes no portraits."""

    def __init__(self) -> None:
        super().__init__("This server takes no portraits: choose one of its own.")
