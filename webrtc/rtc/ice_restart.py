"""ICE that can be restarted beneath a running connection (RFC 9725, section 4.3.3; RFC 8445, section 9).

aiortc asks aioice for one `Connection` a transport and keeps it. What it is given here stands for a row of them: a
restart gathers a new one with credentials of its own, checks it while the old one goes on carrying sound and pictures,
and only then lets it take over. DTLS above notices nothing.
"""

from __future__ import annotations

from typing import Any

from aioice import Candidate, Connection
from aioice.ice import ConnectionEvent
from aiortc import RTCPeerConnection


class RestartableConnection:
    """As much of `aioice.Connection` as aiortc uses, and `restart`."""

    def __init__(self, **options: Any) -> None:
        self._options = options
        self._now = Connection(**options)
        self._coming: Connection | None = None  # gathered, not proven yet
        self.connected = False
        self.remote_is_lite = False
        self.remote_username: str | None = None
        self.remote_password: str | None = None

    def __getattr__(self, name: str) -> Any:
        return getattr(self._now, name)

    @property
    def ice_controlling(self) -> bool:
        return self._now.ice_controlling

    @ice_controlling.setter
    def ice_controlling(self, value: bool) -> None:
        self._now.ice_controlling = value

    async def connect(self) -> None:
        """The first connection's checks. Raises ConnectionError."""
        for name in ("remote_is_lite", "remote_username", "remote_password"):  # aiortc has set them here
            setattr(self._now, name, getattr(self, name))
        await self._now.connect()
        self.connected = True

    async def recv(self) -> bytes:
        """The next datagram, over whichever connection it comes. Raises ConnectionError when the last one has ended."""
        while True:
            now = self._now
            try:
                return await now.recv()
            except ConnectionError:
                if now is self._now:
                    raise

    async def send(self, data: bytes) -> None:
        await self._now.send(data)

    async def get_event(self) -> ConnectionEvent | None:
        """The end of the last connection; that of one which was replaced is nobody's business."""
        while True:
            now = self._now
            event = await now.get_event()
            if now is self._now:
                return event

    async def add_remote_candidate(self, candidate: Candidate | None) -> None:
        """A candidate of the other side's newest credentials; None after the last."""
        await (self._coming or self._now).add_remote_candidate(candidate)

    async def restart(self, username: str, password: str) -> Connection:
        """Gather anew for the other side's new credentials; `prove` what comes back. One not proven yet is given up."""
        fresh = Connection(**self._options)
        fresh.ice_controlling = self._now.ice_controlling
        fresh.remote_is_lite = self.remote_is_lite
        fresh.remote_username, fresh.remote_password = username, password
        await fresh.gather_candidates()
        given_up, self._coming = self._coming, fresh
        if given_up is not None:
            await given_up.close()
        return fresh

    async def prove(self, fresh: Connection) -> bool:
        """Check ``fresh``, and let it take over; False if it fails, and the old one goes on."""
        try:
            await fresh.connect()
            proven = self._coming is fresh
        except ConnectionError:
            proven = False
        if not proven:
            await fresh.close()
            if self._coming is fresh:
                self._coming = None
            return False
        old, self._now, self._coming = self._now, fresh, None
        await old.close()
        return True

    async def close(self) -> None:
        if self._coming is not None:
            await self._coming.close()
        await self._now.close()


def connection_of(pc: RTCPeerConnection) -> RestartableConnection:
    """The one that all lines of ``pc`` share: its answers bundle them."""
    found = pc.getTransceivers()[0].receiver.transport.transport._connection
    assert isinstance(found, RestartableConnection)
    return found
