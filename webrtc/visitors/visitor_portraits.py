"""Portraits that visitors bring, as photos or films: enrolled in a process apart, kept a while under secret names."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path

from engine.errors import EngineFull, NoConsent, VivifyError
from engine.process.keeper import EngineKeeper
from webrtc.access.addresses import PORTRAIT, fresh
from webrtc.access.rights import Caller
from webrtc.live_session import UnknownSession
from webrtc.visitors.enrolment_job import Job
from webrtc.visitors.visitors_home import make_home, sweep

log = logging.getLogger("vivify")

KEPT_S = 3600.0  # an avatar that nobody has used for so long is deleted
LOOKS = 60  # times in which it is asked whether somebody does
JOBS = 64  # finished enrolments that can still be asked about
PREVIEW = "preview.png"  # beside an avatar's files
MOST_COMING = {"photo": 4, "film": 2}  # that are being sent at the same time: a film lies on the disk meanwhile

Receive = Callable[[Job], Awaitable[None]]  # puts what is brought into the job's files


class TooManyPortraits(VivifyError):
    """One owner has all the portraits that one may have."""


class NoRoom(VivifyError):
    """The server's disk is full, or nothing can be written to it."""

    def __init__(self) -> None:
        super().__init__("The server has no room for the file just now: try again in a while.")


