"""A WebSocket connection gets its share of the loop: over a real uvicorn, with frames no application sees."""

from __future__ import annotations

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect

from webrtc.http import fair_socket
from webrtc.http.fair_socket import AT_ONCE_S, MOST_PARTS, SHARE, FairWebSocket
from webrtc.upkeep.listening import listen

pytestmark = pytest.mark.net

REQUEST = (
    b"GET / HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
PING, TEXT, PART = b"\x89\x80\0\0\0\0", b"\x01\x80\0\0\0\0", b"\x00\x80\0\0\0\0"


async def echo(scope, receive, send) -> None:  # type: ignore[no-untyped-def]
    socket = WebSocket(scope, receive, send)
    await socket.accept()
    try:
        while True:
            message = await socket.receive()
            if message["type"] == "websocket.disconnect":
                return
            await socket.send_bytes(message["bytes"])
    except WebSocketDisconnect:
        pass


@asynccontextmanager
async def echoing() -> AsyncIterator[int]:
    """The port of a server that says what it hears."""
    settings = uvicorn.Config(
        echo, ws=FairWebSocket, ws_per_message_deflate=False, lifespan="off", log_level="critical", ws_max_size=1 << 20
    )
    with listen("127.0.0.1", 0) as sock:
        server = uvicorn.Server(settings)
        serving = asyncio.create_task(server.serve([sock]))
        yield sock.getsockname()[1]
        server.should_exit = server.force_exit = True
        await serving


TOO_LONG, TOO_MANY, ODD = b"Cookie: " + b"a" * 9000, b"\r\n".join(b"X-%d: a" % k for k in range(150)), b"X: \x01"


@pytest.mark.parametrize("header", [TOO_LONG, TOO_MANY, ODD], ids=["long", "many", "odd"])
async def test_a_request_that_cannot_be_taken_apart_is_answered_and_closed(header: bytes) -> None:
    request = REQUEST.replace(b"\r\n\r\n", b"\r\n" + header + b"\r\n\r\n")
    async with echoing() as port, asyncio.timeout(10):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request)
        assert (await reader.read()).startswith(b"HTTP/1.1 400 "), "read to its end"
        writer.close()


@asynccontextmanager
async def raw(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A WebSocket, opened, whose frames are the test's own."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(REQUEST)
    assert b" 101 " in await reader.readuntil(b"\r\n\r\n")
    yield reader, writer
    writer.transport.abort()


async def test_what_is_taken_apart_in_slices_comes_whole_and_in_order() -> None:
    rng = random.Random(3)
    messages = [rng.randbytes(rng.choice([0, 1, 2, 100, 5000, 300_000])) for _ in range(60)] + [bytes(2)] * 3000
    async with echoing() as port, connect(f"ws://127.0.0.1:{port}", max_queue=None) as socket, asyncio.timeout(30):
        sending = asyncio.gather(*(socket.send(message) for message in messages))
        assert [await socket.recv() for _ in messages] == messages
        await sending


async def test_one_who_reads_no_answers_is_not_read_either() -> None:
    """Else the answers would wait in the server's memory, for as long as somebody asks."""
    flood = PING * 20_000
    async with echoing() as port, raw(port) as (_, writer):
        sent, until = 0, time.monotonic() + 2
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < until:
                writer.write(flood)
                async with asyncio.timeout_at(asyncio.get_running_loop().time() + until - time.monotonic()):
                    await writer.drain()
                sent += len(flood)
        assert sent < 32 << 20, "what the system's own buffers hold"


async def test_a_flood_leaves_most_of_the_loop_to_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Counted in what is spent on frames, not in time that passes: that depends on who else computes here."""
    spent: list[float] = []
    feed = fair_socket.WebSocketsSansIOProtocol.data_received

    def timed(self: FairWebSocket, data: bytes) -> None:
        began = time.perf_counter()
        feed(self, data)
        spent.append(time.perf_counter() - began)

    monkeypatch.setattr(fair_socket.WebSocketsSansIOProtocol, "data_received", timed)
    async with echoing() as port, raw(port) as (reader, writer):
        reading = asyncio.create_task(reader.read(-1))
        began = time.perf_counter()
        while time.perf_counter() < began + 1.0:
            writer.write(PING * 1000)
            await asyncio.sleep(0.005)
        took = time.perf_counter() - began
        assert len(spent) > 5
        assert sum(spent) < SHARE * took + AT_ONCE_S + 2 * max(spent)
        writer.transport.abort()
        await asyncio.gather(reading, return_exceptions=True)


async def test_parts_of_a_message_are_counted() -> None:
    """Empty ones have no size that a limit of sizes would hold."""
    async with echoing() as port, raw(port) as (reader, writer), asyncio.timeout(20):
        writer.write(TEXT + PART * (2 * MOST_PARTS))
        answer = await reader.read(-1)
        assert answer[:2] == b"\x88" + bytes([len(answer) - 2])
        assert int.from_bytes(answer[2:4], "big") == 1009
