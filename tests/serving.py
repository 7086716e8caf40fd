"""A real server on loopback over a real engine, for tests; the engine starts once, however many ask for it."""

from __future__ import annotations

import asyncio
import functools
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from engine.config import EngineConfig
from engine.process.keeper import EngineKeeper
from webrtc.server import listen, loop_factory, serve_on, url_of
from webrtc.server_config import ServerConfig
from webrtc.service import Service


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

    @property
    def sessions(self) -> int:
        return len(self.service.sessions)


@contextmanager
def running(max_sessions: int = 4, **settings: Any) -> Iterator[Running]:
    """Serve from a thread of its own, as a server does; it stops at the end of the block.

    ``settings`` are ServerConfig's.
    """
    process = engine()
    settings = {"openings_per_minute": 100_000, **settings}
    config = ServerConfig(port=0, **settings, engine=EngineConfig(max_sessions=max_sessions))
    service = Service(process, config)
    ready, stop = threading.Event(), threading.Event()

    async def wait(_: str) -> bool:
        ready.set()
        await asyncio.to_thread(stop.wait)
        return False

    with listen(config.host, config.port) as sock:

        def run() -> None:
            with asyncio.Runner(loop_factory=loop_factory()) as runner:
                runner.run(serve_on(service, sock, wait))

        thread = threading.Thread(target=run, name="server")
        thread.start()
        try:
            assert ready.wait(30), "the server did not start"
            yield Running(url_of(sock), service)
        finally:
            stop.set()
            thread.join(30)
            assert not thread.is_alive(), "the server did not stop"
