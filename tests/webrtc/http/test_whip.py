"""WHIP and WHEP, section by section of RFC 9725 and draft-ietf-wish-whep, against a real server and engine."""

from __future__ import annotations

import asyncio
import json
import re
import time

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.rtcicetransport import candidate_to_aioice
from serving import Running, running
from whip_peers import FRAGMENT, SDP, Reply, Watcher, ask, ask_async, fragment, negotiate

import webrtc.rtc.peer_connection
from clients.microphone import Microphone
from clients.recording import _locate, _thin
from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.ice_restart import connection_of
from webrtc.rtc.ice_servers import configuration, no_servers
from webrtc.rtc.peer_connection import MOST_CANDIDATES
from webrtc.rtc.session_description import read_fragment
from webrtc.server_config import IceServer

pytestmark = pytest.mark.net

TOKEN = "a-token-of-good-length"
AVATAR = "astronaut"
SPEECH_S = 2.5
MATCH = 0.5  # of a voice whose pauses a busy machine may have lengthened


def offer(*lines: tuple[str, str], channel: bool = False) -> str:
    """An SDP offer of these (kind, direction) lines."""

    async def make() -> str:
        pc = RTCPeerConnection(no_servers())
        for kind, direction in lines:
            pc.addTransceiver(kind, direction=direction)
        if channel:
            pc.createDataChannel("control")
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    return asyncio.run(make())


@pytest.fixture(scope="module")
def voice_offer() -> str:
    return offer(("audio", "sendonly"))


def publish(server: Running, sdp: str, path: str = f"/whip/{AVATAR}") -> Reply:
    return ask("POST", server.url + path, sdp.encode(), SDP)


def patch(server: Running, opened: Reply, text: str, **headers: str) -> Reply:
    sent = {"Content-Type": FRAGMENT, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return ask("PATCH", server.url + opened.headers["location"], text.encode(), sent)


def end(server: Running, opened: Reply) -> None:
    assert ask("DELETE", server.url + opened.headers["location"]).status == 200


def told(reply: Reply) -> str:
    body = json.loads(reply.body)
    assert list(body) == ["error"]
    assert re.fullmatch(r"[A-Z].*[.]", body["error"]), body
    return body["error"]


def test_publishing_answers_created(server: Running, voice_offer: str) -> None:
    """Section 4.2: 201, an SDP answer, a Location; the answer only receives. Section 4.3.1: a strong ETag.
    Section 4.3.2: the answer holds all candidates. Section 4.4.1: bundled, RTP and RTCP multiplexed."""
    opened = publish(server, voice_offer)
    assert opened.status == 201
    assert opened.headers["content-type"] == "application/sdp"
    assert re.fullmatch(r"/whip/session/[\w-]{16}", opened.headers["location"])
    assert re.fullmatch(r'"[^"]+"', opened.headers["etag"])
    assert re.fullmatch(r'</whep/[\w-]{16}>; rel="whep"', *opened.links), "section 4.6: no ICE servers are configured"
    answer = opened.body.decode()
    assert answer.startswith("v=0")
    assert re.findall(r"a=(sendrecv|sendonly|recvonly|inactive)", answer) == ["recvonly"]
    for line in (
        "a=candidate:",
        "a=end-of-candidates",
        "a=group:BUNDLE",
        "a=rtcp-mux\r",
        "a=rtcp-mux-only",
        "a=setup:active",
    ):
        assert line in answer
    end(server, opened)
    assert server.sessions == 0


def test_an_offer_to_send_and_receive_is_only_received(server: Running) -> None:
    """Section 4.2: a client may offer sendrecv; the answer is recvonly all the same."""
    opened = publish(server, offer(("audio", "sendrecv")))
    assert opened.status == 201
    assert "a=recvonly" in opened.body.decode()
    end(server, opened)


def test_a_client_of_the_dtls_client_role_is_served(server: Running, voice_offer: str) -> None:
    """Section 4.4.4: an offer may say setup:active; the answer is then passive."""
    opened = publish(server, voice_offer.replace("a=setup:actpass", "a=setup:active"))
    assert opened.status == 201
    assert "a=setup:passive" in opened.body.decode()
    end(server, opened)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ("", 400),
        ("no sdp at all", 400),
        ("v=0\r\nm=audio\r\n", 400),
        (b"\xff\xfe", 400),
        ("x" * 70_000, 413),
    ],
)
def test_a_malformed_offer_is_refused(server: Running, body: str | bytes, status: int) -> None:
    """Section 4.2: 400 for an SDP body that is malformed."""
    data = body if isinstance(body, bytes) else body.encode()
    reply = ask("POST", f"{server.url}/whip/{AVATAR}", data, SDP)
    assert reply.status == status, reply
    told(reply)
    assert server.sessions == 0


