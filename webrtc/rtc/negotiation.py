"""Which lines of an offer are taken, and how the others are declined (RFC 3264 section 6, JSEP section 5.3.1).

aiortc answers every line it is given and receives what comes there. So it is given the lines that are used and no
others; the rest, such as a camera or a second microphone, come back in the answer as rejected, in their places.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from aiortc import RTCRtpCodecParameters
from aiortc.codecs import CODECS
from aiortc.rtcpeerconnection import find_common_codecs
from aiortc.sdp import SessionDescription

from engine.errors import VivifyError

Use = Literal["two-way", "publish", "watch"]  # the page's session, WHIP, WHEP
STATIC = {"0": "PCMU/8000", "8": "PCMA/8000", "9": "G722/8000"}  # payload types that need no rtpmap (RFC 3551)
SPOKEN = {"audio": "Opus, G.722 and G.711", "video": "VP8 and H.264 (constrained baseline, packetization-mode 1)"}
_TRANSPORT = ("ice-ufrag", "ice-pwd", "candidate", "fingerprint", "setup", "ice-options")


class BadOffer(VivifyError):
    """The session description is not one a browser would send."""


class UnfitOffer(VivifyError):
    """A session description that can be read, but asks for what is not offered here."""


@dataclass(slots=True)
class Section:
    """One ``m=`` line of a session description and what belongs to it."""

    lines: list[str]

    @property
    def kind(self) -> str:
        return self.lines[0][2:].split(" ", 1)[0]

    @property
    def rejected(self) -> bool:
        """Port 0, and not because it shares another line's."""
        port = self.lines[0].split()[1].split("/")[0]
        return port == "0" and "a=bundle-only" not in self.lines

    @property
    def mid(self) -> str:
        return self.value("mid") or ""

    @property
    def direction(self) -> str:
        found = {"sendrecv", "sendonly", "recvonly", "inactive"} & {line[2:] for line in self.lines}
        return found.pop() if found else "sendrecv"

    def value(self, name: str) -> str | None:
        return next((line.partition(":")[2] for line in self.lines if line.startswith(f"a={name}:")), None)

    def declined(self) -> str:
        """It as an answer rejects it."""
        kind, _, protocol, formats = self.lines[0][2:].split(" ", 3)
        lines = [f"m={kind} 0 {protocol} {formats}", "c=IN IP4 0.0.0.0", "a=inactive"]
        return "".join(f"{line}\r\n" for line in [*lines, *([f"a=mid:{self.mid}"] if self.mid else [])])


@dataclass(slots=True)
class Fitted:
    """An offer cut down to what is used; `answer` puts the rest back as declined."""

    sdp: str
    _sections: list[tuple[Section, bool]]  # and whether each is taken
    _bundled: bool

    def answer(self, sdp: str) -> str:
        """The answer to the whole offer, of the answer ``sdp`` to what was taken."""
        head, sections = split(sdp)
        if not self._bundled:
            head = [line for line in head if not line.startswith("a=group:BUNDLE")]
        answered = iter("".join(f"{line}\r\n" for line in section.lines) for section in sections)
        rest = (next(answered) if taken else section.declined() for section, taken in self._sections)
        return "".join(f"{line}\r\n" for line in head) + "".join(rest)


def split(sdp: str) -> tuple[list[str], list[Section]]:
    """A description's own lines, and its sections."""
    head: list[str] = []
    sections: list[Section] = []
    for line in filter(None, sdp.splitlines()):
        if line.startswith("m="):
            sections.append(Section([line]))
        else:
            (sections[-1].lines if sections else head).append(line)
    return head, sections


def fit(sdp: str, use: Use) -> Fitted:
    """Cut an offer down to the lines that ``use`` takes. BadOffer for none, UnfitOffer for unfit ones."""
    head, sections = split(sdp)
    if not sections:
        raise BadOffer("The SDP was expected to be a WebRTC offer, but there is no media in it.")
    taken = _chosen(sections, use)
    _lend_transport(sections, taken)
    for section in taken:
        _complete(section)
    left = {section.mid for section in sections} - {section.mid for section in taken}
    bundle = next((line for line in head if line.startswith("a=group:BUNDLE")), None)
    lines = []
    for line in head:
        if line.startswith("a=group:"):
            kept = [word for word in line.split() if word not in left]
            line = " ".join(kept)
        lines.append(line)
    body = [line for section in taken for line in section.lines]
    fitted = "".join(f"{line}\r\n" for line in lines + body)
    return Fitted(fitted, [(section, section in taken) for section in sections], bundle is not None)


