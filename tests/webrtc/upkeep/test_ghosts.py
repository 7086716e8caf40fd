"""Places and connections go to those who are there: what stays away, stays silent or sends by halves is given up."""

from __future__ import annotations

import asyncio
import json
import socket
import time

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from serving import Running, running
from websockets.asyncio.client import connect
from whip_peers import SDP, Watcher, ask_async, negotiate

import webrtc.http.patient_http as patience
from clients.microphone import Microphone
from engine.paths import assets
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.ice_servers import no_servers
from webrtc.rtc.peer_connection import CONNECT_LIMIT_S, PeerConnection

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("server")]  # which stops the engine at the end


async def gone(server: Running, seconds: float) -> float:
    """Seconds until no session is left."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_offers_that_never_connect_give_their_places_back(monkeypatch: pytest.MonkeyPatch) -> None:
    assert CONNECT_LIMIT_S == 5.0
    monkeypatch.setattr("webrtc.rtc.peer_connection.CONNECT_LIMIT_S", 1.5)
    with running() as server:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver("audio")
        await pc.setLocalDescription(await pc.createOffer())
        for _ in range(3):
            reply = await ask_async("POST", f"{server.url}/whip/astronaut", pc.localDescription.sdp.encode(), SDP)
            assert reply.status == 201
        assert 0.8 < await gone(server, 5) < 2.5
        assert 'vivify_ice_failures_total{how="never"} 3.0' in server.service.metrics.text().decode()
        await pc.close()


async def test_one_that_knocks_late_has_longer(monkeypatch: pytest.MonkeyPatch) -> None:
    """From the last candidate; and once ICE has heard of it, until the keys are agreed on."""
    monkeypatch.setattr("webrtc.rtc.peer_connection.CONNECT_LIMIT_S", 1.0)
    with running() as server:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver("audio")
        await pc.setLocalDescription(await pc.createOffer())
        reply = await ask_async("POST", f"{server.url}/whip/astronaut", pc.localDescription.sdp.encode(), SDP)
        (connection,) = server.service.connections.values()
        for _ in range(3):
            await asyncio.sleep(0.7)
            assert server.sessions == 1
            headers = {"Content-Type": "application/trickle-ice-sdpfrag", "If-Match": reply.headers["etag"]}
            login = [line for line in pc.localDescription.sdp.splitlines() if line.startswith("a=ice-")][:2]
            body = "\r\n".join([*login, "m=audio 9 RTP/AVP 0", "a=mid:0", ""]).encode()
            assert (await ask_async("PATCH", server.url + reply.headers["location"], body, headers)).status == 204
        assert isinstance(connection, PeerConnection)
        await gone(server, 3)
        await pc.close()


async def test_a_socket_that_is_gone_leaves_its_place_to_whoever_wants_it() -> None:
    with running(max_sessions=1) as server:
        url = server.url.replace("http", "ws") + "/api/voice"
        async with connect(url) as first:
            assert json.loads(await first.recv())["type"] == "hello"
            assert (await ask_async("GET", f"{server.url}/readyz")).status == 503
        await asyncio.sleep(0.2)
        assert (await ask_async("GET", f"{server.url}/readyz")).status == 200
        async with connect(url) as second:
            assert json.loads(await second.recv())["type"] == "hello", "at once, not when the first is given up"
            assert server.sessions == 1


async def test_an_owner_that_lost_its_connection_takes_its_own_place_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("webrtc.rtc.peer_connection.SILENT_S", 1.0)
    with running(max_sessions=1) as server:
        first, second = (RTCPeerConnection(no_servers()) for _ in range(2))
        for pc in (first, second):
            pc.addTransceiver(Microphone(np.zeros(VOICE_RATE, np.float32), 0.0), direction="sendonly")
        await negotiate(first, server.url, "/whip/astronaut")
        (session,) = server.service.sessions.values()
        await session_started(session)
        await second.setLocalDescription(await second.createOffer())
        offer = second.localDescription.sdp.encode()
        assert (await ask_async("POST", f"{server.url}/whip/astronaut", offer, SDP)).status == 503, "it lives"
        first.getTransceivers()[0].receiver.transport.transport._connection._now.data_received = lambda *_: None
        cut(first)
        await asyncio.sleep(2.5)
        assert (await ask_async("POST", f"{server.url}/whip/astronaut", offer, SDP)).status == 201
        assert session.closing
        for pc in (first, second):
            await pc.close()


async def session_started(session: object) -> None:
    async with asyncio.timeout(10):
        while not session.started:  # type: ignore[attr-defined]  # noqa: ASYNC110
            await asyncio.sleep(0.05)


def cut(pc: RTCPeerConnection) -> None:
    """Its network is gone: nothing leaves it and nothing comes any more."""
    for protocol in pc.getTransceivers()[0].receiver.transport.transport._connection._protocols:
        protocol.transport.abort()


async def test_a_session_in_which_nothing_is_said_ends() -> None:
    with running(idle_minutes=1.5 / 60) as server:
        pc, watcher = RTCPeerConnection(no_servers()), Watcher()
        loud = (0.2 * np.sin(np.arange(3 * VOICE_RATE) / 20)).astype(np.float32)
        microphone = Microphone(np.concatenate([loud, np.zeros(60 * VOICE_RATE, np.float32)]), 0.0)
        pc.addTransceiver(microphone, direction="sendonly")
        opened = await negotiate(pc, server.url, "/whip/astronaut")
        microphone.start()
        await negotiate(watcher.pc, server.url, f"/whep/{opened.headers['location'].rsplit('/', 1)[1]}")
        await asyncio.sleep(2.5)
        assert server.sessions == 1, "it speaks"
        assert 1 < await gone(server, 10) < 5
        await watcher.close()
        await pc.close()


def half(server: Running, text: bytes) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    one = socket.create_connection((host, int(port)))
    one.sendall(text)
    one.settimeout(5)
    return one


GET = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"
SAMPLE = (assets() / "speech.wav").stat().st_size


@pytest.mark.parametrize(
    "text",
    [
        b"",
        GET,
        b"GET /api/voice HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n",
    ],
    ids=["nothing", "half a header", "half an upgrade"],
)
def test_half_sent_requests_are_given_up(text: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "REQUEST_LIMIT_S", 0.5)
    with running() as server, half(server, text) as one:
        began, last = time.monotonic(), b"-"
        while last and time.monotonic() - began < 5:
            last = one.recv(1000)  # an answer to what was whole
        assert not last
        assert time.monotonic() - began < 2


def test_connections_are_bounded_and_those_that_wait_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "MOST_CONNECTIONS", 20)
    with running() as server:
        idle = [half(server, GET) for _ in range(30)]
        with half(server, GET + b"\r\n") as one:
            assert one.recv(1000).startswith(b"HTTP/1.1 200")
        time.sleep(0.2)
        ends = [ended(each) for each in idle]
        assert sum(ends) >= 10
        assert ends[:10] == [True] * 10, "who waited longest goes first"
        for each in idle:
            each.close()


def ended(one: socket.socket) -> bool:
    one.setblocking(False)
    try:
        return one.recv(1) == b""
    except BlockingIOError:
        return False


def test_one_that_reads_nothing_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "READ_LIMIT_S", 0.5)
    ask = b"GET /api/sample HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with running() as server, half(server, b"") as one:
        one.sendall(60 * ask)  # answers beyond what the system keeps for a reader
        time.sleep(3)
        one.settimeout(5)
        came = 0
        try:
            while part := one.recv(1 << 20):
                came += len(part)
        except ConnectionResetError:
            pass
        assert came < 60 * SAMPLE, "it was cut off, not served to the end"
