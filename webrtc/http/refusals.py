"""Refusals as all routes give them: JSON ``{"error": one sentence}``."""

from __future__ import annotations

import time
from collections.abc import Mapping

from fastapi import Request, WebSocket
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection

from engine.errors import EngineAway, EngineFull, NoConsent, UnknownAvatar, VivifyError
from webrtc.access.addresses import AddressTaken, NotYet, OtherSession
from webrtc.live_session import UnknownSession
from webrtc.logs import SessionLog, Sparing
from webrtc.rtc.negotiation import UnfitOffer
from webrtc.rtc.peer_connection import NoRestart
from webrtc.service import Stopping, TooMany
from webrtc.visitors.visitor_portraits import NoPortraits, NoRoom, TooManyPortraits

RETRY_AFTER_S = {409: 2, 429: 10, 503: 10}
STATUS: dict[type[VivifyError], int] = {  # any other VivifyError is 400
    UnknownAvatar: 404,
    UnknownSession: 404,
    NotYet: 409,
    AddressTaken: 409,
    TooMany: 429,
    NoPortraits: 403,
    NoConsent: 403,
    TooManyPortraits: 429,
    OtherSession: 403,
    UnfitOffer: 422,
    NoRestart: 422,
    EngineFull: 503,
    EngineAway: 503,
    Stopping: 503,
    NoRoom: 507,
}


def error(sentence: str, status: int, headers: Mapping[str, str] | None = None) -> JSONResponse:
    return JSONResponse({"error": sentence}, status, headers)


async def refuse(request: Request, problem: Exception) -> JSONResponse:
    """Handler of VivifyError."""
    return refused(problem, request)


def refused(problem: Exception, asked: HTTPConnection) -> JSONResponse:
    """A VivifyError as the answer to a request or a socket; it is logged."""
    status = getattr(problem, "status", None) or STATUS.get(type(problem), 400)  # type: ignore[arg-type]
    headers = getattr(problem, "headers", None)
    if headers is None and status in RETRY_AFTER_S:
        headers = {"Retry-After": str(RETRY_AFTER_S[status])}
    if (left_out := _log.may(time.monotonic())) is not None:
        path = asked.scope["path"][:200]
        more = f" ({left_out} more were not logged)" if left_out else ""
        named = asked.path_params.get("session") or asked.path_params.get("address") or ""
        SessionLog(str(named)[:64]).info("refused %s with %d: %s%s", ascii(path)[1:-1], status, problem, more)
    return error(str(problem), status, headers)


_log = Sparing(per_second=5)


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
