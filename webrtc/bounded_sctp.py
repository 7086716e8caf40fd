"""Data channels whose receiver keeps to what it says it has room for.

aiortc tells the other side how much it may send, and keeps whatever comes: messages without an end, and pieces of
others in any number, on up to 65,535 streams. What there is no room for is dropped here unacknowledged, as RFC 9260
(section 6.2) lets a receiver do; who means well sends it again.
"""

from __future__ import annotations

from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcsctptransport import DataChunk, RTCSctpTransport

ROOM = 1 << 17  # bytes of messages whose end has not come: ours have 4,096 at most
MOST_PIECES = 256  # of them, and of packets that came before their time
MOST_STREAMS = 64


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
