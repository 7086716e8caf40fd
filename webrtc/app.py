"""The HTTP side put together: who is let in, what every answer carries, and the page itself.

The routes are `webrtc.api`'s and `webrtc.whip`'s.
"""

from __future__ import annotations

import hmac
from collections.abc import Awaitable, Callable
from pathlib import Path

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from engine.errors import VivifyError
from webrtc import api, whip
from webrtc.config import is_loopback
from webrtc.http import error, refuse, refuse_http, refuse_parameters
from webrtc.messages import PROTOCOL
from webrtc.service import Service

PAGE = Path(__file__).resolve().parent.parent / "clients" / "web"
SUMMARY = "A live voice in, a talking face out; media go over WebRTC, see webrtc/protocol.md."
PROTECTED = ("/api/", "/whip/", "/whep/", "/metrics")  # want the token, where there is one
OPEN = ("/whip/", "/whep/")  # answer OPTIONS without one: a browser's preflight carries none

CONTENT_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Permissions-Policy": "microphone=(self), camera=(), geolocation=()",
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
    """The application over a running service; it owns nothing and can be mounted anywhere."""
    app = FastAPI(title="Vivify", version=str(PROTOCOL), summary=SUMMARY, docs_url=None, redoc_url=None)
    app.middleware("http")(_guard(service))
    app.add_exception_handler(VivifyError, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    app.add_exception_handler(RequestValidationError, refuse_parameters)
    app.include_router(api.routes(service))
    app.include_router(whip.routes(service))
    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


Next = Callable[[Request], Awaitable[Response]]


def _guard(service: Service) -> Callable[[Request, Next], Awaitable[Response]]:
    """Host and token before every request, security headers after it."""
    config = service.config

    async def guard(request: Request, call_next: Next) -> Response:
        if config.loopback and not _local_name(request.headers.get("host", "")):
            response: Response = error("This server answers only to localhost: open http://127.0.0.1.", 421)
        elif _protected(request) and not _admitted(request, config.token):
            response = error("A valid token was expected: add ?token=... to the page's address.", 401)
            response.headers["WWW-Authenticate"] = "Bearer"
        else:
            response = await call_next(request)
        for name, value in HEADERS.items():
            response.headers.setdefault(name, value)
        if request.headers.get("origin") in config.origins:
            response.headers.update({**CORS, "Access-Control-Allow-Origin": request.headers["origin"]})
        return response

    return guard


def _protected(request: Request) -> bool:
    path = request.url.path
    return path.startswith(PROTECTED) and not (request.method == "OPTIONS" and path.startswith(OPEN))


def _local_name(host: str) -> bool:
    """Held against DNS rebinding: a foreign page's name for 127.0.0.1 is not ours."""
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return is_loopback(name.strip("[]"))


def _admitted(request: Request, token: str | None) -> bool:
    if token is None:
        return True
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = request.query_params.get("token", "")
    return hmac.compare_digest(shown.encode(), token.encode())
