"""One node's place: a process runs there, and another one whenever it ends; it is asked how many places it has."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

from webrtc.fleet.node_process import written
from webrtc.fleet.nodes import Node
from webrtc.fleet.passing import NodeGone, free_places
from webrtc.server_config import ServerConfig

log = logging.getLogger("vivify")

LOOK_EVERY_S = 0.25
HANG_LIMIT_S = 10.0  # a node that does not answer for so long is ended
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0  # before a node that ended by itself is started again; a long life resets it
LONG_LIFE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]
REACHED_AT = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # where a node that listens everywhere is asked
Say = Callable[[str], None]


class KeptNode:
    """A node that is started anew until `stop`. ``ready`` is set while it serves, and when it cannot: see ``error``."""

    def __init__(
        self, config: ServerConfig, cores: list[int] | None, measures: bool, say: Say, passed_on: tuple[int, ...] = ()
    ) -> None:
        """``cores``: those it is pinned to; ``measures``: it counts its own places; ``say`` hears how far it is.

        ``passed_on``: open files that its processes get, too.
        """
        self.node = Node(config.node, REACHED_AT.get(config.host, config.host))
        self.ready = asyncio.Event()
        self.error: str | None = None  # why it could not start
        self._config, self._cores, self._measures, self._say = config, cores, measures, say
        self._passed_on = passed_on
        self._process: asyncio.subprocess.Process | None = None
        self._answered = 0.0  # when it last did
        self._stopping = False

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process is not None else None

    async def keep(self) -> None:
        """One process after another, until `stop`; ends at once where the first one says that it cannot start."""
        pause = FIRST_PAUSE_S
        while not self._stopping:
            born, first = time.monotonic(), self._process is None
            ending, code = await self._live()
            self.node.lost()
            if self._stopping or (first and self.error is not None):
                self.ready.set()
                return
            log.warning("node %s %s: a new one is started", self.node.name, ending)
            calm = time.monotonic() - born > LONG_LIFE_S or code == 0
            pause = FIRST_PAUSE_S if calm else min(2 * pause, LONGEST_PAUSE_S)
            await asyncio.sleep(pause)

    async def _live(self) -> tuple[str, int | None]:
        """A process's whole life: how it ended, in words, and its exit code; None where there was none."""
        try:
            self._process = process = await self._spawn()
        except OSError as error:  # no memory or no processes left: later there may be
            return f"could not be started ({error})", None
        if self._stopping:  # meanwhile
            self._signal()
        await self._hear(process)
        return f"ended ({_ending(await process.wait())})", process.returncode

    async def look(self) -> None:
        """Ask it again and again how many places it has; end it when it does not answer any more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            process = self._process
            if process is None or process.returncode is not None or not self.ready.is_set():
                continue
            try:
                free = await free_places(self.node)
            except NodeGone:
                self.node.lost()
                continue  # its process has ended, or is about to
            if free is None:
                self.node.silent()
                if time.monotonic() - self._answered > HANG_LIMIT_S and process.returncode is None:
                    log.warning("node %s did not answer for %.0f s: it is ended", self.node.name, HANG_LIMIT_S)
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
            elif process is self._process and self.ready.is_set():
                self._answered = time.monotonic()
                self.node.heard(free)

    async def renew(self) -> None:
        """Let it drain, and wait until another one is there."""
        before = self._process
        if before is None or before.returncode is not None or self._stopping:
            return
        self.ready.clear()
        self.node.lost()
        self._signal()
        await before.wait()
        await self.ready.wait()

    async def stop(self) -> None:
        """Let it drain, and end. Calling it again hurries it."""
        self._stopping = True
        self._signal()
        if self._process is not None:
            await self._process.wait()

    def _signal(self) -> None:
        if self._process is not None and self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.terminate()

    async def _spawn(self) -> asyncio.subprocess.Process:
        python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "webrtc.fleet.node_process", self.node.name),  # the name is for who reads ps
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            env=os.environ | {"PYTHONPATH": python_path},
            pass_fds=self._passed_on,
            start_new_session=True,  # Ctrl-C is the keeper's to pass on
        )
        assert process.stdin is not None
        process.stdin.write(written(self._config, self._cores, self._measures))  # open as long as the keeper lives
        with contextlib.suppress(OSError):
            await process.stdin.drain()
        return process

    async def _hear(self, process: asyncio.subprocess.Process) -> None:
        """Until its standard output ends, and with it the process."""
        assert process.stdout is not None
        self.error = None
        while not process.stdout.at_eof():
            try:
                told = json.loads(await process.stdout.readline())
            except ValueError:
                continue  # a library's words, or more of them than a line holds
            if not isinstance(told, dict):
                continue
            if "ready" in told:
                self.node.port, self.node.slots = told["ready"]["port"], told["ready"]["slots"]
                self._answered = time.monotonic()
                self.node.heard(self.node.slots)
                self.ready.set()
            elif "error" in told:
                self.error = told["error"]
            else:
                self._say(f"node {self.node.name}: {told.get('measured') or told.get('progress')}")
                if "measured" in told:
                    log.info("node %s measured %s", self.node.name, told["measured"])


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
