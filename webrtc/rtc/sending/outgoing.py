"""RTP packets of one source, all of a picture's at a time; the last of them are kept to be sent again.

aiortc makes, extends and protects one packet after the other, in some fifty calls each: a third of all that a server
did beside encoding. What is the same in all packets of a picture is made once here (RFC 3550, section 5.1; RFC 8285).
"""

from __future__ import annotations

from struct import Struct

from aiortc import clock
from aiortc.codecs import is_rtx
from aiortc.rtcrtpparameters import RTCRtpSendParameters
from aiortc.rtp import RTP_HISTORY_SIZE, HeaderExtensions, HeaderExtensionsMap
from aiortc.utils import random16, random32

HEADER = Struct("!BBHLL")  # version and flags, marker and payload type, number, time stamp, source
EXTENSION = Struct("!HH")
NUMBER = Struct("!H")
EXTENDED, PLAIN = 0x90, 0x80
MARKER = 0x80  # the last packet of a picture


class Outgoing:
    """Numbers, stamps and extends the packets of a source, and counts them for its reports."""

    def __init__(self, source: int, repeating: int, parameters: RTCRtpSendParameters) -> None:
        """``repeating`` is the source of packets that are sent again, where ``parameters`` know of any (RFC 4588)."""
        self.packets = self.octets = 0  # so far; of payloads
        self.stamp = self.left = 0  # of the last: on its own clock, and on NTP's
        self._source, self._repeating = source, repeating
        self._mid = parameters.muxId
        self._extensions = HeaderExtensionsMap()
        self._extensions.configure(parameters)
        first, *others = parameters.codecs
        types = [c.payloadType for c in others if is_rtx(c) and c.parameters["apt"] == first.payloadType]
        self._type, self._again = first.payloadType or 0, types[0] if types else None
        self._number = random16() % 0x8000  # in the lower half, as aiortc's: one that wraps soon breaks some decryption
        self._number_again = random16() % 0x8000
        self._origin = random32()
        self._kept: dict[int, bytes] = {}

    def pack(self, payloads: list[bytes], stamp: int, level: int | None) -> list[bytes]:
        """The packets of one picture or piece of sound at ``stamp``; ``level`` is how loud it is, in dBov."""
        self.left = clock.current_ntp_time()
        self.stamp = (self._origin + stamp) & 0xFFFFFFFF
        values = HeaderExtensions(abs_send_time=self.left >> 14 & 0xFFFFFF, mid=self._mid)
        if level is not None:
            values.audio_level = (False, -level)
        profile, extension = self._extensions.set(values)
        behind = EXTENSION.pack(profile, len(extension) >> 2) + extension if extension else b""
        flags, last = EXTENDED if extension else PLAIN, len(payloads) - 1
        out = []
        for place, payload in enumerate(payloads):
            number = self._number
            self._number = (number + 1) & 0xFFFF
            kind = self._type | MARKER if place == last else self._type
            packet = HEADER.pack(flags, kind, number, self.stamp, self._source) + behind + payload
            self._kept[number % RTP_HISTORY_SIZE] = packet
            self.octets += len(payload)
            out.append(packet)
        self.packets += len(out)
        return out

    def again(self, number: int) -> bytes | None:
        """A packet to be sent again; None for one that is not kept any more."""
        packet = self._kept.get(number % RTP_HISTORY_SIZE)
        if packet is None or packet[2:4] != NUMBER.pack(number):
            return None
        if self._again is None:
            return packet
        flags, kind, _, stamp, _ = HEADER.unpack_from(packet)
        head = HEADER.size
        if flags == EXTENDED:
            head += EXTENSION.size + 4 * EXTENSION.unpack_from(packet, head)[1]
        first = HEADER.pack(flags, kind & MARKER | self._again, self._number_again, stamp, self._repeating)
        self._number_again = (self._number_again + 1) & 0xFFFF
        return first + packet[HEADER.size : head] + packet[2:4] + packet[head:]
