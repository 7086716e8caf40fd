"""One enrolment of what a visitor brought: a process apart that tells how far it is, and that can be stopped."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT_S = 120.0  # of one enrolment, on the clock
FILM_TIME_PER_S = 10.0  # and so much more for every second of a film that may be used
FAILED = "The portrait could not be read within the limits set for it: give a smaller or simpler picture."
FILM_FAILED = "The film could not be read within the limits set for it: send a shorter or smaller one."

log = logging.getLogger("vivify")


@dataclass(slots=True)
class Job:
    """``state`` is working, done or refused; ``share`` how much is done, 0 to 1.

    ``folder`` holds what was brought, as ``source`` and, beside a film, ``photo``, and then the avatar; ``film_s``: how
    many seconds of a film are used, 0 for a photo; ``same_person``: photo and film show one, by the word of
    who brought them; ``overrule``: the parameter by which another word would help, if one would.
    """

    name: str
    owner: str
    folder: Path
    film_s: int = 0
    state: str = "working"
    progress: str = "waiting"
    share: float = 0.0
    avatar: str | None = None
    warnings: list[str] = field(default_factory=list)
    error: str | None = None
    overrule: str | None = None
    same_person: bool = False
    stopped: bool = False
    _process: subprocess.Popen[str] | None = None

    @property
    def kind(self) -> str:
        return "film" if self.film_s else "photo"

    @property
    def source(self) -> Path:
        """The file's name never comes from outside."""
        return self.folder / "portrait.upload"

    @property
    def photo(self) -> Path:
        """The portrait that a film may have beside it."""
        return self.folder / "beside.upload"

    def run(self, size: int, consent: str) -> dict[str, object]:
        """Enrol, and wait for the end; what the process told last. What was brought is deleted then."""
        path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "engine.process.enrolment_worker", str(self.source)]
        last: dict[str, object] = {}
        beside = [str(self.photo) if self.photo.exists() else "", "same" if self.same_person else ""]
        try:
            self._process = subprocess.Popen(
                [*command, str(self.folder / "avatar"), str(size), consent, str(self.film_s), *beside],
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
                env={**os.environ, "PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                start_new_session=True,
            )
            if self.stopped:
                self._process.kill()
            timer = threading.Timer(TIME_LIMIT_S + FILM_TIME_PER_S * self.film_s, self._process.kill)
            timer.daemon = True
            timer.start()
            try:
                with self._process as process:
                    assert process.stdout
                    for line in process.stdout:
                        last = json.loads(line)
                        self._hear(last)
            finally:
                timer.cancel()
        except (OSError, ValueError):
            last = {}
        for brought in (self.source, self.photo):
            brought.unlink(missing_ok=True)
        return last

    def _hear(self, told: dict[str, object]) -> None:
        if "unlimited" in told:
            log.warning("this system does not hold enrolment to a limit of memory: see docs/deploy.md")
        if "fault" in told:
            log.warning("a visitor's %s became no face: %s", self.kind, told["fault"])
        self.progress = str(told.get("progress", self.progress))
        share = told.get("share")
        self.share = share if isinstance(share, float) else self.share

    def stop(self) -> None:
        """End the process, now or as soon as it is there."""
        self.stopped = True
        if self._process is not None:
            with contextlib.suppress(OSError):
                self._process.kill()

    def refuse(self, error: object, overrule: object = None) -> None:
        self.state, self.error = "refused", str(error or (FILM_FAILED if self.film_s else FAILED))
        self.overrule = str(overrule) if overrule else None
