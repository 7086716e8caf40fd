"""What a server is told at its start."""

from __future__ import annotations

import base64
import hmac
import ipaddress
import re
import time
from dataclasses import dataclass, field

from engine.config import LIVE_SIZES, EngineConfig
from engine.errors import VivifyError
from webrtc.access.tokens import FixedToken, check_key, read_tokens
from webrtc.logs import FORMS

CODECS = ("VP8", "H264")
OWN_PATHS = ("api", "whip", "whep", "obs", "metrics", "healthz", "readyz", "openapi.json")
_PREFIX = re.compile(r"(/[\w~-][\w.~-]*){1,8}", re.ASCII)
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://[^/?#@\sA-Z]+")  # as browsers write it: RFC 6454, section 6.2
LONGEST_FILM_S = 180  # engine.enrolment.footage.film_enrolment.LONGEST_S
TURN_LOGIN_S = 6 * 3600  # how long a login lasts: longer than a session


def is_loopback(host: str) -> bool:
    """True for names and addresses that only this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, for this server and for its clients. Raises VivifyError for what is no address of one.

    ``secret`` is what a TURN server shares with us (coturn's ``static-auth-secret``): `dated` makes a login of it.
    """

    url: str  # stun:host:port, turn:host:port?transport=udp
    username: str | None = None
    credential: str | None = None
    secret: str | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(stuns?|turns?):[\w.\-\[\]:?=]+", self.url, re.ASCII):
            raise VivifyError(f"An ICE server such as stun:host:3478 was expected, but '{self.url}' was given.")
        if self.url.startswith("turn") and self.secret is None and None in (self.username, self.credential):
            raise VivifyError(
                f"The TURN server {self.url} needs a secret, or a user and a credential: give --turn-secret."
            )
        for value in (self.username, self.credential):
            if value is not None and not re.fullmatch(r"[ !#-\[\]-~]+", value):
                raise VivifyError("An ICE server's user name and credential were expected to be plain text, no quotes.")

    def dated(self, now: float) -> IceServer:
        """The same with a login that ends `TURN_LOGIN_S` after ``now``, seconds since 1970, where there is a secret.

        As TURN servers check it (draft-uberti-behave-turn-rest): the user name is the time at which it ends, the
        credential its HMAC-SHA1 under the secret.
        """
        if self.secret is None or not self.url.startswith("turn"):
            return self
        username = f"{int(now) + TURN_LOGIN_S}:vivify"
        digest = hmac.digest(self.secret.encode(), username.encode(), "sha1")
        return IceServer(self.url, username, base64.b64encode(digest).decode())

    @property
    def link(self) -> str:
        """As a ``Link`` header's value (RFC 9725, section 4.6)."""
        login = f'; username="{self.username}"; credential="{self.credential}"; credential-type="password"'
        return f'<{self.url}>; rel="ice-server"' + (login if self.username is not None else "")


