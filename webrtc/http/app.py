"""The HTTP side put together: who is let in, what every answer carries, and the page itself.

The routes are `webrtc.http.api`'s, `webrtc.http.whip`'s and `webrtc.http.voice_socket`'s.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError, WebSocketRequestValidationError
from fastapi.responses import FileResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from engine.errors import VivifyError
from webrtc.http import api, voice_socket, whip
from webrtc.http.admission import Gate, NotAdmitted
from webrtc.http.lingering import Lingering
from webrtc.http.path_prefix import UnderPrefix, route_of
from webrtc.http.refusals import deny_parameters, refuse, refuse_http, refuse_parameters, refused
from webrtc.http.sockets import motion_socket
from webrtc.messages import PROTOCOL
from webrtc.rtc.aiortc_patches import patch_aiortc
from webrtc.server_config import ServerConfig
from webrtc.service import Service

PAGE = Path(__file__).resolve().parents[2] / "clients" / "web"
SUMMARY = "A live voice in, a talking face out; media go over WebRTC, see webrtc/protocol.md."

OWN_HEAD = ("/whip/", "/whep/")  # have routes of their own for HEAD
CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; media-src 'self' blob:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(self), geolocation=()",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
CORS = {
    "Access-Control-Allow-Methods": "DELETE, GET, OPTIONS, PATCH, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "ETag, Link, Location, Retry-After",
    "Vary": "Origin",
}


def create_app(service: Service) -> FastAPI:
    """The application over a running service; it owns nothing and can be mounted anywhere (docs/python.md)."""
    patch_aiortc()
    app = FastAPI(title="Vivify", version=str(PROTOCOL), summary=SUMMARY, docs_url=None, redoc_url=None)
    app.router.redirect_slashes = False  # it would lead to whatever the Host header says
    gate = Gate(service.config)
    app.add_middleware(HeadAsGet)
    app.middleware("http")(guard(gate, service.config))
    app.add_middleware(Lingering)
    app.add_middleware(UnderPrefix, prefix=service.config.root_path)  # the last one comes first
    app.add_exception_handler(VivifyError, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(RequestValidationError, refuse_parameters)
    app.add_exception_handler(WebSocketRequestValidationError, deny_parameters)
    app.include_router(api.routes(service, gate))
    app.include_router(whip.routes(service, gate))
    app.include_router(voice_socket.routes(service, gate))
    app.include_router(motion_socket.routes(service, gate))
    app.add_api_route("/obs/{address}", _obs, include_in_schema=False)
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


async def _obs(address: str) -> Response:
    """The bare page of a session, for OBS; it finds the session itself, and waits for one that is not there yet."""
    return FileResponse(PAGE / "obs.html")


class HeadAsGet:
    """HEAD is answered as GET is, without the body (RFC 9110, 9.3.2); WHIP and WHEP have answers of their own."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] != "HEAD" or route_of(scope).startswith(OWN_HEAD):
            await self._app(scope, receive, send)
            return

        async def without_body(message: Message) -> None:
            await send({**message, "body": b""} if message["type"] == "http.response.body" else message)

        await self._app({**scope, "method": "GET"}, receive, without_body)


Next = Callable[[Request], Awaitable[Response]]


def guard(gate: Gate, config: ServerConfig) -> Callable[[Request, Next], Awaitable[Response]]:
    """The name that was asked by before every request, security headers after it."""

    async def guarded(request: Request, call_next: Next) -> Response:
        try:
            gate.check_name(request)
            response = await call_next(request)
        except NotAdmitted as error:
            response = refused(error, request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.headers.get("origin") in config.origins:
            response.headers.update({**CORS, "Access-Control-Allow-Origin": request.headers["origin"]})
        return response

    return guarded