@pytest.mark.parametrize(
    "lines",
    [
        [("video", "sendonly")],
        [("audio", "recvonly")],
        [("audio", "inactive")],
        [],
    ],
)
def test_lines_that_are_not_supported_refuse_the_whole(server: Running, lines: list[tuple[str, str]]) -> None:
    """Sections 4.4.2 and 4.4.3: 422 where there is no voice to take, never half an answer.
    Section 4.2: recvonly and inactive must not be offered."""
    reply = publish(server, offer(*lines, channel=not lines))
    assert reply.status == 422
    told(reply)
    assert server.sessions == 0


@pytest.mark.parametrize("more", ["audio", "video"])
def test_what_is_published_beyond_a_voice_is_declined(server: Running, more: str) -> None:
    """As OBS publishes: sound and picture. The sound is the voice, the picture is rejected in its place."""
    opened = publish(server, offer(("audio", "sendonly"), (more, "sendonly")))
    assert opened.status == 201
    lines = re.findall(r"(?m)^m=(\w+) (\d+)", opened.body.decode())
    assert [(kind, port == "0") for kind, port in lines] == [("audio", False), (more, True)]
    end(server, opened)


def test_other_media_types_are_refused(server: Running, voice_offer: str) -> None:
    """Section 4.2: 415 for anything but application/sdp; section 4.3.1: the same for a PATCH."""
    wrong = {"Content-Type": "application/json"}
    reply = ask("POST", f"{server.url}/whip/{AVATAR}", voice_offer.encode(), wrong)
    assert (reply.status, reply.headers["accept-post"]) == (415, "application/sdp")
    opened = publish(server, voice_offer)
    reply = ask("PATCH", server.url + opened.headers["location"], b"a=ice-ufrag:x", {**wrong, "If-Match": "*"})
    assert (reply.status, reply.headers["accept-patch"]) == (415, FRAGMENT)
    end(server, opened)


def test_options_tells_what_is_taken_and_opens_nothing(server: Running) -> None:
    """Section 4.2: OPTIONS is 200 with Accept-Post; foreign pages are let in nowhere unless configured."""
    asked = {"Origin": "https://elsewhere.example", "Access-Control-Request-Method": "POST"}
    for path in (f"/whip/{AVATAR}", "/whep/any"):
        reply = ask("OPTIONS", server.url + path, headers=asked)
        assert (reply.status, reply.headers["accept-post"]) == (200, "application/sdp")
        assert not [name for name in reply.headers if name.startswith("access-control")]
    for path in ("/whip/session/any", "/whep/any/any"):
        assert ask("OPTIONS", server.url + path).headers["accept-patch"] == FRAGMENT


def test_get_has_nothing_to_show_and_other_methods_are_reserved(server: Running, voice_offer: str) -> None:
    """Section 4.1: GET succeeds without content. RFC 9110, section 15.5.6: 405 for what a resource does not know."""
    opened = publish(server, voice_offer)
    for path in (f"/whip/{AVATAR}", opened.headers["location"]):
        for method in ("GET", "HEAD"):
            reply = ask(method, server.url + path)
            assert (reply.status, reply.body) == (204, b"")
        assert ask("PUT", server.url + path, b"x").status == 405
    end(server, opened)
    assert ask("GET", server.url + opened.headers["location"]).status == 404


