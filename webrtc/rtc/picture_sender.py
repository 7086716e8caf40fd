"""aiortc's sender, which sends a whole picture when a viewer needs one, not only when its request gets through.

aiortc makes one for each request that comes, and else one in 3,000: where the request is lost, the last picture
stands for two minutes.
"""

from __future__ import annotations

import time
from typing import Any

from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters
from aiortc.rtcrtpsender import RTCEncodedFrame, RTCRtpSender
from aiortc.rtp import AnyRtcpPacket, RtcpRrPacket, RtcpSrPacket

from webrtc.media.keyframes import Keyframes


class PictureSender(RTCRtpSender):
    """As aiortc's; of sound, too."""

    def __init__(self, trackOrKind: MediaStreamTrack | str, transport: RTCDtlsTransport) -> None:
        super().__init__(trackOrKind, transport)
        self._keyframes = Keyframes() if self.kind == "video" else None

    def whole_picture(self) -> None:
        """The next picture is to be a whole one: for servers that hand pictures on and never ask."""
        self._send_keyframe()

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if self._keyframes is not None and isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._keyframes.reported(report.packets_lost, time.monotonic())
        await super()._handle_rtcp_packet(packet)

    def _send_keyframe(self) -> None:
        """A request came: aiortc would make every next picture a whole one, as often as somebody asks."""
        if self._keyframes is not None:
            self._keyframes.asked(time.monotonic())

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        if self._keyframes is not None and self._keyframes.due(time.monotonic()):
            super()._send_keyframe()
        encoded: Any = await super()._next_encoded_frame(codec)
        return encoded  # type: ignore[no-any-return]
