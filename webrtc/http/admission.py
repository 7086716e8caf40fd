"""Who is let in: the name the server was asked by, the token and its rights, the page that opens a socket; how often.

What a route wants is declared with the route, as its dependency (`Gate.needs`): what is served is what was checked,
wherever the application is mounted and whatever a request's URL says.
"""

from __future__ import annotations

import ipaddress
import math
import time
from collections.abc import Awaitable, Callable

from starlette.requests import HTTPConnection, Request

from engine.errors import VivifyError
from webrtc.access.rights import Caller
from webrtc.access.tokens import BadToken, Tokens
from webrtc.http.rate_limit import Rate
from webrtc.server_config import ServerConfig, is_loopback

SUBPROTOCOL = "vivify"  # of sockets; a browser's cannot carry a header, and names its token as another: bearer.TOKEN
BEARER = "bearer."
LONGEST_ADDRESS = 64  # characters: a proxy may name something else


class NotAdmitted(VivifyError):
    """Not let in; ``status`` is HTTP's code for why."""

    def __init__(self, sentence: str, status: int, headers: dict[str, str] | None = None) -> None:
        super().__init__(sentence)
        self.status = status
        self.headers = headers


class Gate:
    """Lets requests and sockets in, or raises NotAdmitted."""

    def __init__(self, config: ServerConfig) -> None:
        self._config = config
        self._tokens = Tokens(config.tokens, config.token_key)
        self._openings = Rate(config.openings_per_minute)

    def check_name(self, asked: HTTPConnection) -> None:
        """Held against DNS rebinding: a foreign page's name for 127.0.0.1 is not ours. It shuts, and opens nothing."""
        host = asked.headers.get("host", "")
        name = host if host.endswith("]") else host.rsplit(":", 1)[0]
        if self._config.loopback and not is_loopback(name.strip("[]")):
            raise NotAdmitted("This server answers only to localhost: open http://127.0.0.1.", 421)

    def needs(self, *rights: str, opens: bool = False) -> Callable[[Request], Awaitable[Caller]]:
        """A route's dependency: its caller, who has one of these rights, or any where none is named."""

        async def check(request: Request) -> Caller:
            return self.admit(request, *rights, opens=opens)

        return check

    def admit_socket(self, socket: HTTPConnection, *rights: str) -> Caller:
        """The same for a socket, which opens something. Browsers do not hold a page's sockets back by themselves."""
        self.check_name(socket)
        origin = socket.headers.get("origin")
        own = origin is None or origin.partition("://")[2] == socket.headers.get("host", "")
        if not own and origin not in self._config.origins:
            raise NotAdmitted("Pages of other origins may not open sockets here: let the server name yours.", 403)
        return self.admit(socket, *rights, opens=True)

    def admit(self, asked: HTTPConnection, *rights: str, opens: bool = False) -> Caller:
        """Who asks, who has one of these rights. An opening is counted."""
        host = asked.client.host if asked.client else ""
        if not self._tokens.wanted and not is_loopback(host):
            raise NotAdmitted("This server has no token and so answers this machine alone: give it one.", 403)
        try:
            caller = self._tokens.caller(_shown(asked), network_of(host))
        except BadToken as error:
            raise NotAdmitted(str(error), 401, {"WWW-Authenticate": "Bearer"}) from None
        if rights and not caller.rights & set(rights):
            raise _lacking(caller, rights)
        if opens and (wait := self._openings.wait(caller.visitor, time.monotonic())):
            raise NotAdmitted(
                f"At most {self._config.openings_per_minute} openings a minute are taken: slow down.",
                429,
                {"Retry-After": str(math.ceil(wait))},
            )
        return caller


def network_of(host: str) -> str:
    """An address as one visitor's: of IPv6, the 64 bits that a line has; an IPv4 address written as one is the same."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host[:LONGEST_ADDRESS]
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.ip_network((int(address), 64), strict=False))
    return str(address)


def _lacking(caller: Caller, rights: tuple[str, ...]) -> NotAdmitted:
    has = " and ".join(sorted(caller.rights))
    wants = " or ".join(rights)
    sentence = f"This token may {has}, but this wants the right to {wants}: use one that has it."
    scope = " ".join(rights)
    return NotAdmitted(sentence, 403, {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'})


def _shown(asked: HTTPConnection) -> str:
    """The token: of the header; of a browser's socket's subprotocols; for what can do neither, of the query."""
    scheme, _, shown = asked.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer":
        return shown.strip()
    offered = asked.scope.get("subprotocols", ())
    named = next((name.removeprefix(BEARER) for name in offered if name.startswith(BEARER)), None)
    return asked.query_params.get("token", "") if named is None else named


def subprotocol_of(socket: HTTPConnection) -> str | None:
    """What to accept a socket with: a browser that named some wants one of them back, and never its token."""
    return SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None