def test_deleting_ends_the_session(server: Running, voice_offer: str) -> None:
    """Section 4.2: DELETE on the session URL removes it. Section 4.3.1: an entity tag sent with it is ignored."""
    opened = publish(server, voice_offer)
    url = server.url + opened.headers["location"]
    assert server.sessions == 1
    assert ask("DELETE", url, headers={"If-Match": '"another"'}).status == 200
    assert server.sessions == 0
    assert ask("DELETE", url).status == 404


def test_a_patch_needs_the_entity_tag(server: Running, voice_offer: str) -> None:
    """Section 4.3.2: 428 without If-Match, 412 with another tag, 204 and no ETag with the right one."""
    opened = publish(server, voice_offer)
    text = fragment(voice_offer)
    assert patch(server, opened, text).status == 428
    assert patch(server, opened, text, If_Match='"another"').status == 412
    assert patch(server, opened, text, If_Match=f"W/{opened.headers['etag']}").status == 412
    reply = patch(server, opened, text, If_Match=opened.headers["etag"])
    assert (reply.status, reply.body) == (204, b"")
    assert "etag" not in reply.headers
    end(server, opened)


def test_candidates_that_cannot_be_used_are_passed_over(server: Running, voice_offer: str) -> None:
    """Section 4.3.2: 204 for transports not supported and addresses that cannot be resolved; 4.3.1: 400 for junk."""
    opened = publish(server, voice_offer)
    tag = opened.headers["etag"]
    good = "m=audio 9 RTP/AVP 0\r\na=mid:0\r\na=candidate:{}\r\n"
    for candidate in (
        "1 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active",
        "2 1 udp 2122260223 no-such-host.invalid 9 typ host",
        "3 1 udp 2122260223 192.0.2.1 9 typ carrier-pigeon",
    ):
        assert patch(server, opened, good.format(candidate), If_Match=tag).status == 204
    for junk in ("", "hello", "a=mid:0\r\n", good.format("x"), "a=candidate:1 1 udp 1 192.0.2.1 9 typ host\r\n"):
        reply = patch(server, opened, junk, If_Match=tag)
        assert reply.status == 400, junk
        told(reply)
    many = good.format("1 1 udp 1 192.0.2.1 9 typ host") * (MOST_CANDIDATES + 1)
    assert patch(server, opened, many, If_Match=tag).status == 400
    assert server.sessions == 1, "a bad fragment must not end the session"
    end(server, opened)


def test_an_ice_restart_that_cannot_be_done_is_refused_and_the_session_goes_on(
    server: Running, voice_offer: str
) -> None:
    """Section 4.3.3: a restart that cannot be satisfied gets an error, and must not end the session at once."""
    opened = publish(server, voice_offer)
    reply = patch(server, opened, "a=ice-ufrag:ysXw\r\na=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r\n", If_Match="*")
    assert reply.status == 422, "nothing is connected yet"
    assert "goes on" in told(reply)
    for junk in (
        "a=ice-ufrag:ysXw\r\n",
        "a=ice-ufrag:ysXw\r\na=ice-pwd:short\r\n",
        "a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k",
    ):
        assert patch(server, opened, junk, If_Match="*").status == 400
    assert server.sessions == 1
    end(server, opened)


