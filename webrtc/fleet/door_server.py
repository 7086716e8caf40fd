"""Several nodes and the door before them, as one service: started, drained and ended together."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Callable

from webrtc.fleet.door import Door, create_door
from webrtc.fleet.node_keeper import NodeKeeper
from webrtc.logs import write_logs
from webrtc.server_config import ServerConfig
from webrtc.upkeep.app_server import serve_app
from webrtc.upkeep.listening import AfterStart, listen

log = logging.getLogger("vivify")


class Closing:
    """What a signal begins: nobody new comes in, all nodes drain; a second one hurries them."""

    def __init__(self, door: Door, keeper: NodeKeeper) -> None:
        self.on_end: Callable[[], None] = lambda: None
        self._door = door
        self._keeper = keeper
        self._tasks: set[asyncio.Task[None]] = set()

    def signalled(self) -> None:
        self._door.closing = True
        task = asyncio.get_running_loop().create_task(self._end())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end(self) -> None:
        await self._keeper.stop()
        self.on_end()


async def serve_nodes(
    config: ServerConfig,
    count: int,
    measures: bool,
    first_port: int | None,
    on_progress: Callable[[str], None],
    after_start: AfterStart,
) -> None:
    """``count`` nodes of ``config`` behind a door at its host and port; ends as `webrtc.server.serve` does.

    ``measures`` and ``first_port`` as `NodeKeeper` takes them; with the latter, WHIP and WHEP clients are sent to the
    nodes. SIGHUP renews the nodes one after another, where there is such a signal. Raises VivifyError.
    """
    if config.logs is not None:
        write_logs(config.logs)
    with listen(config.host, config.port) as sock:
        keeper = NodeKeeper(config, count, measures, first_port)
        door = Door(keeper.nodes, config, redirects=first_port is not None)
        closing = Closing(door, keeper)
        rolling: set[asyncio.Task[None]] = set()

        def roll() -> None:
            log.warning("the nodes are renewed, one after another")
            rolling.add(asyncio.get_running_loop().create_task(keeper.roll()))

        try:
            await keeper.start(on_progress)
            if hasattr(signal, "SIGHUP"):
                asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, roll)
            await serve_app(create_door(door, keeper.nodes, config), config, sock, closing, after_start, keeper.stop)
        finally:
            for task in rolling:
                task.cancel()
            await keeper.stop()
