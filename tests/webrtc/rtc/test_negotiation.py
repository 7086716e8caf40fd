"""Offers as other programs make them: each is answered as the standards say, or refused by what it offers."""

from __future__ import annotations

import re

import pytest

from webrtc.rtc.negotiation import BadOffer, UnfitOffer, Use, fit, hidden
from webrtc.rtc.session_description import read_fragment, read_offer

pytestmark = pytest.mark.cpu

TRANSPORT = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:" + "p" * 22,
    "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
    "a=setup:actpass",
)
OPUS, VP8 = ("111", "opus/48000/2"), ("96", "VP8/90000")


def line(
    kind: str,
    mid: str,
    codec: tuple[str, str | None],
    direction: str,
    *more: str,
    port: int = 9,
    transport: bool = True,
) -> str:
    payload, name = codec
    lines = [f"m={kind} {port} UDP/TLS/RTP/SAVPF {payload}", "c=IN IP4 0.0.0.0", f"a=mid:{mid}", f"a={direction}"]
    lines += [*(TRANSPORT if transport else ()), "a=rtcp-mux", *([f"a=rtpmap:{payload} {name}"] if name else []), *more]
    return "".join(f"{one}\r\n" for one in lines)


def offer(*lines: str, bundle: str | None = "0 1", ends: str = "\r\n") -> str:
    head = ["v=0", "o=- 1 1 IN IP4 127.0.0.1", "s=-", "t=0 0", *([f"a=group:BUNDLE {bundle}"] if bundle else [])]
    return ("".join(f"{one}\r\n" for one in head) + "".join(lines)).replace("\r\n", ends)


VOICE, FACE = line("audio", "0", OPUS, "sendrecv"), line("video", "1", VP8, "recvonly")
H264 = ("102", "H264/90000")


@pytest.mark.parametrize(
    ("sdp", "use", "kinds", "declined"),
    [
        (offer(VOICE, FACE), "two-way", ("audio", "video"), []),
        (offer(FACE, VOICE), "two-way", ("video", "audio"), []),
        (offer(VOICE, FACE, ends="\n"), "two-way", ("audio", "video"), []),
        (offer(VOICE, line("video", "1", VP8, "sendrecv")), "two-way", ("audio", "video"), []),
        (offer(VOICE, FACE, line("video", "2", VP8, "sendrecv"), bundle="0 1 2"), "two-way", ("audio", "video"), ["2"]),
        (offer(VOICE, line("audio", "2", OPUS, "sendrecv"), FACE), "two-way", ("audio", "video"), ["2"]),
        (offer(VOICE, FACE, line("video", "2", VP8, "inactive", port=0)), "two-way", ("audio", "video"), ["2"]),
        (offer(VOICE, line("video", "1", VP8, "recvonly", "a=bundle-only", port=0)), "two-way", ("audio", "video"), []),
        (offer(line("audio", "0", ("8", None), "sendrecv"), FACE), "two-way", ("audio", "video"), []),
        (
            offer(line("audio", "0", OPUS, "sendonly"), line("video", "1", H264, "sendonly")),
            "publish",
            ("audio",),
            ["1"],
        ),
        (
            offer(line("video", "1", H264, "sendonly"), line("audio", "0", OPUS, "sendonly")),
            "publish",
            ("audio",),
            ["1"],
        ),
        (offer(line("audio", "0", OPUS, "recvonly"), line("video", "1", VP8, "sendonly")), "watch", ("audio",), ["1"]),
    ],
)
def test_what_is_used_is_taken_and_the_rest_declined_in_its_place(
    sdp: str, use: Use, kinds: tuple[str, ...], declined: list[str]
) -> None:
    read = read_offer(sdp, use)
    assert read.kinds == kinds
    answer = read.fitted.answer(read.fitted.sdp)
    order = re.findall(r"(?m)^a=mid:(\S+)", answer)
    assert order == re.findall(r"(?m)^a=mid:(\S+)", sdp.replace("\n", "\r\n")), "every line keeps its place"
    rejected = [
        m.split("a=mid:")[1].split()[0] for m in re.split(r"(?m)^(?=m=)", answer)[1:] if re.match(r"m=\w+ 0 ", m)
    ]
    bundle_only = ["1"] if "bundle-only" in sdp else []
    assert rejected in (declined, bundle_only)
    group = re.search(r"a=group:BUNDLE (.*)\r", read.fitted.sdp)
    assert group is not None
    assert not set(group[1].split()) & set(declined), "what is declined is in no bundle"


