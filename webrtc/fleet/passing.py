"""Passes a request, or a socket, on to a node and its answer back: whole, in pieces, as they come.

Each request has a connection of its own: on one machine that costs a fraction of a millisecond, and none grows old.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import quote

import h11
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from webrtc.fleet.nodes import Node
from webrtc.http.path_prefix import route_of
from webrtc.http.voice_socket import LONGEST_PUSH

CONNECT_LIMIT_S = 1.0
ANSWER_LIMIT_S = 150.0  # for the next bytes of an answer
SENDING_LIMIT_S = 630.0  # while the request is still being sent: a film has 600 s to come
SILENT_S = 1.0  # after which nobody new is sent to a node that does not say how many places it has
BLOCK = 1 << 16
# Of one connection and no other (RFC 9110, 7.6.1), or said anew; a node is asked by its own name, and for no page.
NOT_PASSED = frozenset(
    b"connection keep-alive proxy-connection te trailer transfer-encoding upgrade host origin expect date server "
    b"forwarded x-forwarded-for x-forwarded-proto x-forwarded-host sec-websocket-key sec-websocket-version "
    b"sec-websocket-extensions sec-websocket-protocol".split()
)


class NodeGone(Exception):
    """The node does not answer, or stopped while it did."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it is passed on."""

    method: str
    target: str
    headers: list[tuple[bytes, bytes]]


def asked_of(asked: HTTPConnection) -> Asked:
    """A request that came in here: without what was meant for this connection, and with whom it came from."""
    scope = asked.scope
    query = scope["query_string"].decode("latin-1")
    target = quote(route_of(scope), safe="/:@!$&'()*+,;=~") + (f"?{query}" if query else "")
    headers = [(name, value) for name, value in scope["headers"] if name.lower() not in NOT_PASSED]
    if asked.client is not None:
        headers.append((b"x-forwarded-for", asked.client.host.encode()))
    return Asked(scope.get("method", "GET"), target, headers)


async def passed(request: Request, node: Node, body: bytes | None = None) -> Response:
    """The node's answer. ``body`` where it was read already, else it is passed on as it comes. Raises NodeGone."""
    asked = asked_of(request)
    headers = [pair for pair in asked.headers if body is None or pair[0] != b"content-length"]
    if body is not None:
        headers.append((b"content-length", str(len(body)).encode()))
    elif "transfer-encoding" in request.headers:  # of a length that its sender does not know yet
        headers.append((b"transfer-encoding", b"chunked"))
    exchange = await Exchange.begin(node, Asked(asked.method, asked.target, headers))
    try:
        if body is None:
            answer = await exchange.answer(request.stream() if _has_body(request) else None)
        else:
            answer = await exchange.answer(_once(body))
    except BaseException:
        await exchange.close()
        raise
    response = StreamingResponse(exchange.body(), answer.status_code)
    response.raw_headers = [(name, value) for name, value in answer.headers if name not in NOT_PASSED]
    return response


async def fetched(node: Node, target: str, headers: list[tuple[bytes, bytes]] | None = None) -> tuple[int, bytes]:
    """Status and body of a small GET. Raises NodeGone."""
    exchange = await Exchange.begin(node, Asked("GET", target, headers or []))
    try:
        answer = await exchange.answer(None)
        return answer.status_code, b"".join([part async for part in exchange.body()])
    finally:
        await exchange.close()


async def free_places(node: Node) -> int | None:
    """How many it says it has; None where it is slow to say so. Raises NodeGone."""
    try:
        async with asyncio.timeout(SILENT_S):
            _, body = await fetched(node, "/readyz")
        return int(json.loads(body)["free"])
    except (TimeoutError, ValueError, KeyError, TypeError):
        return None


