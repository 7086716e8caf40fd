"""A node as an actor of Ray's: it keeps the node's process on the machine that Ray chose, and tells how it is."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass, replace

import ray

from engine.errors import VivifyError
from webrtc.fleet.kept_node import KeptNode
from webrtc.fleet.seats import Seat, cores_of, seats_here
from webrtc.logs import write_logs
from webrtc.server_config import ServerConfig

PUBLIC_HOST = "VIVIFY_PUBLIC_HOST"  # of a machine's environment: what clients call it
SEAT_PATIENCE_S = 5.0  # beyond the time that a node has to drain whose actor died
LOOK_EVERY_S = 0.2


@dataclass(frozen=True, slots=True)
class Share:
    """What each node gets of its machine, and where it listens."""

    cores: float = 1.0
    gpus: float = 0.0
    measured: bool = True  # it counts its places itself
    first_port: int | None = None  # it listens at this port and its seat's number; else at any


@dataclass(frozen=True, slots=True)
class Told:
    """How a node is. ``error``: why it could not start; ``progress``: how far it is."""

    host: str
    port: int
    public: str
    up: bool
    slots: int
    free: int
    retired: bool
    error: str | None
    progress: str


class NodeActor:
    """Begins with the first `tell`, so that it is the same whether Ray makes it or makes it again."""

    def __init__(self, config: ServerConfig, share: Share) -> None:
        self._config, self._share = config, share
        self._kept: KeptNode | None = None
        self._seat: Seat | None = None
        self._tasks: list[asyncio.Task[None]] = []
        self._retired = False
        self._ending = False
        self._error: str | None = None
        self._progress = "takes a seat"

    async def tell(self) -> Told:
        if not self._tasks:
            if self._config.logs is not None:
                write_logs(self._config.logs)
            self._tasks.append(asyncio.create_task(self._run()))
        host = "127.0.0.1" if self._config.loopback else ray.util.get_node_ip_address()
        public = os.environ.get(PUBLIC_HOST, "") or ("" if self._config.loopback else host)
        node = self._kept.node if self._kept is not None else None
        port, up, slots, free = (node.port, node.up, node.slots, node.free) if node is not None else (0, False, 0, 0)
        error = self._error or (self._kept.error if self._kept is not None else None)
        return Told(host, port, public, up, slots, free, self._retired, error, self._progress)

    async def retire(self, retired: bool) -> None:
        """Whether nobody new is to be sent here. The node itself still takes who comes."""
        self._retired = retired

    async def renew(self) -> None:
        """Let the node drain, and wait until another one is there."""
        if self._kept is not None:
            await self._kept.renew()

    async def leave(self) -> None:
        """Let the node drain, and end it. Calling it again hurries it."""
        self._ending = True
        if self._kept is not None:
            await self._kept.stop()

    async def _run(self) -> None:
        try:
            self._seat = await self._take_seat()
        except VivifyError as error:
            self._error = str(error)
            return
        if self._ending:
            return
        seat = self._seat.number
        port = 0 if self._share.first_port is None else self._share.first_port + seat
        host = "127.0.0.1" if self._config.loopback else "0.0.0.0"
        config = replace(self._config, host=host, port=port)
        cores = cores_of(seat, self._share.cores)
        self._kept = KeptNode(config, cores, self._share.measured, self._hear, self._seat.passed_on)
        self._tasks.append(asyncio.create_task(self._kept.look()))
        await self._kept.keep()

    async def _take_seat(self) -> Seat:
        """One of those that this machine has; a further one only when none gets free in time. Raises VivifyError."""
        until = time.monotonic() + self._config.drain_seconds + SEAT_PATIENCE_S
        while time.monotonic() < until and not self._ending:
            if (seat := Seat.take(seats_here(self._share.cores))) is not None:
                return seat
            await asyncio.sleep(LOOK_EVERY_S)
        if (seat := Seat.take()) is None:
            raise VivifyError("So many nodes run on one machine that none of its seats is free: give each more cores.")
        return seat

    def _hear(self, text: str) -> None:
        self._progress = text
