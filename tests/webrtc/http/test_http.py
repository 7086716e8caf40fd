"""The HTTP side against a real server: what is refused, how, and that it goes on serving."""

from __future__ import annotations

import asyncio
import json
import random
import re
import urllib.error
import urllib.request
from typing import Any

import pytest
from aiortc import RTCPeerConnection
from serving import Running, running

from engine.contracts import LOOK_AHEADS_MS
from engine.errors import VivifyError
from webrtc.http.app import PAGE
from webrtc.http.bodies import MAX_BODY
from webrtc.rtc.ice_servers import no_servers
from webrtc.server_config import ServerConfig
from webrtc.upkeep.listening import listen

pytestmark = pytest.mark.net

JSON = {"Content-Type": "application/json"}
TOKEN = "a-token-of-good-length"


def ask(
    url: str, body: bytes | None = None, headers: dict[str, str] | None = None, method: str | None = None
) -> tuple[int, dict[str, str], bytes]:
    request = urllib.request.Request(url, body, headers or {}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=30) as response:
            return response.status, dict(response.headers), response.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()


def post(server: Running, body: object, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], Any]:
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    status, sent, raw = ask(f"{server.url}/api/session", data, headers or JSON)
    return status, sent, json.loads(raw)


def offer_sdp(audio: int = 1, video: int = 1) -> str:
    async def make() -> str:
        pc = RTCPeerConnection(no_servers())
        for _ in range(audio):
            pc.addTransceiver("audio")
        for _ in range(video):
            pc.addTransceiver("video", direction="recvonly")
        pc.createDataChannel("control")
        await pc.setLocalDescription(await pc.createOffer())
        sdp = pc.localDescription.sdp
        await pc.close()
        return sdp

    return asyncio.run(make())


def offer(sdp: str = "v=0\r\n", **more: object) -> dict[str, object]:
    return {"type": "offer", "sdp": sdp, **more}


def told(body: dict[str, str]) -> str:
    """The sentence of a refusal: one, and nothing else beside it."""
    assert list(body) == ["error"]
    assert re.fullmatch(r"[A-Z].*[.]", body["error"]), body
    return body["error"]


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"{", 400),
        (b"\xff\xfe", 400),
        (b"[" * 20_000, 400),
        ([], 400),
        ("offer", 400),
        ({}, 400),
        ({"type": "answer", "sdp": "v=0"}, 400),
        (offer(""), 400),
        (offer("   "), 400),
        ({"type": "offer", "sdp": 7}, 400),
        (offer("no sdp at all"), 400),
        (offer("v=0\r\no=- 1 1 IN IP4 0.0.0.0\r\ns=-\r\nt=0 0\r\n"), 400),
        (offer("v=0\r\nm=audio\r\n"), 400),
        (offer("v=0\r\nm=audio 9 UDP/TLS/RTP/SAVPF 111\r\na=rtpmap:111\r\n"), 400),
        (offer(look_ahead_ms=81), 400),
        (offer(look_ahead_ms="80"), 400),
        (offer(look_ahead_ms=True), 400),
        (offer(look_ahead_ms=1e400), 400),
        (offer(avatar=["x"]), 400),
        (b"x" * (MAX_BODY + 1), 413),
    ],
)
def test_a_bad_request_is_refused_in_a_sentence(server: Running, body: object, status: int) -> None:
    got, headers, answer = post(server, body)
    assert got == status, answer
    told(answer)
    assert headers["content-type"] == "application/json"
    assert server.sessions == 0


def test_a_body_that_is_not_json_by_name_is_refused(server: Running) -> None:
    assert post(server, offer(), {"Content-Type": "text/plain"})[0] == 415


@pytest.mark.parametrize(("audio", "video"), [(1, 0), (0, 1)])
def test_an_offer_needs_one_voice_and_one_face(server: Running, audio: int, video: int) -> None:
    status, _, body = post(server, offer(offer_sdp(audio, video)))
    assert status == 422
    assert "one audio line that receives, and one video line that receives" in told(body)
    assert server.sessions == 0


@pytest.mark.parametrize(("audio", "video"), [(2, 1), (1, 2)])
def test_what_is_offered_beyond_is_declined(server: Running, audio: int, video: int) -> None:
    status, headers, body = post(server, offer(offer_sdp(audio, video)))
    assert status == 201
    lines = re.findall(r"(?m)^m=(audio|video) (\d+)", body["sdp"])
    assert sorted(kind for kind, _ in lines) == ["audio"] * audio + ["video"] * video
    assert sum(port == "0" for _, port in lines) == 1, "the second of its kind"
    assert ask(server.url + headers["location"], method="DELETE")[0] == 204


@pytest.mark.parametrize("line", ["audio", "video"])
def test_an_offer_that_does_not_want_the_answer_is_refused(server: Running, line: str) -> None:
    head, *media = re.split(r"(?m)^(?=m=)", offer_sdp())
    turned = [re.sub("a=(sendrecv|recvonly)", "a=sendonly", m) if m.startswith(f"m={line}") else m for m in media]
    status, _, body = post(server, offer(head + "".join(turned)))
    assert status == 422
    assert f"{line} (sendonly)" in told(body)
    assert server.sessions == 0


