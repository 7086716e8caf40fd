"""Who is let in: the name the server was asked by, the token, and for sockets the page that opens them; how often."""

from __future__ import annotations

import hashlib
import hmac
import math
import time

from starlette.requests import HTTPConnection
from starlette.responses import Response

from webrtc.http.rate_limit import Rate
from webrtc.http.refusals import error
from webrtc.server_config import ServerConfig, is_loopback

PROTECTED = ("/api/", "/whip/", "/whep/", "/metrics")  # want the token, where there is one
OPEN = ("/whip/", "/whep/")  # answer OPTIONS without one: a browser's preflight carries none


def asker(asked: HTTPConnection, config: ServerConfig) -> str:
    """Whose limits count: the token's, or the address's where there is none. No secret: it may be kept."""
    if config.token is not None:
        return hashlib.sha256(_shown(asked).encode()).hexdigest()
    return asked.client.host if asked.client else ""


def refusal(asked: HTTPConnection, config: ServerConfig, openings: Rate) -> Response | None:
    """Why a request or a socket is not let in; None when it is. An opening is counted."""
    host = asked.headers.get("host", "")
    if config.loopback and not _local_name(host):
        return error("This server answers only to localhost: open http://127.0.0.1.", 421)
    if _protected(asked) and not _admitted(asked, config):
        headers = {"WWW-Authenticate": "Bearer"}
        return error("A valid token was expected: add ?token=... to the page's address.", 401, headers)
    if asked.scope["type"] == "websocket" and not _own_page(asked, config):
        return error("Pages of other origins may not open sockets here: let the server name yours.", 403)
    if _opens(asked) and (wait := openings.wait(asker(asked, config), time.monotonic())):
        headers = {"Retry-After": str(math.ceil(wait))}
        return error(f"At most {config.openings_per_minute} openings a minute are taken: slow down.", 429, headers)
    return None


def _protected(asked: HTTPConnection) -> bool:
    path = route_of(asked)
    return path.startswith(PROTECTED) and not (asked.scope.get("method") == "OPTIONS" and path.startswith(OPEN))


def route_of(asked: HTTPConnection) -> str:
    """The path that the routes are matched with: without the prefix under which the application is mounted.

    Never the request's URL, which the Host header takes part in.
    """
    path, root = str(asked.scope["path"]), str(asked.scope.get("root_path", ""))
    return path.removeprefix(root) if root and path.startswith(root) else path


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


def _opens(asked: HTTPConnection) -> bool:
    if asked.scope["type"] == "websocket":
        return True
    return asked.scope["method"] == "POST" and _protected(asked)


def _admitted(asked: HTTPConnection, config: ServerConfig) -> bool:
    """Every token is compared, and each in constant time: how long it takes tells nothing."""
    shown = _shown(asked).encode()
    fits = [hmac.compare_digest(shown, token.encode()) for token in config.tokens]
    return any(fits) or config.token is None


def _shown(asked: HTTPConnection) -> str:
    scheme, _, shown = asked.headers.get("authorization", "").partition(" ")
    return shown if scheme.lower() == "bearer" else asked.query_params.get("token", "")
