"""The door as a deployment of Ray Serve's: Serve keeps it there; what it knows of nodes it asks their actors.

It listens at the door's port by itself, with our limits on what a stranger may send. Serve's own HTTP proxy would hold
all of a body and of a socket's messages in memory, and take milliseconds; it is not asked.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from ray.exceptions import RayActorError

from engine.errors import VivifyError
from webrtc.fleet.door import Door, create_door
from webrtc.fleet.nodes import Node, Nodes
from webrtc.fleet.on_ray.directory import find_nodes, told_by
from webrtc.fleet.passing import NodeGone, free_places
from webrtc.logs import write_logs
from webrtc.server_config import ServerConfig
from webrtc.upkeep.app_server import serve_app
from webrtc.upkeep.listening import listen

FIND_EVERY_S = 0.5
LOOK_EVERY_S = 0.25


class _NoSignals:
    """Serve ends its replicas by other means."""

    on_end: Callable[[], None] = staticmethod(lambda: None)

    def signalled(self) -> None:
        return


class FleetDoor:
    """One replica. Serve makes it, asks how it is, and makes another where that fails."""

    def __init__(self, config: ServerConfig, namespace: str, redirects: bool) -> None:
        self._config, self._namespace = config, namespace
        self._nodes = Nodes([])
        self._door = Door(self._nodes, config, redirects)
        self._app = create_door(self._door, self._nodes, config)
        self._actors: dict[str, Any] = {}
        self._looking: dict[str, asyncio.Task[None]] = {}
        self._serving: asyncio.Task[None] | None = None
        self._finding: asyncio.Task[None] | None = None

    async def begin(self) -> str | None:
        """Listen. Returns why that cannot be, or None. Serve's own start is not asked: it would try for ever."""
        if self._serving is not None:
            return None
        if self._config.logs is not None:
            write_logs(self._config.logs)
        try:
            sock = listen(self._config.host, self._config.port)
        except VivifyError as error:
            return str(error)
        await self._find()
        self._finding = asyncio.create_task(self._keep_finding())
        self._serving = asyncio.create_task(serve_app(self._app, self._config, sock, _NoSignals(), None, self._nothing))
        return None

    async def close(self) -> None:
        """Nobody new is let in."""
        self._door.closing = True

    async def check_health(self) -> None:
        """Asked by Serve; begins anew where this is a replica that took another one's place. Raises when it is ill."""
        for task in (self._serving, self._finding):
            if task is not None and task.done():
                raise RuntimeError("the door has ended")
        if why := await self.begin():
            raise RuntimeError(why)

    @staticmethod
    async def _nothing() -> None:
        return

    async def _keep_finding(self) -> None:
        while True:
            await asyncio.sleep(FIND_EVERY_S)
            await self._find()

    async def _find(self) -> None:
        """Who is there, at which address. Ray's head may be away for a while: then what was known holds."""
        try:
            self._actors = await asyncio.to_thread(find_nodes, self._namespace)
        except Exception:  # whatever Ray raises without its head
            return
        for name in self._looking.keys() - self._actors.keys():
            self._looking.pop(name).cancel()
            self._nodes.remove(name)
        await asyncio.gather(*(self._hear(name, actor) for name, actor in self._actors.items()))

    async def _hear(self, name: str, actor: Any) -> None:
        try:
            told = await told_by(actor)
        except RayActorError:
            return
        if told is None:
            return
        node = self._nodes.add(name)
        node.retired, node.public = told.retired, told.public
        if told.up:
            node.host, node.port, node.slots = told.host, told.port, told.slots
            if name not in self._looking:
                await _look(node)
                self._looking[name] = asyncio.create_task(_keep_looking(node))


async def _keep_looking(node: Node) -> None:
    while True:
        await asyncio.sleep(LOOK_EVERY_S)
        await _look(node)


async def _look(node: Node) -> None:
    """What the node itself says, which it may not be able to."""
    try:
        free = await free_places(node)
    except NodeGone:
        node.lost()
    else:
        node.heard(free) if free is not None else node.silent()
