"""aiortc's receiver, for one who wants a voice's packets themselves instead of their sound.

aiortc decodes in the order of sequence numbers alone, once for all: what comes late is lost, a new SSRC or numbers that
begin anew are older than what was heard, and a goodbye (RTCP BYE: a browser says it when its microphone is taken away,
and may go on afterwards) ends the track for good.
"""

from __future__ import annotations

from collections.abc import Callable

from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpReceiveParameters
from aiortc.rtcrtpreceiver import RTCRtpReceiver
from aiortc.rtp import AnyRtcpPacket, RtcpByePacket, RtpPacket

from webrtc.media.packet_order import VoicePacket

MOST_SOURCES = 31  # that a receiver report has room for


class VoiceReceiver(RTCRtpReceiver):
    """As aiortc's, until `hand_over`; then its track gives nothing any more, and ends with the connection."""

    def __init__(self, kind: str, transport: RTCDtlsTransport) -> None:
        super().__init__(kind, transport)
        self._take: Callable[[VoicePacket], None] | None = None
        self._by_payload: dict[int, RTCRtpCodecParameters] = {}
        self._sources: set[int] = set()

    def hand_over(self, take: Callable[[VoicePacket], None]) -> None:
        """From now on ``take`` is called with every packet as it comes."""
        self._take = take

    async def receive(self, parameters: RTCRtpReceiveParameters) -> None:
        self._by_payload = {codec.payloadType or 0: codec for codec in parameters.codecs}
        await super().receive(parameters)

    async def _handle_rtp_packet(self, packet: RtpPacket, arrival_time_ms: int) -> None:
        codec = self._by_payload.get(packet.payload_type)
        if self._take is not None and codec is not None:
            if packet.payload and self._enabled:
                name = codec.name.lower()
                self._take(
                    VoicePacket(
                        packet.ssrc, packet.sequence_number, packet.timestamp, name, codec.clockRate, packet.payload
                    )
                )
            packet.payload = b""  # aiortc shall count it, and has nothing left to decode
            if packet.ssrc not in self._sources and len(self._sources) >= MOST_SOURCES:
                return
            self._sources.add(packet.ssrc)
        await super()._handle_rtp_packet(packet, arrival_time_ms)

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if self._take is None or not isinstance(packet, RtcpByePacket):
            await super()._handle_rtcp_packet(packet)
