"""What we change about aiortc, in one place: bitrates, and buffers that do not make sound and pictures wait.

aiortc keeps its bitrates as module constants and looks its jitter buffer up by name in the receiver's module; both
are set here, once, through public names.
"""

from __future__ import annotations

from aiortc import RTCConfiguration, RTCIceServer, rtcrtpreceiver
from aiortc.codecs import h264, vpx
from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt

from engine.types import FRAMES_PER_SECOND
from webrtc.config import IceServer

START_BITRATE = 1_500_000  # bits per second: 512 x 512 is sharp (VP8 quantizer about 10 of 127)
LEAST_BITRATE = 800_000  # a receiver that asks for less gets this
MOST_BITRATE = 2_500_000


class VoiceBuffer(JitterBuffer):
    """Hands every packet on as it comes; one that comes after a later one counts as lost.

    aiortc's own buffer holds voice back by four packets (80 ms), and by up to sixteen (320 ms) for the rest of the
    session once a packet was lost. Here the delay line behind it (`webrtc.playout`) already waits, for the pictures.
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


def tune_aiortc() -> None:
    """Set our bitrates and buffers for every connection of this process. Calling it again changes nothing."""
    vpx.DEFAULT_BITRATE = h264.DEFAULT_BITRATE = START_BITRATE
    vpx.MIN_BITRATE = h264.MIN_BITRATE = LEAST_BITRATE
    vpx.MAX_BITRATE = h264.MAX_BITRATE = MOST_BITRATE
    h264.MAX_FRAME_RATE = FRAMES_PER_SECOND
    rtcrtpreceiver.JitterBuffer = _buffer  # type: ignore[assignment,misc]


def configuration(servers: tuple[IceServer, ...]) -> RTCConfiguration:
    """Of a connection that asks these STUN and TURN servers, and, unlike aiortc's default, no public one."""
    return RTCConfiguration(iceServers=[RTCIceServer(s.url, s.username, s.credential) for s in servers])


def no_servers() -> RTCConfiguration:
    """Host candidates only."""
    return configuration(())