def _chosen(sections: list[Section], use: Use) -> list[Section]:
    alive = [section for section in sections if not section.rejected]
    sends = [s for s in alive if s.kind == "audio" and s.direction in ("sendrecv", "sendonly")]
    hears = [s for s in alive if s.kind == "audio" and s.direction in ("sendrecv", "recvonly")]
    sees = [s for s in alive if s.kind == "video" and s.direction in ("sendrecv", "recvonly")]
    channels = [s for s in alive if s.kind == "application"]
    both = [s for s in sends if s in hears]
    match use:
        case "two-way":
            wanted = (both or hears)[:1] + sees[:1] + channels[:1]
            need = "one audio line that receives, and one video line that receives"
            fine = bool(hears and sees)
        case "publish":
            wanted, need, fine = sends[:1] + channels[:1], "one audio line that sends", bool(sends)
        case "watch":
            wanted, need = hears[:1] + sees[:1], "an audio or a video line that receives"
            fine = bool(wanted)
    if not fine:
        raise UnfitOffer(f"The offer was expected to hold {need}, but it holds {_listed(alive)}: ask for it.")
    return [section for section in sections if section in wanted]


def _listed(sections: list[Section]) -> str:
    """What lines there are, in words."""
    return ", ".join(f"{s.kind} ({s.direction})" for s in sections if s.kind in ("audio", "video")) or "neither"


def _lend_transport(sections: list[Section], taken: list[Section]) -> None:
    """A bundle's transport is told by its first line: where that is declined, the first one taken gets it."""
    if not taken or not sections or sections[0] in taken:
        return
    own = {line[2:].partition(":")[0] for line in taken[0].lines}
    for line in sections[0].lines:
        name = line[2:].partition(":")[0]
        if name in _TRANSPORT and name not in own:
            taken[0].lines.append(line)


def _complete(section: Section) -> None:
    """Name static payload types; leave out what cannot be used here.

    Names in .local say nothing to us, and whoever hides behind one reaches us: its address is seen then. So none is
    looked up, and the list of candidates counts as open, or ICE would give up before anybody has knocked.
    """
    named = {line[9:].split(" ")[0] for line in section.lines if line.startswith("a=rtpmap:")}
    for payload in section.lines[0].split()[3:]:
        if section.kind == "audio" and payload in STATIC and payload not in named:
            section.lines.append(f"a=rtpmap:{payload} {STATIC[payload]}")
    section.lines = [line for line in section.lines if line != "a=end-of-candidates" and not hidden(line)]


def hidden(line: str) -> bool:
    """Whether a line is a candidate whose address is a name of multicast DNS."""
    return re.match(r"a=candidate:\S+ \S+ \S+ \S+ \S+\.local ", line) is not None


def check_codecs(parsed: SessionDescription) -> None:
    """Raises UnfitOffer for media in forms that are not spoken here, or whose RTCP wants a port of its own."""
    for media in parsed.media:
        if media.kind not in ("audio", "video"):
            continue
        if not media.rtcp_mux:
            raise UnfitOffer("RTCP was expected on the port of the media (a=rtcp-mux), but the offer wants one apart.")
        if not find_common_codecs(CODECS[media.kind], media.rtp.codecs):
            offered = ", ".join(dict.fromkeys(map(_described, media.rtp.codecs))) or "nothing"
            raise UnfitOffer(f"For {media.kind} {SPOKEN[media.kind]} were expected, but the offer holds {offered}.")


def _described(codec: RTCRtpCodecParameters) -> str:
    told = [
        f"{key}={codec.parameters[key]}"
        for key in ("profile-level-id", "packetization-mode")
        if key in codec.parameters
    ]
    return f"{codec.name} ({', '.join(told)})" if told else codec.name