def test_a_group_that_was_not_offered_is_not_answered() -> None:
    read = read_offer(offer(VOICE, FACE, bundle=None), "two-way")
    assert "BUNDLE" not in read.fitted.answer(offer(VOICE, FACE))


def test_a_bundles_transport_moves_to_the_first_line_that_is_taken() -> None:
    first = line("video", "1", H264, "sendonly", "a=candidate:1 1 udp 1 127.0.0.1 5000 typ host")
    read = read_offer(offer(first, line("audio", "0", OPUS, "sendonly", transport=False), bundle="1 0"), "publish")
    assert read.credentials == ("abcd", "p" * 22)
    assert read.candidates == 1


@pytest.mark.parametrize(
    ("video", "named"),
    [
        (line("video", "1", ("98", "VP9/90000"), "recvonly"), "VP9"),
        (line("video", "1", ("45", "AV1/90000"), "recvonly"), "AV1"),
        (line("video", "1", ("49", "H265/90000"), "recvonly"), "H265"),
        (
            line("video", "1", H264, "recvonly", "a=fmtp:102 packetization-mode=1;profile-level-id=640c1f"),
            "profile-level-id=640c1f",
        ),
        (
            line("video", "1", H264, "recvonly", "a=fmtp:102 packetization-mode=0;profile-level-id=42e01f"),
            "packetization-mode=0",
        ),
    ],
)
def test_codecs_that_are_not_spoken_are_named(video: str, named: str) -> None:
    with pytest.raises(UnfitOffer, match=rf"VP8 and H\.264 .* were expected, but the offer holds .*{named}"):
        read_offer(offer(VOICE, video), "two-way")


@pytest.mark.parametrize(
    ("sdp", "use", "sentence"),
    [
        (offer(VOICE), "two-way", r"one audio line that receives, and one video .* it holds audio \(sendrecv\)"),
        (offer(line("audio", "0", OPUS, "recvonly")), "publish", r"one audio line that sends, .* audio \(recvonly\)"),
        (offer(line("video", "1", VP8, "sendonly")), "watch", r"that receives, but it holds video \(sendonly\)"),
        (offer(VOICE.replace("a=rtcp-mux\r\n", ""), FACE), "two-way", "RTCP was expected on the port of the media"),
    ],
)
def test_what_cannot_be_used_is_refused_by_what_it_is(sdp: str, use: Use, sentence: str) -> None:
    with pytest.raises(UnfitOffer, match=sentence):
        read_offer(sdp, use)


@pytest.mark.parametrize("sdp", ["", "hello", "v=0\r\n", offer()])
def test_text_without_media_is_no_offer(sdp: str) -> None:
    with pytest.raises(BadOffer):
        read_offer(sdp, "two-way")


def test_names_in_dot_local_are_not_looked_up_and_the_list_stays_open() -> None:
    name = "00000000-1111-4222-8333-444444444444.local"
    more = f"a=candidate:1 1 udp 2113937151 {name} 54321 typ host", "a=end-of-candidates"
    fitted = fit(offer(line("audio", "0", OPUS, "sendrecv", *more), FACE), "two-way")
    assert ".local" not in fitted.sdp
    assert "end-of-candidates" not in fitted.sdp
    read = read_fragment(
        f"a=ice-ufrag:abcd\r\nm=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:1 1 udp 1 {name} 9 typ host\r\n"
    )
    assert read.candidates == ()
    assert not hidden("a=candidate:1 1 udp 1 127.0.0.1 9 typ host")
