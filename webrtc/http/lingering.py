"""An answer that is given before the request's body has come reaches who still sends it.

A connection that is closed with something unread in it is reset, and the answer that was on its way is lost with it. So
what still comes is taken for a while, and thrown away as it comes (RFC 9112, section 9.6, calls this lingering).
"""

from __future__ import annotations

import asyncio

from starlette.types import ASGIApp, Message, Receive, Scope, Send

LINGER_S = 5.0
LINGER_BYTES = 16 << 20  # a photo that is a little too large comes to its end


class Lingering:
    """The application, whose answers may come early."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not _has_body(scope):
            await self._app(scope, receive, send)
            return
        whole = False

        async def hear() -> Message:
            nonlocal whole
            message = await receive()
            whole = not message.get("more_body", False)  # also when the sender has gone
            return message

        async def tell(message: Message) -> None:
            last = message["type"] == "http.response.body" and not message.get("more_body", False)
            if not last or whole:
                await send(message)
                return
            await send({**message, "more_body": True})
            try:
                async with asyncio.timeout(LINGER_S):
                    left = LINGER_BYTES
                    while not whole and left > 0:
                        left -= len((await hear()).get("body", b""))
            except TimeoutError:
                pass
            await send({"type": "http.response.body", "body": b""})

        await self._app(scope, hear, tell)


def _has_body(scope: Scope) -> bool:
    """Whether one is coming; a client that asks first (``Expect``) keeps it back when it is refused."""
    headers = dict(scope["headers"])
    if b"expect" in headers:
        return False
    return b"transfer-encoding" in headers or headers.get(b"content-length", b"0") != b"0"
