"""Serves an application on a socket that listens, until a signal or whoever runs it says to stop."""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import Awaitable, Callable
from types import FrameType
from typing import Protocol

import uvicorn
from starlette.types import ASGIApp

from webrtc.http.app import create_app
from webrtc.http.fair_socket import FairWebSocket
from webrtc.http.patient_http import PatientHttp
from webrtc.http.voice_socket import LONGEST_PUSH
from webrtc.server_config import ServerConfig
from webrtc.service import Service
from webrtc.upkeep.draining import Draining
from webrtc.upkeep.listening import AfterStart, url_of
from webrtc.upkeep.loop_lag import watch_lag

GRACE_S = 3  # for requests in flight when the server stops
PING_S = 10  # a socket that does not answer within so long is closed


def _worth_a_line(record: logging.LogRecord) -> bool:
    """uvicorn takes a socket refused by an HTTP answer for a mistake of the application's."""
    return "without completing handshake" not in record.getMessage()


class Stopping(Protocol):
    """What a signal begins, and what it calls when all is in order."""

    on_end: Callable[[], None]

    def signalled(self) -> None: ...


class _Server(uvicorn.Server):
    """uvicorn's, with an event for the moment it answers; a signal begins ``draining``.

    uvicorn itself would stop at once, and send the process the signal again before anything is put in order.
    """

    def __init__(self, config: uvicorn.Config, draining: Stopping) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._draining = draining
        draining.on_end = self.stop

    def stop(self) -> None:
        self.force_exit = self.should_exit  # asked for it twice
        self.should_exit = True

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._loop.call_soon_threadsafe(self._draining.signalled)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()


async def serve_on(
    service: Service, sock: socket.socket, after_start: AfterStart | None = None, draining: Draining | None = None
) -> None:
    """Serve over an engine that runs already, on a socket that listens already; ends as `webrtc.server.serve` does.

    A caller's own ``draining`` is what a signal begins, and where there are no signals, as on a thread, the caller.
    """
    watching = asyncio.create_task(watch_lag(service.metrics.loop_lag.observe))
    try:
        await serve_app(
            create_app(service), service.config, sock, draining or Draining(service), after_start, service.close_all
        )
    finally:
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)


async def serve_app(
    app: ASGIApp,
    config: ServerConfig,
    sock: socket.socket,
    draining: Stopping,
    after_start: AfterStart | None,
    on_end: Callable[[], Awaitable[None]],
) -> None:
    """Serve any application on a socket that listens, with our limits on connections; ends as `serve_on` does.

    ``on_end`` is awaited before the server itself ends.
    """
    settings = uvicorn.Config(
        app,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=GRACE_S,
        lifespan="off",
        http=PatientHttp,
        ws=FairWebSocket,
        ws_per_message_deflate=False,  # sound does not get smaller, and a kilobyte of zeros a megabyte of work
        forwarded_allow_ips=["127.0.0.1", "::1", *config.proxies],
        ws_max_size=LONGEST_PUSH,
        ws_ping_interval=PING_S,
        ws_ping_timeout=PING_S,
    )
    logging.getLogger("uvicorn.error").addFilter(_worth_a_line)  # one function: adding it again changes nothing
    server = _Server(settings, draining)
    serving = asyncio.create_task(server.serve([sock]))
    try:
        await server.ready.wait()
        if after_start is not None:
            await _beside(serving, after_start(url_of(sock)), server)
        await serving
    finally:
        await on_end()
        server.should_exit = True
        await asyncio.gather(serving, return_exceptions=True)


async def _beside(serving: asyncio.Task[None], work: Awaitable[bool], server: uvicorn.Server) -> None:
    """Run ``work`` while the server runs; the first of them to end decides."""
    task = asyncio.ensure_future(work)
    await asyncio.wait({serving, task}, return_when=asyncio.FIRST_COMPLETED)
    if not task.done():
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    elif not await task:
        server.should_exit = True