@dataclass(frozen=True, slots=True)
class ServerConfig:
    """Where to listen, who may come in, and the engine behind. Raises VivifyError for what cannot be.

    ``codec`` is the server's preference among those an offer holds; None leaves the choice to the offer's order.
    VP8 takes a third of H.264's time to encode here.
    """

    host: str = "127.0.0.1"
    port: int = 8080  # 0: any free one
    token: str | None = field(default=None, repr=False)  # or several: SECRET, or SECRET:watch+figures, and commas
    token_key: str | None = field(default=None, repr=False)  # what signs an application's own short-lived tokens
    openings_per_minute: int = 120  # of sessions and viewers, for each token at each address
    sessions_per_token: int | None = None  # at a time; None: as many as there are places
    codec: str | None = "VP8"
    ice_servers: tuple[IceServer, ...] = ()  # none: only addresses of this machine are tried
    origins: tuple[str, ...] = ()  # foreign pages that may use the service, as 'https://example.org'
    portraits: int = 8  # that visitors may have brought, at a time; 0: none are taken
    portraits_per_owner: int = 3  # of them, of one token or its subject; a further one takes the oldest one's place
    film_seconds: int = 180  # of a film that a visitor brings are used at most; 0: photos alone are taken
    root_path: str = ""  # the prefix of its addresses behind a proxy, such as '/vivify', left on or taken off by it
    proxies: tuple[str, ...] = ()  # whose X-Forwarded-For is believed, besides a proxy's on this machine
    max_viewers: int = 4  # of one session; each has an encoder of its own
    idle_minutes: float = 30.0  # a session in which nobody says anything for so long ends; 0: never
    drain_seconds: float = 20.0  # that sessions have to finish when the server is told to stop
    logs: str | None = None  # 'text' or 'json': what happens to sessions is written to the standard error stream
    badge: bool = False  # all pictures say for all to see that they are made; else those whose token or opener asks
    node: str = ""  # which of the nodes behind a door it is: names that it gives begin so; '' where it is alone
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        if self.engine.size not in LIVE_SIZES:
            raise VivifyError(
                f"Live pictures are {', '.join(map(str, LIVE_SIZES))} pixels wide, but {self.engine.size} was given: "
                "larger ones are for `vivify render`."
            )
        if self.codec is not None and self.codec not in CODECS:
            raise VivifyError(f"The codec must be one of {', '.join(CODECS)}, but '{self.codec}' was given.")
        if self.logs is not None and self.logs not in FORMS:
            raise VivifyError(f"Logs are written as {' or '.join(FORMS)}, but '{self.logs}' was given.")
        if self.token_key is not None:
            check_key(self.token_key)
        most = 1 if self.sessions_per_token is None else self.sessions_per_token
        if min(self.openings_per_minute, most) < 1:
            raise VivifyError(
                "Limits of openings and sessions were expected to be 1 at least, but "
                f"{min(self.openings_per_minute, most)} was given."
            )
        for origin in self.origins:
            if not _ORIGIN.fullmatch(origin):
                raise VivifyError(
                    f"A page's origin such as https://avatar.example was expected, but '{origin}' was given: scheme, "
                    "host, and port if it has one, in small letters, with no slash behind."
                )
        if not 0 <= self.film_seconds <= LONGEST_FILM_S:
            raise VivifyError(
                f"Visitors' films were expected to be used for 0 (none are taken) to {LONGEST_FILM_S} seconds, but "
                f"{self.film_seconds} were given."
            )
        if not 0 <= self.idle_minutes <= 100_000:
            raise VivifyError(f"Idle minutes were expected to be 0 (never) or more: {self.idle_minutes} were given.")
        if not 0 <= self.drain_seconds <= 86_400:
            raise VivifyError(f"Draining was expected to take 0 to 86400 seconds, but {self.drain_seconds} were given.")
        prefix = self.root_path
        if prefix and (not _PREFIX.fullmatch(prefix) or prefix.split("/")[1] in OWN_PATHS):
            raise VivifyError(
                f"A path such as /vivify was expected before all others, but '{prefix}' was given: begin it with a "
                "slash, end it without one, and let its first part be none of the server's own paths."
            )
        for proxy in self.proxies:
            try:
                ipaddress.ip_network(proxy)
            except ValueError:
                raise VivifyError(f"A proxy's address or network was expected, but '{proxy}' was given.") from None
        if not self.guarded and not is_loopback(self.host):
            raise VivifyError(
                f"Listening on {self.host} lets others in and therefore needs a token, but none was given: "
                "add --token (or VIVIFY_TOKEN), --token-key (or VIVIFY_TOKEN_KEY), or listen on 127.0.0.1."
            )

    @property
    def guarded(self) -> bool:
        """Whether tokens are wanted. Raises VivifyError for what is none."""
        return bool(self.tokens) or self.token_key is not None

    @property
    def tokens(self) -> tuple[FixedToken, ...]:
        """The fixed tokens. Raises VivifyError for what is none."""
        return read_tokens(self.token)

    @property
    def address_key(self) -> str | None:
        """What makes wished addresses their owner's own; None where there are no owners."""
        return (self.token_key or "") if self.guarded else None

    @property
    def idle_s(self) -> float | None:
        return 60 * self.idle_minutes or None

    def ice_servers_now(self) -> tuple[IceServer, ...]:
        """The ICE servers, with logins that begin now."""
        return tuple(server.dated(time.time()) for server in self.ice_servers)

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)