async def test_ice_is_restarted_beneath_a_running_session(server: Running) -> None:
    """Section 4.3.3: If-Match "*" and new credentials; 200 with the fragment of the other side and a new ETag, which
    later candidates must name (4.3.1). What is heard and seen goes on."""
    publisher = RTCPeerConnection(no_servers())
    microphone = Microphone(read_speech(assets() / "speech.wav", VOICE_RATE), 0.0, again=True)
    publisher.addTrack(microphone)
    microphone.start()
    opened = await negotiate(publisher, server.url, f"/whip/{AVATAR}")
    session = opened.headers["location"].rsplit("/", 1)[1]
    watcher = Watcher()
    seen = await negotiate(watcher.pc, server.url, f"/whep/{session}")
    await watcher.seen(5)
    stream = server.service.sessions[session]
    for pc, reply in ((publisher, opened), (watcher.pc, seen)):
        tag = reply.headers["etag"]
        mine = connection_of(pc)
        fresh = await mine.restart("unknown", "until the answer has come")
        login = f"a=ice-ufrag:{fresh.local_username}\r\na=ice-pwd:{fresh.local_password}\r\n"
        restarted = await asyncio.to_thread(patch, server, reply, login, If_Match="*")
        assert restarted.status == 200
        assert restarted.headers["content-type"].startswith(FRAGMENT)
        assert restarted.headers["etag"] != tag
        theirs = read_fragment(restarted.body.decode())
        assert theirs.complete
        assert theirs.candidates
        fresh.remote_username, fresh.remote_password = theirs.credentials
        for candidate in (*theirs.candidates, None):
            await fresh.add_remote_candidate(candidate and candidate_to_aioice(candidate))
        late = "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\na=mid:0\r\n"
        late += "".join(f"a=candidate:{candidate.to_sdp()}\r\n" for candidate in fresh.local_candidates)
        assert (await asyncio.to_thread(patch, server, reply, late, If_Match=tag)).status == 412
        late += "a=end-of-candidates\r\n"
        assert (await asyncio.to_thread(patch, server, reply, late, If_Match=restarted.headers["etag"])).status == 204
        async with asyncio.timeout(10):
            assert await mine.prove(fresh)
        heard = stream.stats()["voice_ms"]["received"]
        await watcher.seen(len(watcher.pictures) + 30)
        assert stream.stats()["voice_ms"]["received"] > heard + 500
        assert pc.connectionState == "connected"
    await asyncio.to_thread(end, server, opened)
    await publisher.close()
    await watcher.close()


def test_tokens_are_bearer_tokens() -> None:
    """Section 4.7.1: Bearer tokens on endpoint and session; a preflight carries none."""
    with running(token=TOKEN) as server:
        for method, path in (("POST", f"/whip/{AVATAR}"), ("DELETE", "/whip/session/x"), ("POST", "/whep/x")):
            reply = ask(method, server.url + path, b"", SDP)
            assert (reply.status, reply.headers["www-authenticate"]) == (401, "Bearer")
        assert ask("OPTIONS", f"{server.url}/whip/{AVATAR}").status == 200
        right = {**SDP, "Authorization": f"Bearer {TOKEN}"}
        assert ask("POST", f"{server.url}/whip/{AVATAR}", b"", right).status == 400