class VisitorPortraits:
    """At most ``most`` avatars, ``each`` of one owner; one photo and one film are enrolled at a time.

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
        self._coming: list[tuple[str, str]] = []  # visitors who are sending something, and its kind
        self._jobs: dict[str, Job] = {}
        self._at_work: dict[str, Job] = {}  # by kind
        self._home: Path | None = None
        self._held: int | None = None  # an open file
        sweep()

    def job(self, name: str) -> Job:
        """Raises UnknownSession."""
        if name not in self._jobs:
            raise UnknownSession
        return self._jobs[name]

    async def bring(
        self, caller: Caller, receive: Receive, consent: str = "", film_s: int = 0, same_person: bool = False
    ) -> Job:
        """Take a photo in, or a film of which ``film_s`` seconds are used, and start to enrol it.

        ``consent`` is what its bringer says of the person's, ``same_person`` that there is but one. Refused before any
        of it is read, and again once it is here. Raises EngineFull while another one is enrolled or too many are kept,
        TooManyPortraits for an owner who shows all that one may have, NoConsent where it is required and not given,
        NoRoom, and what ``receive`` raises.
        """
        self._demand(consent, film_s)
        job = Job(fresh(self._node), caller.owner, Path(), film_s, same_person=same_person)
        self._oldest(caller, job.kind)
        coming = [kind for _, kind in self._coming]
        if coming.count(job.kind) >= MOST_COMING[job.kind] or caller.visitor in dict(self._coming):
            raise EngineFull(f"{job.kind.capitalize()}s are being sent already: try again in a little while.")
        job.folder = self._folder(job.name)
        self._coming.append((caller.visitor, job.kind))
        try:
            await receive(job)
            self._make_room(caller, job.kind)
        except BaseException:
            shutil.rmtree(job.folder, ignore_errors=True)
            raise
        finally:
            self._coming.remove((caller.visitor, job.kind))
        self._remember(job)
        work = job, consent, asyncio.get_running_loop()
        threading.Thread(target=self._enrol, args=work, name="enrolment", daemon=True).start()
        return job

    def _remember(self, job: Job) -> None:
        """Let it be asked about; where too many can be, the one that ended longest ago cannot any more."""
        while len(self._jobs) >= JOBS:
            del self._jobs[next(name for name, one in self._jobs.items() if one.state != "working")]
        self._jobs[job.name] = self._at_work[job.kind] = job

    def _demand(self, consent: str, film_s: int) -> None:
        """Raises NoConsent."""
        if not consent and (self._engine.config.consent or film_s):
            what = "Films are" if film_s else "Portraits are"
            raise NoConsent(
                f"{what} taken here only with their person's consent: ask them, then say so in ?consent=TEXT."
            )

    def stop(self, name: str, caller: Caller) -> str | None:
        """Stop an enrolment and forget it; the avatar that it made, if it did. Raises UnknownSession."""
        job = self._jobs.get(name)
        if job is None or job.owner != caller.owner:
            raise UnknownSession
        del self._jobs[name]
        job.stop()
        return job.avatar if job.avatar in self.folders else None

    def remove(self, avatar: str, caller: Caller) -> None:
        """Delete an avatar with all that it was made of. Raises UnknownSession when it is not the caller's."""
        if self._owners.get(avatar) != caller.owner:
            raise UnknownSession
        self._remove(avatar)

    def preview(self, avatar: str, caller: Caller) -> bytes:
        """The sheet of what was understood of it, a PNG. Raises UnknownSession when it is not the caller's."""
        if self._owners.get(avatar) != caller.owner:
            raise UnknownSession
        try:
            return (self.folders[avatar] / PREVIEW).read_bytes()
        except (KeyError, OSError):  # deleted in this moment
            raise UnknownSession from None

    def _make_room(self, caller: Caller, kind: str) -> None:
        """Let an owner's further portrait take the place of the oldest that nobody shows. Raises as `bring`."""
        oldest = self._oldest(caller, kind)
        if oldest is not None:
            self._remove(oldest)

    def _oldest(self, caller: Caller, kind: str) -> str | None:
        """Which portrait would have to go for a further one, if any; what is being made counts. Raises as `bring`."""
        if kind in self._at_work:
            raise EngineFull(f"Another portrait is being made of a {kind}: try again in a little while.")
        making = [job.owner for job in self._at_work.values()]
        own = [name for name, owner in self._owners.items() if owner == caller.owner]
        too_many = len(own) + making.count(caller.owner) >= self._each
        idle = [name for name in own if not self._in_use(name)]
        if too_many and not idle:
            most = self._each
            raise TooManyPortraits(f"At most {most} portraits of one owner are kept, and all are shown or made now.")
        if len(self.folders) + len(making) - too_many >= self._most:
            raise EngineFull("Too many portraits are kept: try again in a little while.")
        return idle[0] if too_many else None

    def _folder(self, name: str) -> Path:
        """Raises NoRoom."""
        try:
            if self._home is None or not self._home.is_dir():  # what cleans temporary folders may have taken it
                self._let_go()
                self._home, self._held = make_home()
            folder = self._home / name
            folder.mkdir(mode=0o700)
        except OSError as problem:
            log.error("there is no place for what visitors bring (%s)", problem)
            raise NoRoom from None
        return folder

    def close(self) -> None:
        """Delete everything."""
        for job in self._at_work.values():
            job.stop()
        if self._home is not None:
            shutil.rmtree(self._home, ignore_errors=True)
        self._let_go()

    def _let_go(self) -> None:
        if self._held is not None:
            os.close(self._held)
            self._held = None

    def _enrol(self, job: Job, consent: str, loop: asyncio.AbstractEventLoop) -> None:
        """On a thread of its own."""
        last = job.run(self._engine.config.size, consent)
        with contextlib.suppress(RuntimeError):  # the server has stopped
            loop.call_soon_threadsafe(self._finish, job, last)

    def _finish(self, job: Job, last: dict[str, object]) -> None:
        del self._at_work[job.kind]
        warnings = last.get("warnings")
        if job.stopped or not isinstance(warnings, list):
            shutil.rmtree(job.folder, ignore_errors=True)
            job.refuse(last.get("error"), last.get("overrule"))
            return
        name = f"{PORTRAIT}{fresh(self._node)}"
        self.folders[name], self._owners[name] = job.folder / "avatar", job.owner
        self._engine.add_avatar(name, job.folder / "avatar")
        job.warnings, job.avatar, job.share, job.state = [str(text) for text in warnings], name, 1.0, "done"
        self._expire(name, 0)

    def _expire(self, name: str, looks: int) -> None:
        """Delete an avatar that nobody was seen to use at so many ``looks``, one after another, or look again later."""
        if name not in self.folders:
            return
        looks = 0 if self._in_use(name) else looks + 1
        if looks > LOOKS:
            self._remove(name)
        else:
            asyncio.get_running_loop().call_later(KEPT_S / LOOKS, self._expire, name, looks)

    def _remove(self, name: str) -> None:
        self._engine.remove_avatar(name)
        del self._owners[name]
        shutil.rmtree(self.folders.pop(name).parent, ignore_errors=True)


class NoPortraits(VivifyError):
    """This server takes no portraits, or no ``kind`` of them."""

    def __init__(self, kind: str = "portraits") -> None:
        super().__init__(f"This server takes no {kind}: choose one of its own faces.")
