"""Which place a voice's packet has among the others, by its numbers and time stamps, past restarts of either.

A sender may be replaced (another SSRC), number its packets anew, let its time stamps jump, change its codec and with it
the clock of its time stamps. The voice goes on after each of these; what merely comes behind its successor is told
from them. Pure logic: no clock is read here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum

from webrtc.media.concealment import RATE

MAX_GAP = RATE  # samples that time stamps may leave out; a longer jump says nothing of time
FEW = 16  # numbers that may be missing to be believed where time stamps tell nothing
EARLY = RATE // 10  # a pause by the time stamps may be so much longer than the time that passed, for jitter's sake
CLOCKS = (48_000, 8_000, 16_000)  # Hz: on a change of codec some senders count on by the old codec's clock
REMEMBERED = 512  # packets by which one sent twice is known


@dataclass(frozen=True, slots=True)
class VoicePacket:
    """As much of an RTP packet as counts here."""

    source: int  # SSRC
    number: int  # 16 bits
    stamp: int  # 32 bits, at ``rate``
    codec: str  # in small letters
    rate: int  # Hz of the stamps
    data: bytes


@dataclass(frozen=True, slots=True)
class Place:
    """Where a packet goes that is newer than all others."""

    order: int  # the packets' own count: missing ones are counted in
    gap: int  # samples between the end of the newest packet and this one
    lost: bool  # packets are missing in the gap; otherwise the sender paused


class Kind(Enum):
    NEWER = 1
    LATE = 2  # it fills a hole
    KNOWN = 3  # it came before
    STRAY = 4  # it fits nowhere: the first of a sender that began anew, if the next one follows it


class PacketOrder:
    """Remembers the newest packet. `kind`, then `place`, then `advance` once its sound is known."""

    def __init__(self) -> None:
        self.order = 0  # the newest packet's
        self._newest: VoicePacket | None = None
        self._length = 0  # samples of its sound
        self._came = 0.0
        self._left: tuple[VoicePacket, int] | None = None  # the last packet before a sender began anew, and its order
        self._recent: deque[tuple[int, int, int]] = deque(maxlen=REMEMBERED)

    def kind(self, packet: VoicePacket, in_hole: Callable[[int], bool]) -> Kind:
        """``in_hole`` tells whether a packet of some order is missing."""
        newest = self._newest
        if newest is None:
            return Kind.NEWER
        order = self.order_of(packet)
        if packet.source == newest.source and order is not None and order > self.order:
            return Kind.NEWER
        if _identity(packet) in self._recent:
            return Kind.KNOWN
        if order is not None and in_hole(order):
            return Kind.LATE
        if packet.source != newest.source:
            return Kind.STRAY if self._left is not None and packet.source == self._left[0].source else Kind.NEWER
        later = stamps_between(newest, packet)
        if later is not None and 0 < later <= MAX_GAP:
            return Kind.NEWER  # numbered anew while time goes on
        return Kind.STRAY

    def order_of(self, packet: VoicePacket) -> int | None:
        """By its number, counted from the newest packet's, or from the last one's before a sender began anew."""
        newest, left = self._newest, self._left
        assert newest is not None
        if packet.source == newest.source:
            ahead = _ahead(packet, newest)
            later = stamps_between(newest, packet)
            if ahead > 0 or (ahead > -REMEMBERED and (later is None or later < 0)):
                return self.order + ahead
        if left is not None and packet.source == left[0].source:
            ahead = _ahead(packet, left[0])
            if -REMEMBERED < ahead < 0:
                return left[1] + ahead
        return None

    def follows(self, first: VoicePacket, second: VoicePacket) -> bool:
        """Whether two strays are the beginning of a sender that began anew."""
        return first.source == second.source and _ahead(second, first) == 1

    def place(self, packet: VoicePacket, now: float) -> Place:
        """Where it goes, it being newer or the first of a sender that began anew; it came at ``now`` (seconds)."""
        newest = self._newest
        if newest is None or packet.source != newest.source:
            return Place(self.order + 1, 0, False)
        ahead = _ahead(packet, newest)
        missing = max(ahead - 1, 0)
        gap = self._gap(newest, packet, missing, now - self._came)
        if gap is None:
            gap = missing * self._length if missing <= FEW else 0
        return Place(self.order + max(ahead, 1), gap, gap > 0 and ahead != 1)

    def advance(self, packet: VoicePacket, order: int, length: int, now: float) -> None:
        """``packet`` is the newest from now on, ``length`` samples long."""
        newest = self._newest
        if newest is not None and (packet.source != newest.source or _ahead(packet, newest) <= 0):
            self._left = newest, self.order
        self.order, self._newest, self._length, self._came = order, packet, length, now
        self.remember(packet)

    def remember(self, packet: VoicePacket) -> None:
        self._recent.append(_identity(packet))

    def _gap(self, newest: VoicePacket, packet: VoicePacket, missing: int, passed: float) -> int | None:
        """By the time stamps; None where they tell nothing."""
        if (packet.codec, packet.rate) != (newest.codec, newest.rate):
            return None
        ticks = _signed(packet.stamp - newest.stamp, 32)
        step = ticks * RATE // packet.rate
        whole = (missing + 1) * self._length
        if step == whole or (
            any(ticks * RATE // clock == whole for clock in CLOCKS) and passed < step / RATE / 2
        ):  # the latter: by another clock than the codec's, for so much time has not passed
            return missing * self._length
        gap = step - self._length
        believable = max(missing * self._length, round(passed * RATE) - self._length + EARLY)
        return gap if 0 <= gap <= min(MAX_GAP, believable) else None


def _signed(difference: int, bits: int) -> int:
    """The nearest meaning of a difference of numbers that wrap around."""
    half = 1 << bits - 1
    return (difference + half) % (1 << bits) - half


def _ahead(packet: VoicePacket, other: VoicePacket) -> int:
    return _signed(packet.number - other.number, 16)


def _identity(packet: VoicePacket) -> tuple[int, int, int]:
    return packet.source, packet.number, packet.stamp


def stamps_between(earlier: VoicePacket, later: VoicePacket) -> int | None:
    """Samples from one packet's beginning to the other's; None where their stamps cannot be compared."""
    if (earlier.source, earlier.codec, earlier.rate) != (later.source, later.codec, later.rate):
        return None
    return _signed(later.stamp - earlier.stamp, 32) * RATE // later.rate