@pytest.mark.parametrize("name", ["nobody", "../astronaut", "/etc/passwd", "a" * 1000, "\u0000"])
def test_an_unknown_avatar_is_not_found(server: Running, name: str) -> None:
    status, _, body = post(server, offer(offer_sdp(), avatar=name))
    assert status == 404
    told(body)
    assert server.sessions == 0


def test_broken_offers_never_break_the_server(server: Running) -> None:
    sdp, rng = offer_sdp(), random.Random(7)
    for _ in range(25):
        broken = list(sdp)
        for _ in range(rng.randint(1, 12)):
            at = rng.randrange(len(broken))
            broken[at : at + rng.randint(0, 40)] = rng.choice(["", "\r\n", "9" * 30, "a=", "\x00", "é"])
        status, headers, body = post(server, offer("".join(broken)))
        assert status in (201, 400, 422), body
        if status == 201:
            assert ask(server.url + headers["location"], method="DELETE")[0] == 204
    assert server.sessions == 0
    assert ask(f"{server.url}/healthz")[0] == 200


def test_a_session_is_opened_found_and_ended(server: Running) -> None:
    status, headers, body = post(server, offer(offer_sdp(), look_ahead_ms=40))
    assert status == 201
    assert body["type"] == "answer"
    assert body["codec"] == "VP8"
    assert headers["location"] == f"/api/session/{body['session']}"
    assert server.sessions == 1
    assert ask(server.url + headers["location"], method="DELETE")[0] == 204
    assert server.sessions == 0
    status, _, raw = ask(server.url + headers["location"], method="DELETE")
    assert status == 404
    told(json.loads(raw))


def test_a_full_server_says_when_to_come_back() -> None:
    with running(max_sessions=1) as server:
        assert post(server, offer(offer_sdp()))[0] == 201
        status, headers, body = post(server, offer(offer_sdp()))
        assert status == 503
        assert int(headers["retry-after"]) > 0
        assert "full" in told(body)


def test_a_token_is_demanded_where_there_is_one() -> None:
    with running(token=TOKEN) as server:
        url = f"{server.url}/api/avatars"
        for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": f"Basic {TOKEN}"}):
            status, sent, raw = ask(url, headers=headers)
            assert status == 401
            assert sent["www-authenticate"] == "Bearer"
            told(json.loads(raw))
        assert ask(url, headers={"Authorization": f"Bearer {TOKEN}"})[0] == 200
        assert ask(f"{url}?token={TOKEN}")[0] == 200
        assert ask(f"{url}?token=%C3%A9")[0] == 401
        assert ask(f"{server.url}/")[0] == 200, "the page itself holds no secret"


def test_others_are_not_let_in_without_a_token() -> None:
    with pytest.raises(VivifyError, match="needs a token"):
        ServerConfig(host="0.0.0.0")
    assert ServerConfig(host="0.0.0.0", token=TOKEN).token == TOKEN
    with pytest.raises(VivifyError, match="at least 16"):
        ServerConfig(token="short")


def test_a_port_in_use_is_told() -> None:
    with listen("127.0.0.1", 0) as sock, pytest.raises(VivifyError, match="already in use"):
        listen("127.0.0.1", sock.getsockname()[1])


def test_a_foreign_name_for_this_machine_is_refused(server: Running) -> None:
    for name, status in (
        ("evil.example", 421),
        ("127.0.0.1.evil.example:80", 421),
        ("", 421),
        ("localhost:1", 200),
        ("[::1]:8080", 200),
        ("127.0.0.1", 200),
    ):
        assert ask(f"{server.url}/api/avatars", headers={"Host": name})[0] == status, name


def test_the_page_is_strict_about_what_it_runs(server: Running) -> None:
    status, headers, page = ask(f"{server.url}/")
    assert status == 200
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    for text in (page.decode(), *(p.read_text() for p in PAGE.glob("*.js"))):
        assert not re.search(r"<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=\"|<style|javascript:", text)


@pytest.mark.parametrize("path", ["/..%2f..%2fpyproject.toml", "/nothing", "/api/avatars/..%2f..%2fx/portrait"])
def test_nothing_outside_the_page_is_served(server: Running, path: str) -> None:
    status, _, raw = ask(server.url + path)
    assert status == 404
    told(json.loads(raw))


def test_the_page_finds_what_it_needs(server: Running) -> None:
    listed = json.loads(ask(f"{server.url}/api/avatars")[2])
    assert listed["default"] in listed["avatars"]
    assert listed["look_aheads_ms"] == list(LOOK_AHEADS_MS)
    status, headers, picture = ask(f"{server.url}/api/avatars/{listed['default']}/portrait")
    assert (status, headers["content-type"]) == (200, "image/png")
    assert picture.startswith(b"\x89PNG")
    status, headers, sound = ask(f"{server.url}/api/sample")
    assert (status, headers["content-type"]) == (200, "audio/wav")
    assert sound.startswith(b"RIFF")