class Exchange:
    """One request to a node, and its answer, on a connection of its own."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._http = h11.Connection(h11.CLIENT)
        self._sending: asyncio.Task[None] | None = None

    @classmethod
    async def begin(cls, node: Node, asked: Asked) -> Exchange:
        """Connect, and send the header. Raises NodeGone."""
        try:
            async with asyncio.timeout(CONNECT_LIMIT_S):
                exchange = cls(*await asyncio.open_connection(node.host, node.port))
        except OSError as error:  # TimeoutError is one
            raise NodeGone from error
        own = [(b"host", f"{_bracketed(node.host)}:{node.port}".encode()), (b"connection", b"close")]
        exchange._write(h11.Request(method=asked.method, target=asked.target, headers=[*own, *asked.headers]))
        return exchange

    async def answer(self, body: AsyncIterator[bytes] | None) -> h11.Response:
        """Send the body, while the node may answer already. Raises NodeGone."""
        if body is None:
            self._write(h11.EndOfMessage())
        else:
            self._sending = asyncio.create_task(self._send(body))
        event = await self._next()
        while isinstance(event, h11.InformationalResponse):
            event = await self._next()
        if not isinstance(event, h11.Response):
            raise NodeGone
        return event

    async def body(self) -> AsyncIterator[bytes]:
        """The answer's, in pieces; the connection ends with it. Raises NodeGone."""
        try:
            while isinstance(event := await self._next(), h11.Data):
                yield bytes(event.data)
        finally:
            await self.close()

    async def close(self) -> None:
        if self._sending is not None:
            self._sending.cancel()
            await asyncio.gather(self._sending, return_exceptions=True)
        self._writer.close()

    async def _send(self, body: AsyncIterator[bytes]) -> None:
        """What cannot be sent is not missed: the answer tells."""
        with contextlib.suppress(OSError, h11.LocalProtocolError):
            async for part in body:
                if part:
                    self._write(h11.Data(data=part))
                    await self._writer.drain()
            self._write(h11.EndOfMessage())

    def _write(self, event: h11.Event) -> None:
        if data := self._http.send(event):
            self._writer.write(data)

    async def _next(self) -> h11.Event | type[h11.PAUSED]:
        try:
            while (event := self._http.next_event()) is h11.NEED_DATA:
                sending = self._sending is not None and not self._sending.done()
                async with asyncio.timeout(SENDING_LIMIT_S if sending else ANSWER_LIMIT_S):
                    self._http.receive_data(await self._reader.read(BLOCK))
        except (OSError, h11.RemoteProtocolError) as error:
            raise NodeGone from error
        return event  # type: ignore[return-value]


async def open_socket(socket: WebSocket, node: Node) -> ClientConnection | Response:
    """A socket to the node for one that waits here, or the node's refusal. Raises NodeGone."""
    asked = asked_of(socket)
    names = socket.scope.get("subprotocols") or None
    try:
        return await connect(
            f"ws://{_bracketed(node.host)}:{node.port}{asked.target}",
            additional_headers=[(name.decode("latin-1"), value.decode("latin-1")) for name, value in asked.headers],
            subprotocols=names,
            compression=None,
            proxy=None,  # it is on this machine, whatever the environment says
            user_agent_header=None,
            max_size=LONGEST_PUSH,
            ping_interval=None,  # the node pings, and the client answers this side
            open_timeout=ANSWER_LIMIT_S,
        )
    except InvalidStatus as refusal:
        answer = refusal.response
        kept = {name: value for name, value in answer.headers.raw_items() if name.lower().encode() not in NOT_PASSED}
        kept.pop("content-length", None)
        return Response(bytes(answer.body or b""), answer.status_code, kept)
    except (OSError, InvalidHandshake, EOFError) as error:
        raise NodeGone from error


async def join(socket: WebSocket, there: ClientConnection) -> None:
    """Accept a socket and pass all messages both ways, no faster than they are read, until one side ends."""

    async def up() -> None:
        with contextlib.suppress(WebSocketDisconnect, ConnectionClosed):
            while (message := await socket.receive())["type"] == "websocket.receive":
                text = message.get("text")
                await there.send(message["bytes"] if text is None else text)

    async def down() -> None:
        with contextlib.suppress(WebSocketDisconnect, ConnectionClosed):
            async for message in there:
                await (socket.send_text(message) if isinstance(message, str) else socket.send_bytes(message))

    tasks: list[asyncio.Task[None]] = []
    try:
        await socket.accept(there.subprotocol)
        tasks += [asyncio.create_task(up()), asyncio.create_task(down())]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        if tasks[1].done() and not tasks[0].done():
            await socket.close(_passable(there.close_code), there.close_reason or "")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await there.close()


def _passable(code: int | None) -> int:
    """A close code as it may be sent: a node that died said none (1006), and its client may come back (1012)."""
    return 1012 if code in (None, 1005, 1006) else code or 1012


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body
