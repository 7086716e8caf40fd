"""What all routes share: bounded bodies, and refusals as JSON ``{"error": one sentence}``."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from fastapi import Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException

from engine.errors import EngineFull, UnknownAvatar, VivifyError
from webrtc.rtc.peer_connection import NoRestart, UnfitOffer, UnknownSession
from webrtc.service import EngineDown, TooMany
from webrtc.visitor_portraits import NoPortraits

MAX_BODY = 64 * 1024  # bytes; a browser's offer is about 6 KB
BODY_LIMIT_S = 10
RETRY_AFTER_S = 10
STATUS: dict[type[VivifyError], int] = {  # any other VivifyError is 400
    UnknownAvatar: 404,
    UnknownSession: 404,
    TooMany: 429,
    NoPortraits: 403,
    UnfitOffer: 422,
    NoRestart: 422,
    EngineFull: 503,
    EngineDown: 503,
}


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


def error(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)


async def refuse(_: Request, problem: Exception) -> JSONResponse:
    """Handler of VivifyError."""
    return refused(problem)


def refused(problem: Exception) -> JSONResponse:
    """A VivifyError as the answer to a request."""
    status = getattr(problem, "status", None) or STATUS.get(type(problem), 400)  # type: ignore[arg-type]
    headers = {"Retry-After": str(RETRY_AFTER_S)} if status in (429, 503) else getattr(problem, "headers", None)
    return error(str(problem), status, headers)


async def refuse_http(_: Request, problem: Exception) -> JSONResponse:
    """Handler of Starlette's own refusals."""
    assert isinstance(problem, HTTPException)
    return error(f"{problem.detail}.", problem.status_code, problem.headers)


async def refuse_parameters(_: Request, problem: Exception) -> JSONResponse:
    """Handler of a path or query that is not what a route declares."""
    return _misfit(problem)


async def deny_parameters(socket: WebSocket, problem: Exception) -> None:
    """The same for a socket that is not accepted yet."""
    await socket.send_denial_response(_misfit(problem))


def _misfit(problem: Exception) -> JSONResponse:
    assert isinstance(problem, (RequestValidationError, WebSocketRequestValidationError))
    name = problem.errors()[0]["loc"][-1]
    return error(f"The parameter {name} was expected to be of another form: see /openapi.json.", 400)
