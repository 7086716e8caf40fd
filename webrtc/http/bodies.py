"""Bounded bodies of requests."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import Request

from engine.errors import VivifyError

MAX_BODY = 64 * 1024  # bytes; a browser's offer is about 6 KB
BODY_LIMIT_S = 10


class BadRequest(VivifyError):
    """A request that is not what the protocol says; ``status`` is its HTTP code."""

    def __init__(self, sentence: str, status: int = 400, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


async def read_body(request: Request, media_types: str, accept: str, most: int = MAX_BODY) -> bytes:
    """The request's body, refused as soon as it is too long. ``accept`` is the header that tells what is taken.

    ``media_types``: one, or several with commas between.
    """
    came = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if came not in media_types.split(", "):
        raise BadRequest(f"The body was expected to be {media_types}.", 415, {accept: media_types})
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise BadRequest(f"The body was expected to hold at most {most} bytes, but more came.", 413)
    except TimeoutError:
        raise BadRequest(f"The body was expected within {BODY_LIMIT_S} s, but did not come.", 408) from None
    return bytes(body)


async def read_text(request: Request, media_type: str, accept: str) -> str:
    """The same as text."""
    try:
        return (await read_body(request, media_type, accept)).decode()
    except UnicodeDecodeError:
        raise BadRequest("The body was expected to be UTF-8 text, but it cannot be read.") from None
