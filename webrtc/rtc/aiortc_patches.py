"""What we change about aiortc, in one place: bitrates, VP8 encoder, buffers that make nothing wait, ICE, ciphers.

aiortc keeps its bitrates as module constants and looks its encoder, jitter buffer and ICE connection up by name in its
modules; they are set here, once. Only its list of ciphers has no public name.
"""

from __future__ import annotations

import os
from typing import Any

from aiortc import (
    RTCCertificate,
    RTCConfiguration,
    RTCIceServer,
    RTCRtpCodecParameters,
    rtcicetransport,
    rtcrtpreceiver,
    rtcrtpsender,
)
from aiortc.codecs import get_encoder, h264, vpx
from aiortc.codecs.base import Encoder
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt
from av import CodecContext, VideoFrame
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext
from OpenSSL import SSL

from engine.contracts import FRAMES_PER_SECOND
from webrtc.rtc.ice_restart import RestartableConnection
from webrtc.server_config import IceServer

START_BITRATE = 1_500_000  # bits per second: 512 x 512 is sharp (VP8 quantizer about 10 of 127)
LEAST_BITRATE = 800_000  # a receiver that asks for less gets this
MOST_BITRATE = 2_500_000
# aiortc's own, for certificates on elliptic curves, and the same for RSA, which GStreamer's clients have.
_KEY_EXCHANGES = ("ECDHE-ECDSA", "ECDHE-RSA")
CIPHERS = [
    f"{exchange}-{cipher}"
    for exchange in _KEY_EXCHANGES
    for cipher in ("AES128-GCM-SHA256", "CHACHA20-POLY1305", "AES128-SHA", "AES256-SHA")
]
LEAST_CHANGE = 0.1  # of the bitrate, before an encoder is made anew: that costs a whole picture


class VoiceBuffer(JitterBuffer):
    """Hands every packet on as it comes; one that comes after a later one counts as lost.

    aiortc's own buffer holds voice back by four packets (80 ms), and by up to sixteen (320 ms) for the rest of the
    session once a packet was lost. Here the delay line behind it (`webrtc.media.playout`) already waits, for the
    pictures.
    """

    def __init__(self) -> None:
        super().__init__(capacity=1)
        self._last: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if self._last is not None and not uint16_gt(packet.sequence_number, self._last):
            return False, None
        self._last = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]  # set by the receiver


class PictureBuffer(JitterBuffer):
    """Puts pictures together and hands each on with its last packet, not with the first of the next picture.

    aiortc's own buffer costs a receiver one picture (40 ms). Packets lost for good are passed over, and a whole
    picture asked for, once `PATIENCE` later ones have come.
    """

    PATIENCE = 256

    def __init__(self) -> None:
        super().__init__(capacity=1)
        self._waiting: dict[int, RtpPacket] = {}
        self._next: int | None = None  # sequence number the next picture begins with

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if self._next is None:
            self._next = packet.sequence_number
        if uint16_gt(self._next, packet.sequence_number):
            return False, None
        self._waiting[packet.sequence_number] = packet
        if len(self._waiting) <= self.PATIENCE:
            return False, self._take()
        self._next = uint16_add(packet.sequence_number, 1)
        self._waiting.clear()
        return True, None

    def _take(self) -> JitterFrame | None:
        """The picture that begins at `_next`, if all of it is here."""
        assert self._next is not None
        parts: list[RtpPacket] = []
        while (packet := self._waiting.get(uint16_add(self._next, len(parts)))) is not None:
            parts.append(packet)
            if packet.marker:
                for part in parts:
                    del self._waiting[part.sequence_number]
                self._next = uint16_add(packet.sequence_number, 1)
                data = b"".join(part._data for part in parts)  # type: ignore[attr-defined]
                return JitterFrame(data, packet.timestamp)
        return None


def _buffer(capacity: int, prefetch: int = 0, is_video: bool = False) -> JitterBuffer:
    return PictureBuffer() if is_video else VoiceBuffer()


class PictureEncoder(vpx.Vp8Encoder):
    """aiortc's VP8 encoder without its noise filter, and a step faster.

    The filter takes grain of cameras for noise; a drawn face has none, and lost 5 dB by it (PSNR 43.7 against 48.6 at
    1.5 Mbit/s and 512 x 512), at a third more time.
    """

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert isinstance(frame, VideoFrame)
        codec = self.codec
        if codec is not None and (frame.width, frame.height) != (codec.width, codec.height):
            codec = None
        if codec is None or abs(self.target_bitrate - (codec.bit_rate or 0)) > LEAST_CHANGE * (codec.bit_rate or 0):
            self.codec = _vp8(frame.width, frame.height, self.target_bitrate)
        return super().encode(frame, force_keyframe)


def _vp8(width: int, height: int, bitrate: int) -> VideoCodecContext:
    """A constant-bitrate encoder for live pictures."""
    codec = CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.bit_rate, codec.pix_fmt = width, height, bitrate, "yuv420p"
    codec.gop_size = 3000  # a whole picture only when somebody asks for one
    codec.qmin, codec.qmax = 2, 56
    codec.thread_count = vpx.number_of_threads(width * height, os.cpu_count() or 1)
    rate = str(bitrate)
    codec.options = {
        "deadline": "realtime",
        "cpu-used": "-8",
        "lag-in-frames": "0",
        "noise-sensitivity": "0",
        "static-thresh": "1",
        "partitions": "0",
        **dict.fromkeys(("bufsize", "minrate", "maxrate"), rate),  # a buffer of a second, and no less nor more
        "overshoot-pct": "15",
        "undershoot-pct": "100",
    }
    return codec


def _encoder(codec: RTCRtpCodecParameters) -> Encoder:
    return PictureEncoder() if codec.mimeType.lower() == "video/vp8" else get_encoder(codec)


_ssl_context = RTCCertificate._create_ssl_context


def _with_our_ciphers(certificate: RTCCertificate, srtp_profiles: Any) -> SSL.Context:
    context = _ssl_context(certificate, srtp_profiles)
    context.set_cipher_list(":".join(CIPHERS).encode())
    return context


def tune_aiortc() -> None:
    """Set all of it for every connection of this process. Calling it again changes nothing."""
    rtcrtpsender.get_encoder = _encoder
    vpx.DEFAULT_BITRATE = h264.DEFAULT_BITRATE = START_BITRATE
    vpx.MIN_BITRATE = h264.MIN_BITRATE = LEAST_BITRATE
    vpx.MAX_BITRATE = h264.MAX_BITRATE = MOST_BITRATE
    h264.MAX_FRAME_RATE = FRAMES_PER_SECOND
    RTCCertificate._create_ssl_context = _with_our_ciphers  # type: ignore[assignment,method-assign]
    rtcicetransport.Connection = RestartableConnection  # type: ignore[assignment,misc]
    rtcrtpreceiver.JitterBuffer = _buffer  # type: ignore[assignment,misc]


def configuration(servers: tuple[IceServer, ...]) -> RTCConfiguration:
    """Of a connection that asks these STUN and TURN servers, and, unlike aiortc's default, no public one."""
    return RTCConfiguration(iceServers=[RTCIceServer(s.url, s.username, s.credential) for s in servers])


def no_servers() -> RTCConfiguration:
    """Host candidates only."""
    return configuration(())
