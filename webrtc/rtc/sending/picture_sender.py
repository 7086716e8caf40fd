"""aiortc's sender, but for when and where it encodes, and for how packets are made (`webrtc.rtc.sending.outgoing`).

Sound is encoded where it is sent: a fifth of what handing it to a thread and back costs is all that it takes. Pictures
are encoded on threads of their own, which nothing else keeps busy.

A whole picture is sent when a viewer needs one, not only when its request gets through. aiortc makes one for each
request that comes, and else one in 3,000: where the request is lost, the last picture stands for two minutes.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from typing import Any

from aiortc import rtcrtpsender
from aiortc.codecs.base import Encoder
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcdtlstransport import RTCDtlsTransport
from aiortc.rtcrtpparameters import RTCRtpCodecParameters, RTCRtpSendParameters
from aiortc.rtcrtpsender import RTCEncodedFrame, RTCRtpSender
from aiortc.rtp import RTCP_PSFB_APP, AnyRtcpPacket, RtcpPsfbPacket, RtcpRrPacket, RtcpSrPacket, unpack_remb_fci
from av import AudioFrame
from av.packet import Packet

from engine.cores import usable_cores
from webrtc.bounded_transports import BoundedDtls
from webrtc.media.keyframes import Keyframes
from webrtc.rtc.sending.outgoing import Outgoing
from webrtc.rtc.sending.sound_encoder import level_dbov

# What aiortc's reports (RTCP SR) and statistics are made of, under the names that its class gives them.
COUNTED = tuple(f"_RTCRtpSender__{name}" for name in ("ntp_timestamp", "rtp_timestamp", "octet_count", "packet_count"))


@cache
def encoders() -> ThreadPoolExecutor:
    """The threads that encode pictures: a core can do no more than one at a time."""
    return ThreadPoolExecutor(usable_cores(), "encoder")


class PictureSender(RTCRtpSender):
    """As aiortc's; of sound, too."""

    def __init__(self, trackOrKind: MediaStreamTrack | str, transport: RTCDtlsTransport) -> None:
        super().__init__(trackOrKind, transport)
        self._keyframes = Keyframes() if self.kind == "video" else None
        self._encoder: Encoder | None = None
        self._outgoing: Outgoing | None = None  # from `send` on

    async def send(self, parameters: RTCRtpSendParameters) -> None:
        self._outgoing = self._outgoing or Outgoing(self._ssrc, self._rtx_ssrc, parameters)
        await super().send(parameters)

    def whole_picture(self) -> None:
        """The next picture is to be a whole one: for servers that hand pictures on and never ask."""
        self._send_keyframe()

    async def stop(self) -> None:
        await super().stop()
        self._encoder = None  # it holds some MB

    async def _handle_rtcp_packet(self, packet: AnyRtcpPacket) -> None:
        if self._keyframes is not None and isinstance(packet, (RtcpRrPacket, RtcpSrPacket)):
            for report in packet.reports:
                if report.ssrc == self._ssrc:
                    self._keyframes.reported(report.packets_lost, time.monotonic())
        if isinstance(packet, RtcpPsfbPacket) and packet.fmt == RTCP_PSFB_APP:
            self._heed(packet)
        await super()._handle_rtcp_packet(packet)

    def _heed(self, packet: RtcpPsfbPacket) -> None:
        """A receiver says how many bits a second it can take (REMB)."""
        encoder: Any = self._encoder
        with contextlib.suppress(ValueError):
            bitrate, sources = unpack_remb_fci(packet.fci)
            if self._ssrc in sources and hasattr(encoder, "target_bitrate"):
                encoder.target_bitrate = bitrate

    def _send_keyframe(self) -> None:
        """A request came: aiortc would make every next picture a whole one, as often as somebody asks."""
        if self._keyframes is not None:
            self._keyframes.asked(time.monotonic())

    async def _next_encoded_frame(self, codec: RTCRtpCodecParameters) -> None:
        """Send the next frame: nothing of it is left for aiortc to send."""
        if (frame := await self.encoded(codec)) is not None:
            self._leave(frame)

    async def encoded(self, codec: RTCRtpCodecParameters) -> RTCEncodedFrame | None:
        """The next frame of the track, encoded; None where nothing comes of it."""
        data = await self.track.recv()
        if not self._enabled:  # the other side wants nothing just now: what comes is dropped
            return None
        encoder = self._encoder = self._encoder or rtcrtpsender.get_encoder(codec)
        level: Any = None
        if isinstance(data, Packet):  # encoded already
            payloads, stamp = encoder.pack(data)
        elif isinstance(data, AudioFrame):
            level = level_dbov(data)
            payloads, stamp = encoder.encode(data)
        else:
            whole = self._keyframes is not None and self._keyframes.due(time.monotonic())
            work = partial(encoder.encode, data, whole)
            payloads, stamp = await asyncio.get_running_loop().run_in_executor(encoders(), work)
        return RTCEncodedFrame(payloads, stamp, level) if payloads else None

    def _leave(self, frame: RTCEncodedFrame) -> None:
        """Send it now, and let aiortc's reports know. Raises ConnectionError."""
        outgoing, transport = self._outgoing, self.transport
        assert outgoing is not None
        assert isinstance(transport, BoundedDtls)
        transport.send_media(outgoing.pack(frame.payloads, frame.timestamp, frame.audio_level))
        counted = (outgoing.left, outgoing.stamp, outgoing.octets, outgoing.packets)
        vars(self).update(zip(COUNTED, counted, strict=True))

    async def _retransmit(self, sequence_number: int) -> None:
        transport = self.transport
        assert isinstance(transport, BoundedDtls)
        if self._outgoing is not None and (packet := self._outgoing.again(sequence_number)) is not None:
            transport.send_media([packet])
