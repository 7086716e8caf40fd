"""Motion for programs: over the socket that speaks, one that only watches, the data channel; and only if asked."""

from __future__ import annotations

import asyncio
import json
import urllib.parse
import urllib.request
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from serving import Running, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from clients.microphone import Microphone
from engine.audio.sound_files import read_speech
from engine.contracts import Motion
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.paths import assets
from webrtc.messages import SERVER, Moved
from webrtc.motion_feed import told

pytestmark = pytest.mark.net

RATE = 16_000
FRAME = 1920  # samples of the timeline


@pytest.fixture(scope="module")
def server() -> Iterator[Running]:
    with running() as server:
        yield server


def address(server: Running, path: str, **query: Any) -> str:
    return f"ws{server.url.removeprefix('http')}{path}?{urllib.parse.urlencode(query)}"


async def taken(socket: ClientConnection, count: int, kind: str = "motion") -> list[dict[str, Any]]:
    """The next messages of a kind."""
    found: list[dict[str, Any]] = []
    async with asyncio.timeout(15):
        while len(found) < count:
            message = SERVER.validate_json(await socket.recv(), strict=True).model_dump()
            found += [message] if message["type"] == kind else []
    return found


def speech() -> bytes:
    samples = read_speech(assets() / "speech.wav", RATE)
    begin = int(np.flatnonzero(np.abs(samples) > 0.05)[0])
    return np.round(32767 * samples[begin : begin + 3 * RATE]).astype("<i2").tobytes()


def follow_one_another(motions: list[dict[str, Any]]) -> None:
    steps = np.diff([motion["position"] for motion in motions])
    assert all(step > 0 and step % FRAME == 0 for step in steps), "each of a later frame; some may be left out"
    assert all(len(motion["shapes"]) == len(NAMES) and len(motion["lips"]) == 40 for motion in motions)


async def test_who_pushes_sound_gets_motions_when_asked_and_no_longer(server: Running) -> None:
    async with connect(address(server, "/api/voice", rate=RATE)) as socket:
        await taken(socket, 1, "hello")
        await taken(socket, 1, "stats")
        await socket.send('{"type":"motions","wanted":true}')
        await socket.send(speech())
        motions = await taken(socket, 40)
        follow_one_another(motions)
        assert max(motion["shapes"][INDEX["jawOpen"]] for motion in motions) > 0.05
        assert any(motion["speaking"] for motion in motions)
        await socket.send('{"type":"motions","wanted":false}')
        await socket.send('{"type":"ping","t":1}')
        await taken(socket, 1, "pong")
        async with asyncio.timeout(5):
            after = [json.loads(await socket.recv())["type"] for _ in range(2)]
        assert "motion" not in after


async def test_who_watches_gets_the_same_and_the_end(server: Running) -> None:
    async with connect(address(server, "/api/voice", rate=RATE)) as speaker:
        hello = (await taken(speaker, 1, "hello"))[0]
        async with connect(address(server, "/api/motion", watch=hello["watch"])) as watcher:
            await watcher.send("whatever")
            await speaker.send('{"type":"motions","wanted":true}')
            mine, theirs = await asyncio.gather(taken(speaker, 20), taken(watcher, 20))
            follow_one_another(theirs)
            known = {motion["position"]: motion for motion in mine}
            both = [motion for motion in theirs if motion["position"] in known]
            assert len(both) > 10
            assert all(motion == known[motion["position"]] for motion in both)
            gone = urllib.request.Request(f"{server.url}/api/session/{hello['session']}", method="DELETE")
            await asyncio.to_thread(lambda: urllib.request.urlopen(gone, timeout=10).close())
            with pytest.raises(ConnectionClosed):
                await taken(watcher, 10_000)


async def test_too_many_and_unknown_ones_are_refused(server: Running) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(address(server, "/api/motion", watch="nobody"))
    assert refused.value.response.status_code == 409
    async with connect(address(server, "/api/voice", rate=RATE)) as speaker:
        watch = (await taken(speaker, 1, "hello"))[0]["watch"]
        sockets = [await connect(address(server, "/api/motion", watch=watch)) for _ in range(4)]
        with pytest.raises(InvalidStatus) as refused:
            await connect(address(server, "/api/motion", watch=watch))
        assert refused.value.response.status_code == 503
        assert b"places for motions" in bytes(refused.value.response.body or b"")
        await sockets.pop().close()
        async with asyncio.timeout(5):
            while True:
                try:
                    sockets.append(await connect(address(server, "/api/motion", watch=watch)))
                    break
                except InvalidStatus:
                    await asyncio.sleep(0.05)
        await asyncio.gather(*(socket.close() for socket in sockets))


async def test_the_control_channel_carries_them_too(server: Running) -> None:
    pc = RTCPeerConnection()
    microphone = Microphone(np.zeros(480, np.float32), 0.0)
    pc.addTrack(microphone)
    pc.addTransceiver("video", direction="recvonly")
    channel = pc.createDataChannel("control")
    came: list[dict[str, Any]] = []
    enough = asyncio.Event()

    @channel.on("open")
    def ask() -> None:
        channel.send('{"type":"motions","wanted":true}')

    @channel.on("message")
    def keep(text: str) -> None:
        message = SERVER.validate_json(text, strict=True).model_dump()
        came.extend([message] if message["type"] == "motion" else [])
        if len(came) == 15:
            enough.set()

    try:
        await pc.setLocalDescription(await pc.createOffer())
        offer = {"type": "offer", "sdp": pc.localDescription.sdp}
        answer = await asyncio.to_thread(_open, server, offer)
        await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
        microphone.start()
        async with asyncio.timeout(20):
            await enough.wait()
        follow_one_another(came)
    finally:
        await pc.close()


def _open(server: Running, offer: dict[str, str]) -> dict[str, Any]:
    request = urllib.request.Request(
        f"{server.url}/api/session", json.dumps(offer).encode(), {"Content-Type": "application/json"}
    )
    with urllib.request.urlopen(request, timeout=30) as response:
        found: dict[str, Any] = json.loads(response.read())
        return found


def test_a_motion_is_told_in_its_frame() -> None:
    shapes = np.zeros(52, np.float32)
    shapes[[INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]] = 0.5
    message = told(Motion(32_000, shapes, rotation_matrix(-0.3, 0.1, 0.05), np.array([0.01, -0.02, 0.03])), True)
    assert isinstance(message, Moved)
    assert message.position == 96_000
    assert (message.head.yaw, message.head.pitch, message.head.roll) == pytest.approx((-0.3, 0.1, 0.05), abs=1e-4)
    assert (message.head.x, message.head.y, message.head.z) == (0.01, -0.02, 0.03)
    assert message.gaze.left == message.gaze.right == [pytest.approx(np.radians(16), abs=1e-4), 0.0]
    assert len(message.model_dump_json()) < 4096
