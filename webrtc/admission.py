"""Who is let in: the name the server was asked by, the token, and for sockets the page that opens them."""

from __future__ import annotations

import hmac

from starlette.requests import HTTPConnection
from starlette.responses import Response

from webrtc.config import ServerConfig, is_loopback
from webrtc.http import error

PROTECTED = ("/api/", "/whip/", "/whep/", "/metrics")  # want the token, where there is one
OPEN = ("/whip/", "/whep/")  # answer OPTIONS without one: a browser's preflight carries none


def refusal(asked: HTTPConnection, config: ServerConfig) -> Response | None:
    """Why a request or a socket is not let in; None when it is."""
    host = asked.headers.get("host", "")
    if config.loopback and not _local_name(host):
        return error("This server answers only to localhost: open http://127.0.0.1.", 421)
    if _protected(asked) and not _admitted(asked, config.token):
        headers = {"WWW-Authenticate": "Bearer"}
        return error("A valid token was expected: add ?token=... to the page's address.", 401, headers)
    if asked.scope["type"] == "websocket" and not _own_page(asked, config):
        return error("Pages of other origins may not open sockets here: let the server name yours.", 403)
    return None


def _protected(asked: HTTPConnection) -> bool:
    path = asked.url.path
    return path.startswith(PROTECTED) and not (asked.scope.get("method") == "OPTIONS" and path.startswith(OPEN))


def _local_name(host: str) -> bool:
    """Held against DNS rebinding: a foreign page's name for 127.0.0.1 is not ours."""
    name = host if host.endswith("]") else host.rsplit(":", 1)[0]
    return is_loopback(name.strip("[]"))


def _own_page(asked: HTTPConnection, config: ServerConfig) -> bool:
    """No browser holds a page's sockets back by itself, as it does requests. Programs send no origin."""
    origin = asked.headers.get("origin")
    if origin is None or origin in config.origins:
        return True
    return origin.partition("://")[2] == asked.headers.get("host", "")


def _admitted(asked: HTTPConnection, token: str | None) -> bool:
    if token is None:
        return True
    scheme, _, shown = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer":
        shown = asked.query_params.get("token", "")
    return hmac.compare_digest(shown.encode(), token.encode())
