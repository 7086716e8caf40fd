"""What one participant may send: a share that refills evenly, and a flood that nobody else hears."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from serving import Running
from websockets.asyncio.client import connect
from whip_peers import ask

from clients.generator import AudioSegmentEnd, VideoGenerator
from webrtc.budget import Budget
from webrtc.rtc.ice_servers import no_servers

VOICE = "".join(
    f"{line}\r\n"
    for line in (
        *("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "t=0 0", "m=audio 9 UDP/TLS/RTP/SAVPF 0", "a=mid:0", "a=sendonly"),
        *("a=rtcp-mux", "a=rtpmap:0 PCMU/8000", "a=setup:actpass", "a=ice-ufrag:abcd", "a=ice-pwd:" + "p" * 22),
        "a=fingerprint:sha-256 " + ":".join(["AB"] * 32),
    )
)


@pytest.mark.cpu
def test_a_budget_gives_a_burst_and_then_an_even_pace() -> None:
    budget = Budget(10.0, 3)
    assert [budget.wait(0.0) for _ in range(3)] == [0, 0, 0]
    assert budget.wait(0.0) == pytest.approx(0.1)
    assert budget.wait(0.0) == pytest.approx(0.2), "what is owed is waited for"
    assert budget.owed == 2
    assert budget.wait(0.4) == 0, "two were owed, two have come since, one was left of four"
    assert Budget(10.0, 3).wait(1e9) == 0


@pytest.mark.net
@pytest.mark.parametrize(
    "flood", [b"\0\0", json.dumps({"type": "clear"}), json.dumps({"type": "ping", "t": 1}), "rubbish"]
)
async def test_a_flood_over_a_socket_starves_nobody(server: Running, flood: bytes | str) -> None:
    """Beside it a voice goes on in its pace, and the server answers at once."""
    address = f"ws{server.url.removeprefix('http')}/api/voice?avatar=astronaut"
    async with connect(address, max_queue=None) as socket, VideoGenerator(server.url, rate=16_000) as neighbour:

        async def pour() -> None:
            for _ in range(20_000):
                await socket.send(flood)

        pouring = asyncio.create_task(pour())
        await neighbour.push_audio(np.zeros(16_000, np.int16))
        await neighbour.push_audio(AudioSegmentEnd())
        came: list[float] = []
        slowest = 0.0
        async with asyncio.timeout(20):
            async for one in neighbour:
                came.append(time.monotonic())
                if len(came) % 20 == 0:
                    began = time.monotonic()
                    assert (await asyncio.to_thread(ask, "GET", f"{server.url}/healthz")).status == 200
                    slowest = max(slowest, time.monotonic() - began)
                if isinstance(one, AudioSegmentEnd):
                    break
        pouring.cancel()
        hello = json.loads(await socket.recv())
        for name in (hello["session"], neighbour.session):
            await asyncio.to_thread(ask, "DELETE", f"{server.url}/api/session/{name}")
        assert len(came) > 40, "sound and pictures of a second"
        assert max(np.diff(came)) < 1.0, "without the budget it stood for seconds"
        assert slowest < 0.5


@pytest.mark.net
@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/", "/api/avatars", "/openapi.json"])
def test_head_answers_as_get_without_a_body(server: Running, path: str) -> None:
    shown, head = ask("GET", server.url + path), ask("HEAD", server.url + path)
    assert (head.status, head.body) == (shown.status, b"")
    assert head.headers["content-length"] == str(len(shown.body))


@pytest.mark.net
def test_a_name_that_is_not_there_never_travels(server: Running) -> None:
    """One longer than the pipe to the engine takes once ended the engine, and everybody's face with it."""
    restarts = server.service.engine.restarts
    reply = ask("POST", f"{server.url}/whip/{'x' * 20_000}", VOICE.encode(), {"Content-Type": "application/sdp"})
    assert reply.status == 404, reply
    assert server.service.engine.alive
    assert server.service.engine.restarts == restarts


@pytest.mark.net
async def test_a_flood_over_a_data_channel_ends_its_own_session(server: Running) -> None:
    """A channel cannot be read more slowly: what is too much is told once and dropped, and a flood ends the session."""
    pc = RTCPeerConnection(no_servers())
    pc.addTransceiver("audio")
    pc.addTransceiver("video", direction="recvonly")
    channel = pc.createDataChannel("control")
    told: list[dict[str, Any]] = []
    hello, bye = asyncio.Event(), asyncio.Event()

    @channel.on("message")
    def on_message(text: str) -> None:
        message = json.loads(text)
        told.append(message)
        {"hello": hello, "bye": bye}.get(message["type"], asyncio.Event()).set()

    await pc.setLocalDescription(await pc.createOffer())
    body = json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode()
    kind = {"Content-Type": "application/json"}
    reply = await asyncio.to_thread(ask, "POST", f"{server.url}/api/session", body, kind)
    answer = json.loads(reply.body)
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    async with asyncio.timeout(15):
        await hello.wait()
        for _ in range(600):
            channel.send('{"type": "ping", "t": 1}')
        await bye.wait()
    assert [m["reason"] for m in told if m["type"] == "bye"] == ["Too many messages came."]
    assert len([m for m in told if m["type"] == "error"]) == 1, "told once"
    assert len([m for m in told if m["type"] == "pong"]) >= 60, "what was within the budget is answered"
    await pc.close()
    async with asyncio.timeout(10):
        while answer["session"] in server.service.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.1)
