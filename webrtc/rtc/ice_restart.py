"""ICE that can be restarted beneath a running connection (RFC 9725, section 4.3.3; RFC 8445, section 9), and that
misses its other side in time (RFC 7675).

aiortc asks aioice for one `Connection` a transport and keeps it. What it is given here stands for a row of them: a
restart gathers a new one with credentials of its own, checks it while the old one goes on carrying sound and pictures,
and only then lets it take over. DTLS above notices nothing.
"""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable
from typing import Any

import aioice.ice
from aioice import Candidate, Connection
from aioice.ice import CandidatePair, ConnectionEvent
from aioice.stun import Message, TransactionError
from aiortc import RTCPeerConnection

# RFC 7675, section 5.1: a check of consent every 5 s (aioice's CONSENT_INTERVAL), give or take a fifth, and an end 30 s
# after the last answer at the latest. It ends earlier where nothing else comes either: one who lives sends checks,
# reports or media. In intervals:
CONSENT_ENDS = 6.0
VANISHED = 2.4  # 12 s: long enough for a change of networks or a tunnel
LEAST_CHECKS = 2  # that went unanswered in a row


class HeardConnection(Connection):
    """An `aioice.Connection` that tells of each sign of life by ``on_heard``, and ends when there are none."""

    def __init__(self, on_heard: Callable[[], None], **options: Any) -> None:
        super().__init__(**options)
        self.vanished = False
        self._on_heard = on_heard
        self.heard = time.monotonic()

    @property
    def way_out(self) -> CandidatePair:
        """The pair of addresses that data goes by. Raises ConnectionError while there is none."""
        pair = self._nominated.get(1)
        if pair is None:
            raise ConnectionError("Data was expected to be sent over a connection that stands.")
        return pair

    def note(self) -> None:
        """Something came, from the other side."""
        self.heard = time.monotonic()
        self._on_heard()

    def data_received(self, data: bytes, component: int) -> None:
        self.note()
        super().data_received(data, component)

    def check_incoming(self, message: Message, addr: tuple[str, int], protocol: Any) -> None:
        """One of the other side's checks, which knew our password."""
        self.note()
        super().check_incoming(message, addr, protocol)

    async def query_consent(self) -> None:
        """In the place of aioice's, which counts unanswered checks alone and therefore has to wait for many."""
        failures, answered = 0, time.monotonic()
        while True:
            interval = aioice.ice.CONSENT_INTERVAL
            await asyncio.sleep(interval * random.uniform(0.8, 1.2))
            for pair in list(self._nominated.values()):
                if await self._answers(pair):
                    failures, answered = 0, time.monotonic()
                else:
                    failures += 1
            now = time.monotonic()
            vanished = now - self.heard >= VANISHED * interval or now - answered >= CONSENT_ENDS * interval
            if vanished and failures >= LEAST_CHECKS:
                self._query_consent_task = None
                self.vanished = True
                return await self.close()

    async def _answers(self, pair: CandidatePair) -> bool:
        assert self.remote_password is not None
        try:
            await pair.protocol.request(
                self.build_request(pair, nominate=False),
                pair.remote_addr,
                integrity_key=self.remote_password.encode(),
                retransmissions=1,  # 1.5 s for an answer: half a second is less than some mobile networks take
            )
        except TransactionError:
            return False
        return True


class RestartableConnection:
    """As much of `aioice.Connection` as aiortc uses, and `restart`. ``heard``: when the last sign of life came."""

    def __init__(self, **options: Any) -> None:
        self._options = {**options, "on_heard": self._note}
        self.heard = 0.0  # never
        self._now = HeardConnection(**self._options)
        self._coming: HeardConnection | None = None  # gathered, not proven yet
        self.connected = False
        self.vanished = False  # the other side, without a word
        self.remote_is_lite = False
        self.remote_username: str | None = None
        self.remote_password: str | None = None

    def _note(self) -> None:
        self.heard = time.monotonic()

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

    def send_now(self, datagrams: list[bytes]) -> None:
        """The same of several, for who need not wait: no way out of aioice does. Raises ConnectionError."""
        pair = self._now.way_out
        for data in datagrams:
            pair.protocol.transport.sendto(data, pair.remote_addr)

    async def get_event(self) -> ConnectionEvent | None:
        """The end of the last connection; that of one which was replaced is nobody's business."""
        while True:
            now = self._now
            event = await now.get_event()
            if now is self._now:
                self.vanished = now.vanished
                return event

    async def add_remote_candidate(self, candidate: Candidate | None) -> None:
        """A candidate of the other side's newest credentials; None after the last."""
        await (self._coming or self._now).add_remote_candidate(candidate)

    async def restart(self, username: str, password: str) -> HeardConnection:
        """Gather anew for the other side's new credentials; `prove` what comes back. One not proven yet is given up."""
        fresh = HeardConnection(**self._options)
        fresh.ice_controlling = self._now.ice_controlling
        fresh.remote_is_lite = self.remote_is_lite
        fresh.remote_username, fresh.remote_password = username, password
        await fresh.gather_candidates()
        given_up, self._coming = self._coming, fresh
        if given_up is not None:
            await given_up.close()
        return fresh

    async def prove(self, fresh: HeardConnection) -> bool:
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
