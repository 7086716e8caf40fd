"""A voice's packets, in whatever order they come, made sound with a place in time.

Each packet is decoded as it comes and nothing waits. A hole before it is concealed. A packet that comes after all into
a hole is decoded in its place, and so is once more everything behind it: codecs remember, and sound that was decoded
behind a hole is not quite the sender's. The line behind (`webrtc.media.voice_line`) mends what has not left yet.
Pure logic: no clock is read here.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np

from webrtc.media.concealment import JOIN, PcmArray, joined
from webrtc.media.packet_order import MAX_GAP, Kind, PacketOrder, VoicePacket, stamps_between
from webrtc.media.voice_decoders import BadSound, Decoder, MakeDecoder, decoder
from webrtc.media.voice_line import VoicePiece

KEPT = 64  # packets (1.3 s) back to the oldest hole that is still waited for
REDONE = 1000  # packets a second that may be decoded once more, lest a flood of late ones takes the processor
BEFORE = 16  # packets that may come after the very first one and belong before it


@dataclass(slots=True)
class _Heard:
    """A packet that came. With ``state``, a hole follows: the decoder as it was at its beginning."""

    order: int
    begin: int
    length: int
    packet: VoicePacket | None  # None: nothing, the hole before the very first packet
    state: Any = None

    @property
    def end(self) -> int:
        return self.begin + self.length


class VoiceStream:
    """`push` takes packets and gives the pieces of sound that come of each, by the sender's time in samples."""

    def __init__(self, make: MakeDecoder = decoder) -> None:
        self._make = make
        self._order = PacketOrder()
        self._codec = ""
        self._decoder: Decoder | None = None
        self._heard: list[_Heard] = []  # from the oldest open hole on, by order
        self._stray: VoicePacket | None = None
        self._may_redo = float(REDONE)
        self._pushed = 0.0

    def push(self, packet: VoicePacket, now: float) -> list[VoicePiece]:
        """A packet came at ``now`` (seconds). One that its codec cannot read counts as lost."""
        kind = self._order.kind(packet, lambda order: self._before(order) is not None)
        if kind is Kind.KNOWN:
            return []
        if kind is Kind.LATE:
            self._may_redo = min(self._may_redo + REDONE * max(now - self._pushed, 0.0), REDONE)
            self._pushed = now
            return self._insert(packet)
        stray, self._stray = self._stray, packet if kind is Kind.STRAY else None
        if kind is Kind.NEWER:
            return self._append(packet, now)
        if stray is None or not self._order.follows(stray, packet):
            return []
        self._stray = None
        return self._append(stray, now) + self._append(packet, now)

    def _append(self, packet: VoicePacket, now: float) -> list[VoicePiece]:
        if not self._heard:
            self._begin(packet)
        place = self._order.place(packet, now)
        last = self._heard[-1]
        hole = place.gap > 0 and place.order > last.order + 1
        before = self._state() if place.gap or packet.codec != self._codec else None
        try:
            sound = self._sound(packet, place.gap, after=place.lost)
        except BadSound:
            if before is not None:
                self._restore(before)
            return []
        if hole:
            last.state = before
        heard = _Heard(place.order, last.end + place.gap, len(sound) - place.gap, packet)
        self._heard.append(heard)
        self._order.advance(packet, place.order, heard.length, now)
        self._forget()
        return [VoicePiece(last.end, sound, place.gap, place.lost)]

    def _begin(self, packet: VoicePacket) -> None:
        """The very first packet comes next: there may be others before it."""
        self._switch(packet.codec)
        self._order.order = BEFORE
        self._heard = [_Heard(0, 0, 0, None, self._state())]

    def _insert(self, packet: VoicePacket) -> list[VoicePiece]:
        """It belongs into an open hole."""
        order = self._order.order_of(packet)
        at = self._before(order)
        assert order is not None
        assert at is not None
        now, known = self._state(), list(self._heard)
        begin = self._beginning(packet, order, at)
        self._heard.insert(at + 1, _Heard(order, begin, self._heard[at + 1].begin - begin, packet))
        whole = self._may_redo >= len(known) - at
        self._may_redo -= len(known) - at if whole else 0
        try:
            pieces = self._again_from(at, None if whole else at + 2)
        except BadSound:
            self._restore(now)
            self._heard = known
            return []
        if not whole:
            self._restore(now)
        self._order.remember(packet)
        self._forget()
        return pieces

    def _beginning(self, packet: VoicePacket, order: int, at: int) -> int:
        """Where in the hole behind ``at`` a packet begins: by the stamps of its neighbours, else by its order."""
        first, behind = self._heard[at], self._heard[at + 1]
        least = first.end if first.packet is not None else behind.begin - MAX_GAP
        for neighbour in (behind, first):
            if neighbour.packet is not None:
                apart = stamps_between(neighbour.packet, packet)
                if apart is not None and least <= (begin := neighbour.begin + apart) < behind.begin:
                    return begin
        back = (behind.order - order) / (behind.order - first.order - 1)
        return behind.begin - round(back * (behind.begin - least))

    def _again_from(self, at: int, end: int | None) -> list[VoicePiece]:
        """Decode everything behind ``at`` once more, up to ``end``; what stands next to it has just come."""
        self._restore(self._heard[at].state)
        pieces = []
        for last, heard in pairwise(self._heard[at:end]):
            gap = heard.begin - last.end if last.packet is not None else 0
            hole = heard.order > last.order + 1 and (gap > 0 or last.packet is None)
            last.state = self._state() if hole else None
            assert heard.packet is not None
            sound = self._sound(heard.packet, gap, after=hole)[: gap + heard.length]
            late = last is self._heard[at]
            heard.length = len(sound) - gap
            pieces.append(VoicePiece(heard.begin - gap, sound, gap, hole, late=late, again=not late))
        return pieces

    def _sound(self, packet: VoicePacket, gap: int, after: bool) -> PcmArray:
        """What a hole probably held, and the packet behind it; ``after``: packets were lost in it. Raises BadSound."""
        old = self._decoder
        assert old is not None
        if packet.codec == self._codec:
            head = old.conceal(gap, packet.data if after else None) if gap else np.zeros(0, np.int16)
            return np.concatenate([head, old.decode(packet.data)])
        head, tail = old.conceal(gap), old.conceal(JOIN)
        pcm = self._switch(packet.codec).decode(packet.data)
        return np.concatenate([head, joined(tail[: len(pcm)], pcm)])

    def _switch(self, codec: str) -> Decoder:
        self._codec, self._decoder = codec, self._make(codec)
        return self._decoder

    def _state(self) -> Any:
        return self._codec, None if self._decoder is None else self._decoder.state()

    def _restore(self, state: Any) -> None:
        codec, inner = state
        if codec != self._codec:
            self._switch(codec)
        assert self._decoder is not None
        self._decoder.restore(inner)

    def _before(self, order: int | None) -> int | None:
        """The place in `_heard` of what stands before the open hole that ``order`` is missing in."""
        for at, (first, behind) in enumerate(pairwise(self._heard)):
            if order is not None and first.order < order < behind.order and first.state is not None:
                return at
        return None

    def _forget(self) -> None:
        """Drop what stands before all open holes, and holes that are too old."""
        del self._heard[:-KEPT]
        first = next((at for at, heard in enumerate(self._heard) if heard.state is not None), len(self._heard) - 1)
        del self._heard[:first]
