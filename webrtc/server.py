"""Starts the engine and listens: the whole service in one call.

What serves is imported while the engine starts: it takes as long to read as the engine does.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from engine.process.c_memory import keep_little
from engine.process.keeper import EngineKeeper
from webrtc.logs import write_logs
from webrtc.memory import Sweeper, settle
from webrtc.server_config import ServerConfig
from webrtc.upkeep.listening import AfterStart, listen


async def serve(
    config: ServerConfig,
    on_progress: Callable[[str], None] | None = None,
    after_start: AfterStart | None = None,
) -> None:
    """Serve until a signal (SIGTERM, SIGINT) says to stop, see `webrtc.upkeep.draining`, or ``after_start`` does.

    The port is taken first and the engine warmed up before the first request is answered. ``after_start`` runs
    beside the server once it answers: what it raises ends the service and is raised here.
    Raises VivifyError when the port is in use or the engine cannot start.
    """

    async def settled(url: str) -> bool:
        settle()
        return after_start is None or await after_start(url)

    keep_little()
    if config.logs is not None:
        write_logs(config.logs)
    with listen(config.host, config.port) as sock:
        engine = EngineKeeper(config.engine)
        starting = asyncio.create_task(asyncio.to_thread(engine.start, on_progress))
        try:
            await asyncio.sleep(0)  # it begins now
            from webrtc.service import Service
            from webrtc.upkeep.app_server import serve_on

            await starting
            await serve_on(Service(engine, config, Sweeper().soon), sock, settled)
        finally:
            await asyncio.gather(starting, return_exceptions=True)  # before what still starts is to stop
            await asyncio.to_thread(engine.stop)
