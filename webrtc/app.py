"""The HTTP side: the page, its session and its pictures; `webrtc.whip` adds the standard ways in and out."""

from __future__ import annotations

import asyncio
import functools
import hmac
import json
from collections.abc import Awaitable, Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from fastapi import FastAPI, Request, Response
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.exceptions import HTTPException

from engine import avatars
from engine.errors import UnknownAvatar, VivifyError
from engine.paths import assets
from engine.types import DEFAULT_LOOK_AHEAD_MS, LOOK_AHEADS_MS
from webrtc.config import is_loopback
from webrtc.http import BadRequest, error, read_body, refuse, refuse_http
from webrtc.service import Service
from webrtc.whip import routes, trickle

PAGE = Path(__file__).resolve().parent.parent / "clients" / "web"
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


def create_app(service: Service) -> FastAPI:
    """The application over a running service; it owns nothing and can be mounted anywhere."""
    app = FastAPI(title="Vivify", docs_url=None, redoc_url=None)
    app.middleware("http")(_guard(service))
    app.add_exception_handler(VivifyError, refuse)
    app.add_exception_handler(HTTPException, refuse_http)
    app.include_router(routes(service))

    @app.post("/api/session", status_code=201)
    async def open_session(request: Request) -> JSONResponse:
        """Answer an offer: ``{sdp, type, avatar?, look_ahead_ms?}`` -> ``{sdp, type, session, ...}``."""
        offer, avatar, look_ahead_ms = _read_offer(await read_body(request, "application/json", "Accept-Post"))
        peer, answer = await service.open(offer, avatar, look_ahead_ms)
        return JSONResponse(
            {"sdp": answer, "type": "answer", "session": peer.name, "avatar": peer.avatar, "codec": peer.link.codec},
            201,
            {"Location": f"/api/session/{peer.name}", "ETag": peer.link.etag},
        )

    @app.delete("/api/session/{name}", status_code=204)
    async def close_session(name: str) -> Response:
        await service.peer(name).close("The session was ended.")
        return Response(status_code=204)

    @app.patch("/api/session/{name}", status_code=204)
    async def trickle_session(request: Request, name: str) -> Response:
        """Late candidates, as WHIP takes them."""
        return await trickle(request, service.peer(name).link)

    @app.get("/api/avatars")
    async def list_avatars() -> dict[str, Any]:
        return {
            "avatars": service.engine.avatars(),
            "default": service.engine.default_avatar,
            "look_aheads_ms": list(LOOK_AHEADS_MS),
            "default_look_ahead_ms": DEFAULT_LOOK_AHEAD_MS,
        }

    @app.get("/api/avatars/{name}/portrait")
    async def portrait(name: str) -> Response:
        return Response(await asyncio.to_thread(_opaque, _portrait(service, name)), media_type="image/png")

    @app.get("/api/sample")
    async def sample() -> FileResponse:
        return FileResponse(assets() / "speech.wav", media_type="audio/wav")

    @app.get("/healthz")
    async def health() -> JSONResponse:
        alive = service.engine.alive
        body = {"ok": alive, "sessions": len(service.peers), "max_sessions": service.config.engine.max_sessions}
        return JSONResponse(body, 200 if alive else 503)

    @app.get("/readyz")
    async def ready() -> JSONResponse:
        """Whether a new session would be let in."""
        reason = (
            "The engine is down." if not service.engine.alive else "All places are taken." if service.full else None
        )
        return JSONResponse({"ready": reason is None, "reason": reason}, 200 if reason is None else 503)

    @app.get("/metrics")
    async def metrics() -> Response:
        """Figures for Prometheus."""
        return Response(service.metrics.text(), headers={"Content-Type": CONTENT_TYPE_LATEST})

    app.mount("/", StaticFiles(directory=PAGE, html=True))
    return app


CORS = {
    "Access-Control-Allow-Methods": "DELETE, GET, OPTIONS, PATCH, POST",
    "Access-Control-Allow-Headers": "Authorization, Content-Type, If-Match",
    "Access-Control-Expose-Headers": "ETag, Link, Location, Retry-After",
    "Vary": "Origin",
}


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


def _read_offer(body: bytes) -> tuple[str, str | None, int]:
    """SDP, avatar and look-ahead of a request. Raises BadRequest."""
    try:
        fields = json.loads(body)
    except (ValueError, RecursionError):
        raise BadRequest("The body was expected to be JSON, but it cannot be read.") from None
    if not isinstance(fields, dict):
        raise BadRequest("The body was expected to be a JSON object with sdp and type.")
    sdp, avatar = fields.get("sdp"), fields.get("avatar")
    look_ahead_ms = fields.get("look_ahead_ms", DEFAULT_LOOK_AHEAD_MS)
    if not isinstance(sdp, str) or not sdp.strip() or fields.get("type") != "offer":
        raise BadRequest("The body was expected to hold an offer: sdp as text, and type 'offer'.")
    if avatar is not None and not isinstance(avatar, str):
        raise BadRequest("The avatar was expected to be a name.")
    if type(look_ahead_ms) is not int or look_ahead_ms not in LOOK_AHEADS_MS:
        choices = ", ".join(map(str, LOOK_AHEADS_MS))
        raise BadRequest(f"The field look_ahead_ms was expected to be one of {choices}.")
    return sdp, avatar or None, look_ahead_ms


def _portrait(service: Service, name: str) -> Path:
    """The portrait of an avatar; a name is looked up, it never becomes a path."""
    if name not in service.engine.avatars():
        raise UnknownAvatar("There is no avatar of that name here.")
    table = avatars.installed()
    if name in table:
        return table[name] / "portrait.png"
    return avatars.resolve(service.config.engine.avatar)[1] / "portrait.png"


@functools.lru_cache(maxsize=16)
def _opaque(path: Path) -> bytes:
    """A portrait's PNG without its matte: as the video shows it."""
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0)).reformat(format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
