"""A bad network for trials: a UDP relay between a client and its server that loses packets, both ways, or delays some.

It stands in the place of the server's address in the answer, so that everything (ICE, DTLS, sound, pictures) goes
through it; nothing of either side is changed.
"""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any


class Relay:
    """Loses ``loss`` (0..1) of the packets of each direction. One relay carries one connection.

    With ``voice_only`` that befalls nothing but the client's media; so does ``late_s``, by which a ``late_share`` of
    it comes later, behind its successors.
    """

    def __init__(
        self, loss: float, seed: int = 0, voice_only: bool = False, late_share: float = 0.0, late_s: float = 0.0
    ) -> None:
        self.loss = loss
        self.reports_lost: frozenset[int] = frozenset()  # kinds of RTCP of the client's that are, see RFC 3550, 4585
        self.cut_off = False  # the server's media are all lost
        self._voice_only = voice_only
        self._late_share, self._late_s = late_share, late_s
        self.passed = self.lost = 0
        self._random = random.Random(seed)
        self._near: _Side | None = None  # towards the client
        self._far: _Side | None = None  # towards the server
        self._client: tuple[Any, ...] | None = None

    @staticmethod
    def hide(offer: str) -> str:
        """An offer without addresses: the server learns the client's from what comes through the relay."""
        return re.sub(r"a=(candidate:.*|end-of-candidates)\r\n", "", offer)

    async def stand_in(self, answer: str) -> str:
        """An answer whose only address is the relay's. Opens the relay's sockets."""
        hosts = re.findall(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host", answer)
        host, port = hosts[0]
        loop = asyncio.get_running_loop()
        _, self._near = await loop.create_datagram_endpoint(lambda: _Side(self._from_client), (host, 0))
        _, self._far = await loop.create_datagram_endpoint(
            lambda: _Side(self._from_server), (host, 0), remote_addr=(host, int(port))
        )
        own = self._near.transport.get_extra_info("sockname")[1]
        line = f"a=candidate:1 1 udp 2130706431 {host} {own} typ host\r\n"
        bare = self.hide(answer)
        return re.sub(r"(a=ice-pwd:.*\r\n)", rf"\1{line}a=end-of-candidates\r\n", bare)

    def close(self) -> None:
        for side in (self._near, self._far):
            if side is not None:
                side.transport.close()

    def _from_client(self, data: bytes, address: tuple[Any, ...]) -> None:
        self._client = address
        if 128 <= data[0] < 192 and data[1] in self.reports_lost:
            return
        media = 128 <= data[0] < 192 and not 192 <= data[1] <= 223  # RFC 5761, section 4
        if self._far is None or not (self._survives() if media or not self._voice_only else True):
            return
        if media and self._random.random() < self._late_share:
            asyncio.get_running_loop().call_later(self._late_s, self._far.transport.sendto, data)
        else:
            self._far.transport.sendto(data)

    def _from_server(self, data: bytes, _: tuple[Any, ...]) -> None:
        if self.cut_off and 128 <= data[0] < 192:
            return
        if self._near is not None and self._client is not None and (self._voice_only or self._survives()):
            self._near.transport.sendto(data, self._client)

    def _survives(self) -> bool:
        if self._random.random() < self.loss:
            self.lost += 1
            return False
        self.passed += 1
        return True


class _Side(asyncio.DatagramProtocol):
    transport: asyncio.DatagramTransport

    def __init__(self, came: Any) -> None:
        self._came = came

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, address: tuple[Any, ...]) -> None:
        self._came(data, address)
