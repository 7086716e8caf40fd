"""What comes in SDP: a session's offer, and the fragments that bring late candidates (RFC 8840)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from aiortc import RTCIceCandidate
from aiortc.sdp import SessionDescription, candidate_from_sdp

from engine.errors import VivifyError
from webrtc.rtc.negotiation import BadOffer, Fitted, UnfitOffer, Use, check_codecs, fit, hidden


class BadFragment(VivifyError):
    """The SDP fragment cannot be read."""


@dataclass(frozen=True, slots=True)
class Offer:
    """What an SDP offer asks for, and what of it is taken."""

    fitted: Fitted
    kinds: tuple[str, ...]  # of the media lines that are taken: audio, video
    has_channel: bool
    credentials: tuple[str | None, str | None]  # ICE user name fragment and password
    candidates: int


def read_offer(sdp: str, use: Use) -> Offer:
    """Raises BadOffer for what is no session description, UnfitOffer for one that ``use`` cannot take."""
    try:
        SessionDescription.parse(sdp)
        fitted = fit(sdp, use)
        parsed = SessionDescription.parse(fitted.sdp)
        check_codecs(parsed)
        ice = parsed.media[0].ice
        assert ice is not None
        return Offer(
            fitted,
            tuple(m.kind for m in parsed.media if m.kind in ("audio", "video")),
            any(m.kind == "application" for m in parsed.media),
            (ice.usernameFragment, ice.password),
            sum(len(m.ice_candidates) for m in parsed.media),
        )
    except (BadOffer, UnfitOffer):
        raise
    except Exception as error:  # aiortc's parser raises whatever its lines of code happen to
        raise BadOffer(unreadable(error)) from error


@dataclass(frozen=True, slots=True)
class Fragment:
    """What ``application/trickle-ice-sdpfrag`` (RFC 8840, section 9) holds."""

    credentials: tuple[str | None, str | None]
    candidates: tuple[RTCIceCandidate, ...]
    complete: bool


def read_fragment(text: str) -> Fragment:
    """Raises BadFragment for what is none."""
    values: dict[str, str] = {}
    mid: str | None = None
    candidates: list[RTCIceCandidate] = []
    complete = hides = False
    for line in filter(None, text.splitlines()):
        if not re.match(r"[a-z]=", line):
            raise BadFragment("An SDP fragment was expected to consist of lines such as a=candidate:..., others came.")
        name, _, value = line[2:].partition(":")
        if line.startswith("m="):
            mid = None
        elif name in ("ice-ufrag", "ice-pwd"):
            values.setdefault(name, value)
        elif name == "mid":
            mid = value
        elif name == "candidate":
            if hidden(f"a={line[2:]} "):
                hides = True
            else:
                candidates.append(_candidate(value, mid))
        elif name == "end-of-candidates":
            complete = True
    if not values and not candidates and not complete and not hides:
        raise BadFragment("An SDP fragment was expected to hold candidates, but there is none in it.")
    return Fragment((values.get("ice-ufrag"), values.get("ice-pwd")), tuple(candidates), complete)


def _candidate(value: str, mid: str | None) -> RTCIceCandidate:
    if mid is None:
        raise BadFragment("A candidate was expected to follow the a=mid line it belongs to, but there is none.")
    try:
        candidate = candidate_from_sdp(value)
    except (AssertionError, ValueError, IndexError):
        raise BadFragment("An SDP fragment was expected to hold candidates, but one cannot be read.") from None
    candidate.sdpMid = mid
    return candidate


def unreadable(error: Exception) -> str:
    """The sentence for an offer that a parser gave up on."""
    return f"The SDP was expected to be a WebRTC offer, but it cannot be read ({short(error)})."


def short(error: Exception) -> str:
    """An exception of somebody else's in a few words."""
    return f"{type(error).__name__}: {error}"[:120].splitlines()[0]
