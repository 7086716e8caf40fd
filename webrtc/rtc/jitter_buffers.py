"""Jitter buffers that make nothing wait: what came goes on at once, the playout clock behind them does the waiting."""

from __future__ import annotations

from aiortc.jitterbuffer import JitterBuffer, JitterFrame
from aiortc.rtp import RtpPacket
from aiortc.utils import uint16_add, uint16_gt


class VoiceBuffer(JitterBuffer):
    """Hands every packet on as it comes; one that comes after a later one counts as lost: it serves our own clients.
    What a session hears never comes here (`webrtc.rtc.voice_receiver`).

    aiortc's own buffer holds voice back by four packets (80 ms), and by up to sixteen (320 ms) for the rest of the
    session once a packet was lost. Here the delay line behind it (`webrtc.media.playout`) already waits, for the
    pictures.
    """

    def __init__(self) -> None:
        super().__init__(capacity=1)
        self._last: int | None = None

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if not packet._data:  # type: ignore[attr-defined]  # set by the receiver
            return False, None  # another has taken it
        if self._last is not None and not uint16_gt(packet.sequence_number, self._last):
            return False, None
        self._last = packet.sequence_number
        return False, JitterFrame(packet._data, packet.timestamp)  # type: ignore[attr-defined]


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
        self._ends = 0  # last packets among those that wait: without one, no picture is whole

    def add(self, packet: RtpPacket) -> tuple[bool, JitterFrame | None]:
        if self._next is None:
            self._next = packet.sequence_number
        if uint16_gt(self._next, packet.sequence_number):
            return False, None
        self._ends += packet.marker if packet.sequence_number not in self._waiting else 0
        self._waiting[packet.sequence_number] = packet
        if len(self._waiting) <= self.PATIENCE:
            return False, self._take() if self._ends else None
        self._next = uint16_add(packet.sequence_number, 1)
        self._waiting.clear()
        self._ends = 0
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
                self._next, self._ends = uint16_add(packet.sequence_number, 1), self._ends - 1
                data = b"".join(part._data for part in parts)  # type: ignore[attr-defined]
                return JitterFrame(data, packet.timestamp)
        return None


def jitter_buffer(capacity: int, prefetch: int = 0, is_video: bool = False) -> JitterBuffer:
    """Takes aiortc's own arguments."""
    return PictureBuffer() if is_video else VoiceBuffer()
