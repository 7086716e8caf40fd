"""Bounded bodies of requests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path

from fastapi import Request
from starlette.requests import ClientDisconnect

from engine.errors import VivifyError
from webrtc.visitors.visitor_portraits import NoRoom

MAX_BODY = 64 * 1024  # bytes; a browser's offer is about 6 KB
BODY_LIMIT_S = 10
PIECE_LIMIT_S, UPLOAD_LIMIT_S = 10, 120  # for the next piece of a file to come, and for all of it
BLOCK = 1 << 18  # bytes of a file that wait in memory to be written

log = logging.getLogger("vivify")


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
    _check_type(request, media_types, accept)
    body = bytearray()
    try:
        async with asyncio.timeout(BODY_LIMIT_S):
            async for part in request.stream():
                body += part
                if len(body) > most:
                    raise _too_long(most)
    except TimeoutError:
        raise BadRequest(f"The body was expected within {BODY_LIMIT_S} s, but did not come.", 408) from None
    except ClientDisconnect:
        raise _broken_off() from None
    return bytes(body)


def check_upload(request: Request, media_types: str, accept: str, most: int) -> None:
    """Refuse what can be refused before any of it is read. Raises BadRequest."""
    _check_type(request, media_types, accept)
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said[:20]) > most:
        raise _too_long(most)


async def save_body(
    request: Request,
    path: Path,
    most: int,
    limit_s: float = UPLOAD_LIMIT_S,
    ahead: tuple[Path, int] | None = None,
) -> None:
    """Write the request's body into a file of at most ``most`` bytes as it comes.

    ``ahead``: a file of its own for so many bytes at its beginning. Raises BadRequest when the body is too long, too
    short for what is ahead, stops coming, or cannot be written.
    """
    pieces = _Pieces(request)
    try:
        async with asyncio.timeout(limit_s):
            if ahead and await _save(pieces, *ahead) < ahead[1]:
                raise BadRequest(f"A photo of {ahead[1]} bytes and a film behind it were expected, but fewer came.")
            if await _save(pieces, path, most + 1) > most:
                raise _too_long(most)
    except TimeoutError:
        raise BadRequest(
            f"The body was expected within {limit_s} s, and each piece within {PIECE_LIMIT_S} s, but it did not come.",
            408,
        ) from None
    except OSError as problem:
        log.error("a visitor's file cannot be written (%s)", problem.strerror)
        raise NoRoom from None
    except ClientDisconnect:
        raise _broken_off() from None


class _Pieces:
    """A request's body as it comes, cut wherever a file ends."""

    def __init__(self, request: Request) -> None:
        self._stream = aiter(request.stream())
        self._left = b""

    async def next(self, most: int) -> bytes:
        """The next piece, of at most so many bytes; b'' at the end. Raises TimeoutError when none comes."""
        while not self._left:
            async with asyncio.timeout(PIECE_LIMIT_S):
                try:
                    self._left = await anext(self._stream)
                except StopAsyncIteration:
                    return b""
        piece, self._left = self._left[:most], self._left[most:]
        return piece


async def _save(pieces: _Pieces, path: Path, most: int) -> int:
    """Write at most so many bytes into a file; how many there were."""
    count, block = 0, bytearray()
    with path.open("wb") as file:
        while count < most and (piece := await pieces.next(most - count)):
            count += len(piece)
            block += piece
            if len(block) >= BLOCK:
                await asyncio.to_thread(file.write, block)
                block = bytearray()
        file.write(block)
    return count


def media_type_of(request: Request) -> str:
    """What the request says that its body is; '' when it says nothing."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def _check_type(request: Request, media_types: str, accept: str) -> None:
    if media_type_of(request) not in media_types.split(", "):
        raise BadRequest(f"The body was expected to be {media_types}.", 415, {accept: media_types})


def _broken_off() -> BadRequest:
    return BadRequest("The body was expected to be whole, but its sender has gone.")  # which nobody reads


def _too_long(most: int) -> BadRequest:
    return BadRequest(f"The body was expected to hold at most {most} bytes, but more came.", 413)


async def read_text(request: Request, media_type: str, accept: str) -> str:
    """The same as text."""
    try:
        return (await read_body(request, media_type, accept)).decode()
    except UnicodeDecodeError:
        raise BadRequest("The body was expected to be UTF-8 text, but it cannot be read.") from None
