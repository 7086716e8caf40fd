"""Keeps the nodes of one machine running: starts, pins, replaces and renews them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.errors import VivifyError
from webrtc.fleet.node_process import written
from webrtc.fleet.nodes import Node, Nodes
from webrtc.fleet.passing import NodeGone, fetched
from webrtc.server_config import ServerConfig

log = logging.getLogger("vivify")

LOOK_EVERY_S = 0.25
SILENT_S = 1.0  # after which nobody new is sent to a node that does not answer
HANG_LIMIT_S = 10.0  # a node that does not answer for so long is ended
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.2, 30.0  # before a node that ended by itself is started again; a long life resets it
LONG_LIFE_S = 60.0
ROOT = Path(__file__).resolve().parents[2]
Say = Callable[[str], None]


@dataclass(slots=True)
class Kept:
    """A node's place: what runs there now."""

    node: Node
    config: ServerConfig
    cores: list[int] | None
    process: asyncio.subprocess.Process | None = None
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    error: str | None = None  # why it could not start
    answered: float = 0.0  # when it last did

    @property
    def pid(self) -> int | None:
        return self.process.pid if self.process is not None else None


class NodeKeeper:
    """One process a node; each is started anew whenever it ends, until `stop`."""

    def __init__(self, config: ServerConfig, count: int, measures: bool, first_port: int | None) -> None:
        """``measures``: each node counts its own places. ``first_port``: they listen at the door's host, from there on;
        else at free ports of this machine alone.
        """
        shares = shares_of_cores(count)
        self.kept = []
        for number in range(count):
            name = f"n{number + 1}"
            host, port = ("127.0.0.1", 0) if first_port is None else (config.host, first_port + number)
            own = replace(config, node=name, host=host, port=port)
            reached = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
            self.kept.append(Kept(Node(name, reached), own, shares[number] if shares else None))
        self.nodes = Nodes([kept.node for kept in self.kept])
        self._measures = measures
        self._say: Say = lambda text: None
        self._stopping = False
        self._rolling = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, say: Say) -> None:
        """Start all, and wait until they answer. Raises VivifyError with the sentence of one that cannot."""
        self._say = say
        self._tasks = [asyncio.create_task(self._keep(kept)) for kept in self.kept]
        waiting = [asyncio.create_task(kept.ready.wait()) for kept in self.kept]
        await asyncio.gather(*waiting)
        if errors := [kept.error for kept in self.kept if kept.error is not None]:
            raise VivifyError(errors[0])
        self._tasks += [asyncio.create_task(self._look(kept)) for kept in self.kept]

    async def roll(self) -> None:
        """Renew all, one after another: each drains, and is there again before the next one's turn."""
        async with self._rolling:
            for kept in self.kept:
                before = kept.process
                if before is None or before.returncode is not None or self._stopping:
                    continue
                kept.ready.clear()
                kept.node.lost()
                self._signal(kept)
                await before.wait()
                await kept.ready.wait()

    async def stop(self) -> None:
        """End all: each drains. Calling it again hurries them."""
        self._stopping = True
        for kept in self.kept:
            self._signal(kept)
        await asyncio.gather(*(kept.process.wait() for kept in self.kept if kept.process is not None))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _signal(self, kept: Kept) -> None:
        if kept.process is not None and kept.process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                kept.process.terminate()

    async def _keep(self, kept: Kept) -> None:
        """One process after another."""
        pause = FIRST_PAUSE_S
        while not self._stopping:
            born, first = time.monotonic(), not kept.ready.is_set() and kept.process is None
            kept.process = process = await _spawn(kept, self._measures)
            await self._hear(kept, process)
            code = await process.wait()
            kept.node.lost()
            if self._stopping or (first and kept.error is not None):
                kept.ready.set()
                return
            log.warning("node %s ended (%s): a new one is started", kept.node.name, _ending(code))
            pause = (
                FIRST_PAUSE_S if time.monotonic() - born > LONG_LIFE_S or code == 0 else min(2 * pause, LONGEST_PAUSE_S)
            )
            await asyncio.sleep(pause)

    async def _hear(self, kept: Kept, process: asyncio.subprocess.Process) -> None:
        """Until its standard output ends, and with it the process."""
        assert process.stdout is not None
        kept.error = None
        async for line in process.stdout:
            try:
                told = json.loads(line)
            except ValueError:
                continue  # a library's words
            if "ready" in told:
                kept.node.port, kept.node.slots = told["ready"]["port"], told["ready"]["slots"]
                kept.answered = time.monotonic()
                kept.node.heard(kept.node.slots)
                kept.ready.set()
            elif "error" in told:
                kept.error = told["error"]
            else:
                self._say(f"node {kept.node.name}: {told.get('measured') or told.get('progress')}")
                if "measured" in told:
                    log.info("node %s measured %s", kept.node.name, told["measured"])

    async def _look(self, kept: Kept) -> None:
        """Ask it again and again how many places it has; end it when it does not answer any more."""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            process = kept.process
            if process is None or process.returncode is not None or not kept.ready.is_set():
                continue
            try:
                async with asyncio.timeout(SILENT_S):
                    _, body = await fetched(kept.node, "/readyz")
                free = int(json.loads(body)["free"])
            except NodeGone:
                kept.node.lost()
                continue  # its process has ended, or is about to
            except (TimeoutError, ValueError, KeyError, TypeError):
                kept.node.silent()
                if time.monotonic() - kept.answered > HANG_LIMIT_S and process.returncode is None:
                    log.warning("node %s did not answer for %.0f s: it is ended", kept.node.name, HANG_LIMIT_S)
                    with contextlib.suppress(ProcessLookupError):
                        process.kill()
                continue
            if process is kept.process and kept.ready.is_set():
                kept.answered = time.monotonic()
                kept.node.heard(free)


async def _spawn(kept: Kept, measures: bool) -> asyncio.subprocess.Process:
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "webrtc.fleet.node_process"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": python_path},
        start_new_session=True,  # Ctrl-C is the keeper's to pass on
    )
    assert process.stdin is not None
    process.stdin.write(written(kept.config, kept.cores, measures))  # and it stays open as long as the keeper lives
    with contextlib.suppress(OSError):
        await process.stdin.drain()
    return process


def shares_of_cores(count: int) -> list[list[int]] | None:
    """Which cores each of ``count`` nodes is pinned to; None where that cannot be said (only Linux can)."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if count >= len(cores):
        return [[cores[number % len(cores)]] for number in range(count)]
    edges = [round(number * len(cores) / count) for number in range(count + 1)]
    return [cores[edges[number] : edges[number + 1]] for number in range(count)]


def _ending(code: int) -> str:
    return f"signal {-code}" if code < 0 else f"exit code {code}"
