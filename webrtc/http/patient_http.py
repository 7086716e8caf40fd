"""HTTP connections whose other side may be slow, but not for ever; and no more of them than the process can hold."""

from __future__ import annotations

import asyncio
import itertools
from typing import Any

import h11

from webrtc.upkeep.uvicorn_inside import H11Protocol

REQUEST_LIMIT_S = 10.0  # from a connection, or a request's first byte, to the end of its header
READ_LIMIT_S = 30.0  # for which a client may read nothing of an answer
MOST_CONNECTIONS = 400  # at a time; a process usually has 1,024 files, and each session takes some
BUSY = (
    b"HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\n"
    b"Retry-After: 10\r\nConnection: close\r\n\r\n"
    b'{"error": "Too many connections are open to this server: please try again in a little while."}'
)

_turns = itertools.count()


class PatientHttp(H11Protocol):
    """uvicorn's, whose own patience has no end. The body's time is bounded where it is read (`webrtc.http.bodies`)."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.since = next(_turns)  # when it began to wait for a request: who waits longer has a smaller one
        self._upgraded = False  # it is a WebSocket now, and somebody else's
        self._waiting: asyncio.TimerHandle | None = None
        self._writing: asyncio.TimerHandle | None = None

    @property
    def waits(self) -> bool:
        """For a request, or for the rest of one that has its answer already."""
        done = self.cycle is None or self.cycle.response_complete
        return done and not self._upgraded and not self.transport.is_closing()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._wait()
        if len(self.connections) > MOST_CONNECTIONS:
            self._make_room()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if not self.waits:
            self._stop_waiting()
        elif self._waiting is None:  # the first bytes of a request
            self._wait()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        if self.waits and self._waiting is None:
            self._wait()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._upgraded = True
        self._stop_waiting()
        super().handle_websocket_upgrade(event)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_waiting()
        self.resume_writing()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        if self._writing is None:
            self._writing = self.loop.call_later(READ_LIMIT_S, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _wait(self) -> None:
        self.since = next(_turns)
        self._waiting = self.loop.call_later(REQUEST_LIMIT_S, self._give_up)

    def _stop_waiting(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _give_up(self) -> None:
        self._waiting = None
        if self.waits:
            self.transport.close()

    def _make_room(self) -> None:
        """Close what has waited longest for a request, this one not counted; if nothing does, refuse this one."""
        others = [one for one in self.connections if isinstance(one, PatientHttp) and one is not self and one.waits]
        if others:
            min(others, key=lambda one: one.since).transport.close()
        else:
            self.transport.write(BUSY)
            self.transport.close()