def test_ice_servers_are_told_where_there_are_some(voice_offer: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Section 4.6: each in a Link header of the 201, with its credentials; not in a preflight's answer.
    A configured origin may call from its page (section 4.2, CORS)."""
    servers = (IceServer("stun:127.0.0.1:9"), IceServer("turn:127.0.0.1:9?transport=udp", "me", "secret"))
    told = [
        '<stun:127.0.0.1:9>; rel="ice-server"',
        '<turn:127.0.0.1:9?transport=udp>; rel="ice-server"; '
        'username="me"; credential="secret"; credential-type="password"',
    ]
    asked = [(s.urls, s.username, s.credential) for s in configuration(servers).iceServers or []]
    assert asked == [("stun:127.0.0.1:9", None, None), ("turn:127.0.0.1:9?transport=udp", "me", "secret")]
    monkeypatch.setattr(
        webrtc.rtc.peer_connection, "configuration", lambda servers: no_servers()
    )  # nobody answers there: 5 s
    with running(ice_servers=servers, origins=("https://studio.example",)) as server:
        opened = publish(server, voice_offer)
        assert opened.links[:2] == told
        reply = ask("OPTIONS", f"{server.url}/whip/{AVATAR}", headers={"Origin": "https://studio.example"})
        assert not reply.links
        assert reply.headers["access-control-allow-origin"] == "https://studio.example"
        assert "Location" in reply.headers["access-control-expose-headers"]
        reply = ask("OPTIONS", f"{server.url}/whip/{AVATAR}", headers={"Origin": "https://else.example"})
        assert "access-control-allow-origin" not in reply.headers
    for junk in ("http://x", "stun:x>; rel=y", 'turn:x"', "stun:"):
        with pytest.raises(VivifyError, match="ICE server"):
            IceServer(junk)
    with pytest.raises(VivifyError, match="no quotes"):
        IceServer("turn:x", 'a"b', "c")


def test_a_full_server_says_when_to_come_back(voice_offer: str) -> None:
    """Section 4.5: 503 with Retry-After."""
    with running(max_sessions=1, max_viewers=1) as server:
        opened = publish(server, voice_offer)
        reply = publish(server, voice_offer)
        assert reply.status == 503
        assert int(reply.headers["retry-after"]) > 0
        path = f"/whep/{opened.headers['location'].rsplit('/', 1)[1]}"
        watch = offer(("video", "recvonly"))
        first = publish(server, watch, path)
        assert first.status == 201
        assert publish(server, watch, path).status == 503
        end(server, first)
        again = publish(server, watch, path)
        assert again.status == 201, "a viewer that left gives its place back"
        end(server, again)


def test_unknown_names_are_not_found(server: Running, voice_offer: str) -> None:
    reply = publish(server, voice_offer, "/whip/nobody")
    assert reply.status == 404
    told(reply)
    assert publish(server, voice_offer, f"/whip/{AVATAR}?look_ahead_ms=81").status == 400
    assert server.sessions == 0


@pytest.mark.parametrize(
    ("lines", "status"),
    [
        ([("audio", "recvonly"), ("video", "recvonly")], 201),
        ([("audio", "recvonly")], 201),
        ([("video", "sendrecv")], 201),
        ([("video", "sendonly")], 422),
        ([("video", "recvonly"), ("video", "recvonly")], 201),
    ],
)
def test_watching_answers_to_send(server: Running, voice_offer: str, lines: list[tuple[str, str]], status: int) -> None:
    """WHEP, section 4.2: 201 with an answer that only sends; 422 for what cannot be watched so."""
    opened = publish(server, voice_offer)
    name = opened.headers["location"].rsplit("/", 1)[1]
    reply = publish(server, offer(*lines), f"/whep/{name}")
    assert reply.status == status, reply
    if status == 201:
        directions = re.findall(r"a=(sendrecv|sendonly|recvonly|inactive)", reply.body.decode())
        doubled = lines[:1] == lines[1:]
        assert directions == ["sendonly", "inactive"] if doubled else ["sendonly"] * len(lines)
        assert re.fullmatch(rf"/whep/{name}/[\w-]{{16}}", reply.headers["location"])
        assert ask("GET", server.url + reply.headers["location"]).status == 204
        end(server, reply)
        assert ask("DELETE", server.url + reply.headers["location"]).status == 404
    assert server.sessions == 1, "a viewer's going must not end the session"
    end(server, opened)


def test_a_viewer_who_comes_before_the_speaker_is_told_when_to_ask_again(server: Running, voice_offer: str) -> None:
    """WHEP, section 4.2: 409 with Retry-After; and the same address once somebody speaks."""
    watch = offer(("video", "recvonly"))
    early = publish(server, watch, "/whep/stage")
    assert (early.status, early.headers["retry-after"]) == (409, "2")
    told(early)
    opened = publish(server, voice_offer, f"/whip/{AVATAR}?watch=stage")
    assert opened.links == ['</whep/stage>; rel="whep"']
    assert publish(server, watch, "/whep/stage").status == 201
    taken = publish(server, voice_offer, f"/whip/{AVATAR}?watch=stage")
    assert taken.status == 409
    assert "Another session" in told(taken)
    assert publish(server, voice_offer, f"/whip/{AVATAR}?watch=%2e%2e").status == 400
    end(server, opened)
    assert publish(server, watch, "/whep/stage").status == 409
    assert server.sessions == 0


async def test_one_publishes_two_watch(server: Running) -> None:
    """End to end: a voice goes in by WHIP with trickled candidates, two see and hear the face by WHEP."""
    speech = read_speech(assets() / "speech.wav", VOICE_RATE)
    begin = max(int(np.flatnonzero(np.abs(speech) > 0.05)[0]) - VOICE_RATE // 10, 0)
    speech = speech[begin : begin + int(SPEECH_S * VOICE_RATE)]
    microphone = Microphone(speech, 1.0)
    publisher = RTCPeerConnection(no_servers())
    publisher.addTransceiver(microphone, direction="sendonly")
    opened = await negotiate(publisher, server.url, f"/whip/{AVATAR}", trickle=True)
    name = opened.headers["location"].rsplit("/", 1)[1]
    watchers = [Watcher(), Watcher()]
    for watcher, trickle in zip(watchers, (False, True), strict=True):
        await negotiate(watcher.pc, server.url, f"/whep/{name}", trickle)
    never = await ask_async("POST", f"{server.url}/whep/{name}", offer_of(watchers[0]), SDP)
    assert never.status == 201, "one who never connects must not hold the others up"
    for watcher in watchers:
        await watcher.seen(5)
    microphone.start()
    started = len(watchers[0].pictures)
    async with asyncio.timeout(30):
        while microphone.spoken_s < 1.0 + SPEECH_S + 1.0:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    stats = server.service.sessions[name].stats()
    assert stats["frames"]["shown"] > 25
    assert "encode" in stats["stages_ms"]
    assert (await ask_async("DELETE", server.url + opened.headers["location"])).status == 200
    for watcher in watchers:
        async with asyncio.timeout(10):
            await watcher.ended.wait()
        check(watcher, speech, started)
        await watcher.close()
    await publisher.close()
    assert server.sessions == 0


def offer_of(watcher: Watcher) -> bytes:
    return watcher.pc.localDescription.sdp.encode()


def check(watcher: Watcher, speech: np.ndarray, started: int) -> None:
    """The speech came back as loud as it went, and the mouth moved with it."""
    sent = _thin(np.round(32767 * speech).astype(np.int16))
    came = _thin(np.concatenate(watcher.sound))
    _, match = _locate(came, sent, 0, len(came) / 16_000)
    assert match > MATCH
    shown = np.stack(watcher.pictures[started:]).astype(float)
    assert shown.shape[1:] == (512, 512)
    mouth, corner = shown[:, 330:420, 210:310], shown[:, :60, :60]
    assert np.abs(np.diff(mouth, axis=0)).mean() > 3 * np.abs(np.diff(corner, axis=0)).mean()
    steps = np.diff(watcher.times[started:])
    assert np.allclose(steps, np.round(steps / 0.040) * 0.040, atol=1e-4), "pictures stand on the 25 fps grid"
    assert (steps > 0).all()


async def test_a_talk_over_the_page_can_be_watched(server: Running) -> None:
    """A two-way session has viewers too; without a data channel its media starts with the connection."""
    pc = RTCPeerConnection(no_servers())
    microphone = Microphone(np.zeros(VOICE_RATE, np.float32), 0.0)
    pc.addTrack(microphone)
    pc.addTransceiver("video", direction="recvonly")
    await pc.setLocalDescription(await pc.createOffer())
    body = json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode()
    reply = await ask_async("POST", f"{server.url}/api/session", body, {"Content-Type": "application/json"})
    answer = json.loads(reply.body)
    assert reply.headers["etag"]
    watcher = Watcher(("video",))
    await negotiate(watcher.pc, server.url, f"/whep/{answer['session']}")
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    microphone.start()
    await watcher.seen(25)
    assert not watcher.sound
    peer = server.service.sessions[answer["session"]]
    await watcher.close()
    until = time.monotonic() + 10
    while peer.viewers and time.monotonic() < until:  # noqa: ASYNC110  # the server runs on another thread's loop
        await asyncio.sleep(0.05)
    assert not peer.viewers, "a viewer that closes its connection gives its place back"
    assert (await ask_async("DELETE", f"{server.url}/api/session/{answer['session']}")).status == 204
    await pc.close()
