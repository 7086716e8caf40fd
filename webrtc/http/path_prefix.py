"""Below a prefix of somebody else's address: mounted in another application, or behind a proxy that has others too."""

from __future__ import annotations

from starlette.requests import HTTPConnection
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send


class UnderPrefix:
    """Serves below ``prefix`` ('' for none), whether the proxy before it takes the prefix off or leaves it on.

    What is passed on is ASGI's: ``root_path`` is the prefix, and ``path`` begins with it.
    """

    def __init__(self, app: ASGIApp, prefix: str) -> None:
        self._app = app
        self._prefix = prefix

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = self._prefix
        if not prefix or scope["type"] not in ("http", "websocket"):
            return await self._app(scope, receive, send)
        path = str(scope["path"])
        if path == prefix and scope["type"] == "http":  # relative addresses on the page would miss it
            return await RedirectResponse(f"{prefix}/", 308)(scope, receive, send)
        if not path.startswith(f"{prefix}/"):
            path = prefix + path
        await self._app({**scope, "path": path, "root_path": prefix + scope.get("root_path", "")}, receive, send)


def prefix_of(asked: HTTPConnection) -> str:
    """What stands before the routes' own paths in addresses that are told."""
    return str(asked.scope.get("root_path", ""))


def route_of(scope: Scope) -> str:
    """The path that the routes are matched with: without the prefix."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path.removeprefix(root) if path.startswith(f"{root}/") else path
