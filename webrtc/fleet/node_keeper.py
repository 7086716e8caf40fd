"""Keeps the nodes of one machine running: starts, pins, replaces and renews them."""

from __future__ import annotations

import asyncio
import os
from dataclasses import replace

from engine.errors import VivifyError
from webrtc.fleet.kept_node import KeptNode, Say
from webrtc.fleet.nodes import Nodes
from webrtc.server_config import ServerConfig


class NodeKeeper:
    """One process a node; each is started anew whenever it ends, until `stop`."""

    def __init__(self, config: ServerConfig, count: int, measures: bool, first_port: int | None) -> None:
        """``measures``: each node counts its own places. ``first_port``: they listen at the door's host, from there on;
        else at free ports of this machine alone.
        """
        shares = shares_of_cores(count)
        self.kept = []
        for number in range(count):
            host, port = ("127.0.0.1", 0) if first_port is None else (config.host, first_port + number)
            own = replace(config, node=f"n{number + 1}", host=host, port=port)
            self.kept.append(KeptNode(own, shares[number] if shares else None, measures, self._hear))
        self.nodes = Nodes([kept.node for kept in self.kept])
        self._say: Say = lambda text: None
        self._stopping = False
        self._rolling = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self, say: Say) -> None:
        """Start all, and wait until they answer. Raises VivifyError with the sentence of one that cannot."""
        self._say = say
        self._tasks = [asyncio.create_task(kept.keep()) for kept in self.kept]
        waiting = [asyncio.create_task(kept.ready.wait()) for kept in self.kept]
        await asyncio.gather(*waiting)
        if errors := [kept.error for kept in self.kept if kept.error is not None]:
            raise VivifyError(errors[0])
        self._tasks += [asyncio.create_task(kept.look()) for kept in self.kept]

    async def roll(self) -> None:
        """Renew all, one after another: each drains, and is there again before the next one's turn."""
        async with self._rolling:
            for kept in self.kept:
                if not self._stopping:
                    await kept.renew()

    async def stop(self) -> None:
        """End all: each drains. Calling it again hurries them."""
        self._stopping = True
        await asyncio.gather(*(kept.stop() for kept in self.kept))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks.clear()

    def _hear(self, text: str) -> None:
        self._say(text)


def shares_of_cores(count: int) -> list[list[int]] | None:
    """Which cores each of ``count`` nodes is pinned to; None where that cannot be said (only Linux can)."""
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if count >= len(cores):
        return [[cores[number % len(cores)]] for number in range(count)]
    edges = [round(number * len(cores) / count) for number in range(count + 1)]
    return [cores[edges[number] : edges[number + 1]] for number in range(count)]
