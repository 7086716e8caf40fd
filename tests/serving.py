"""A real server on loopback over a real engine, for tests; the engine starts once, however many ask for it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.config import EngineConfig
from engine.process.keeper import EngineKeeper
from webrtc.server_config import ServerConfig
from webrtc.service import Service
from webrtc.upkeep.app_server import serve_on
from webrtc.upkeep.draining import Draining
from webrtc.upkeep.listening import listen, loop_factory, url_of


@functools.cache
def engine() -> EngineKeeper:
    """The one engine process of a test run; who starts it here stops it at the end (stopping twice is fine)."""
    process = EngineKeeper(EngineConfig(max_sessions=4))
    process.start()
    return process


@dataclass
class Running:
    url: str
    service: Service
    drain: Callable[[], None]  # as a signal does; nothing here is a main thread

    @property
    def sessions(self) -> int:
        return len(self.service.sessions)


@contextmanager
def running(max_sessions: int = 4, **settings: Any) -> Iterator[Running]:
    """Serve from a thread of its own, as a server does; it stops at the end of the block.

    ``settings`` are ServerConfig's.
    """
    process = engine()
    settings = {"port": 0, "openings_per_minute": 100_000, **settings}
    config = ServerConfig(**settings, engine=EngineConfig(max_sessions=max_sessions))
    service = Service(process, config)
    draining = Draining(service)
    ready, stop = threading.Event(), threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []

    async def wait(_: str) -> bool:
        loops.append(asyncio.get_running_loop())
        ready.set()
        while not stop.is_set():  # noqa: ASYNC110  # a thread's event; a server that drains ends this wait
            await asyncio.sleep(0.05)
        return False

    def drain() -> None:
        loops[0].call_soon_threadsafe(draining.signalled)

    with listen(config.host, config.port) as sock:

        def run() -> None:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(serve_on(service, sock, wait, draining))

        thread = threading.Thread(target=run, name="server")
        thread.start()
        try:
            assert ready.wait(30), "the server did not start"
            yield Running(url_of(sock), service, drain)
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"
