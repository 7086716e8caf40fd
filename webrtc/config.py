"""What a server is told at its start."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass, field

from engine.config import EngineConfig
from engine.errors import VivifyError
from webrtc.logs import FORMS

CODECS = ("VP8", "H264")
SHORTEST_TOKEN = 16


def is_loopback(host: str) -> bool:
    """True for names and addresses that only this machine can reach."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@dataclass(frozen=True, slots=True)
class IceServer:
    """A STUN or TURN server, for this server and for its clients. Raises VivifyError for what is no address of one."""

    url: str  # stun:host:port, turn:host:port?transport=udp
    username: str | None = None
    credential: str | None = None

    def __post_init__(self) -> None:
        if not re.fullmatch(r"(stuns?|turns?):[\w.\-\[\]:?=]+", self.url, re.ASCII):
            raise VivifyError(f"An ICE server such as stun:host:3478 was expected, but '{self.url}' was given.")
        for value in (self.username, self.credential):
            if value is not None and not re.fullmatch(r"[ !#-\[\]-~]+", value):
                raise VivifyError("An ICE server's user name and credential were expected to be plain text, no quotes.")

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
    token: str | None = None
    codec: str | None = "VP8"
    ice_servers: tuple[IceServer, ...] = ()  # none: only addresses of this machine are tried
    origins: tuple[str, ...] = ()  # foreign pages that may use the service, as 'https://example.org'
    max_viewers: int = 4  # of one session; each has an encoder of its own
    logs: str | None = None  # 'text' or 'json': what happens to sessions is written to the standard error stream
    engine: EngineConfig = field(default_factory=EngineConfig)

    def __post_init__(self) -> None:
        if self.codec is not None and self.codec not in CODECS:
            raise VivifyError(f"The codec must be one of {', '.join(CODECS)}, but '{self.codec}' was given.")
        if self.logs is not None and self.logs not in FORMS:
            raise VivifyError(f"Logs are written as {' or '.join(FORMS)}, but '{self.logs}' was given.")
        if self.token is not None and len(self.token) < SHORTEST_TOKEN:
            raise VivifyError(
                f"A token must have at least {SHORTEST_TOKEN} characters, but {len(self.token)} were given: "
                "make one with 'openssl rand -hex 16'."
            )
        if self.token is None and not is_loopback(self.host):
            raise VivifyError(
                f"Listening on {self.host} lets others in and therefore needs a token, but none was given: "
                "add --token (or VIVIFY_TOKEN), or listen on 127.0.0.1."
            )

    @property
    def loopback(self) -> bool:
        return is_loopback(self.host)
