"""WebSocket connections that get a share of the event loop's time, whatever comes over them.

uvicorn's own takes apart all that one read brings, tens of thousands of frames at most, before anybody else's turn; it
answers every ping frame of one who reads no answers, and keeps the parts of a message without counting them. A request
that it cannot take apart it neither answers nor closes.
"""

from __future__ import annotations

import asyncio
import time
from typing import Any

from webrtc.upkeep.uvicorn_inside import WebSocketsSansIOProtocol

SLICE = 2048  # bytes taken apart in one go: two or three hundred of the smallest frames, some milliseconds
SHARE = 0.2  # of the loop's time that one connection may have for it
AT_ONCE_S = 0.01  # of it that need not be waited for: a message now and then is taken as it comes
MOST_PARTS = 1024  # of one message
UNREADABLE = (
    b"HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\nConnection: close\r\n\r\n"
    b'{"error": "A request for a socket was expected to have at most 128 headers, and lines of 8 KB: shorten it."}'
)


class FairWebSocket(WebSocketsSansIOProtocol):
    """uvicorn's protocol, fed a slice at a time; meanwhile nothing is read, so that TCP holds the sender back."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._unread = bytearray()  # of one read
        self._planned: asyncio.TimerHandle | None = None
        self._paid_until = 0.0  # loop time until which the share is used up

    def data_received(self, data: bytes) -> None:
        self._unread += data
        self._go_on()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._go_on()

    def connection_lost(self, exc: Exception | None) -> None:
        self._unread.clear()
        if self._planned is not None:
            self._planned.cancel()
            self._planned = None
        super().connection_lost(exc)

    async def receive(self) -> Any:
        message = await super().receive()
        self._go_on()  # uvicorn reads on when all that came is taken, whatever of it is still here
        return message

    def _go_on(self) -> None:
        """Take a slice apart as soon as that is this connection's due; read on when there is none."""
        if self._planned is not None or self.transport.is_closing():
            return
        ready = not self.read_paused and self.writable.is_set()
        owed = self._paid_until - self.loop.time() - AT_ONCE_S
        if self._unread or owed > 0 or not self.writable.is_set():
            self.transport.pause_reading()
            if ready or owed > 0:
                self._planned = self.loop.call_later(max(owed, 0.0), self._feed)
        elif ready:
            self.transport.resume_reading()

    def _feed(self) -> None:
        self._planned = None
        if self._unread and not self.read_paused and self.writable.is_set() and not self.transport.is_closing():
            piece = bytes(self._unread[:SLICE])
            del self._unread[:SLICE]
            began = time.perf_counter()
            super().data_received(piece)
            spent = time.perf_counter() - began
            self._paid_until = max(self._paid_until, self.loop.time()) + spent / SHARE
            if len(self.frames) > MOST_PARTS:
                self._refuse()
            elif self.conn.handshake_exc is not None and not self.transport.is_closing():
                self._refuse_request()
        self._go_on()

    def _refuse_request(self) -> None:
        """The request itself cannot be taken apart: uvicorn would neither answer nor ever close."""
        self._unread.clear()
        self.transport.write(UNREADABLE)
        self.transport.close()

    def _refuse(self) -> None:
        self._unread.clear()
        self.conn.fail(1009, f"at most {MOST_PARTS} parts of a message are taken")
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.transport.close()
