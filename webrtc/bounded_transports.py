"""Transports that keep to what there is room for.

SCTP: aiortc tells the other side how much it may send, and keeps whatever comes: messages without an end, and pieces of
others in any number, on up to 65,535 streams. What there is no room for is dropped here unacknowledged, as RFC 9260
(section 6.2) lets a receiver do; who means well sends it again.

SRTP: libsrtp and aiortc keep something of every source (SSRC) that ever sent a packet, and look through all of it.
"""

from __future__ import annotations

from typing import Any

import pylibsrtp
from aiortc.rtcdtlstransport import RTCDtlsTransport, State
from aiortc.rtcsctptransport import DataChunk, RTCSctpTransport

ROOM = 1 << 17  # bytes of messages whose end has not come: ours have 4,096 at most
MOST_PIECES = 256  # of them, and of packets that came before their time
MOST_STREAMS = 64
SENT_BYTES, SENT_PACKETS = "_RTCDtlsTransport__tx_bytes", "_RTCDtlsTransport__tx_packets"  # aiortc's own counts
MOST_SOURCES = 256  # of a connection's whole life: one that begins anew has another


class BoundedDtls(RTCDtlsTransport):
    """As aiortc's, with at most `MOST_SOURCES` sources; packets of further ones are dropped."""

    _few: FewSources | None = None

    @property  # type: ignore[override]  # aiortc sets it when the keys are known
    def _rx_srtp(self) -> FewSources | None:
        return self._few

    @_rx_srtp.setter
    def _rx_srtp(self, session: pylibsrtp.Session | None) -> None:
        self._few = None if session is None else FewSources(session)

    def send_media(self, packets: list[bytes]) -> None:
        """RTP packets that belong together, protected and sent. Raises ConnectionError."""
        if self._state != State.CONNECTED:
            raise ConnectionError("RTP was expected to be sent over a connection that stands.")
        protect = self._tx_srtp.protect
        sealed = [protect(packet) for packet in packets]
        connection: Any = self.transport._connection  # `webrtc.rtc.ice_restart`'s
        connection.send_now(sealed)
        counts = vars(self)
        counts[SENT_BYTES] += sum(map(len, sealed))
        counts[SENT_PACKETS] += len(sealed)

    @property
    def sources(self) -> int:
        """That sent something."""
        return 0 if self._few is None else len(self._few.known)


class FewSources:
    """What takes packets' protection off, for so many sources."""

    def __init__(self, session: pylibsrtp.Session) -> None:
        self.known: set[bytes] = set()
        self._session = session

    def unprotect(self, packet: bytes) -> bytes:
        """Raises pylibsrtp.Error, also for one source too many. Nobody counts whose packets are not genuine."""
        source = packet[8:12]
        if source not in self.known and len(self.known) >= MOST_SOURCES:
            raise pylibsrtp.Error("too many sources")
        plain: bytes = self._session.unprotect(packet)
        self.known.add(source)
        return plain

    def unprotect_rtcp(self, packet: bytes) -> bytes:
        """The same of reports, which add no source."""
        plain: bytes = self._session.unprotect_rtcp(packet)
        return plain


class BoundedSctp(RTCSctpTransport):
    """As aiortc's, within `ROOM`, `MOST_PIECES` and `MOST_STREAMS`."""

    def __init__(self, transport: RTCDtlsTransport, port: int = 5000) -> None:
        super().__init__(transport, port)
        self._advertised_rwnd = ROOM

    @property
    def pieces(self) -> int:
        """Of messages that are not whole."""
        return sum(len(stream.reassembly) for stream in self._inbound_streams.values())

    @property
    def streams(self) -> int:
        """On which something came."""
        return len(self._inbound_streams)

    async def _receive_data_chunk(self, chunk: DataChunk) -> None:
        known = chunk.stream_id in self._inbound_streams or self.streams < MOST_STREAMS
        room = self._advertised_rwnd >= len(chunk.user_data)
        few = self.pieces < MOST_PIECES and len(self._sack_misordered) < MOST_PIECES
        if known and room and few:
            await super()._receive_data_chunk(chunk)
