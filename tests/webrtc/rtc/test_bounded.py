"""What a connection sends that nobody reads is neither kept nor decoded."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import numpy as np
import pytest
from aiortc import AudioStreamTrack, RTCPeerConnection, RTCSessionDescription, VideoStreamTrack
from aiortc.mediastreams import MediaStreamTrack
from aiortc.rtcsctptransport import DataChunk
from serving import Running
from websockets.asyncio.client import connect
from whip_peers import ask

from webrtc import bounded_transports
from webrtc.bounded_transports import MOST_PIECES, MOST_STREAMS, ROOM, BoundedDtls, BoundedSctp
from webrtc.media import voice_stream
from webrtc.rtc.ice_servers import no_servers
from webrtc.rtc.speaker import Speaker

pytestmark = pytest.mark.net


class Counted(MediaStreamTrack):
    """A track that counts how much of it somebody wanted to have."""

    def __init__(self, inner: MediaStreamTrack) -> None:
        super().__init__()
        self.kind = inner.kind
        self._inner = inner
        self.asked = 0

    async def recv(self) -> Any:
        self.asked += 1
        return await self._inner.recv()


@asynccontextmanager
async def page(server: Running, *tracks: MediaStreamTrack) -> AsyncIterator[tuple[RTCPeerConnection, Any, Speaker]]:
    """A session of the page's kind that offers ``tracks``; its connection, control channel, and the other end."""
    pc = RTCPeerConnection(no_servers())
    for track in tracks or (AudioStreamTrack(),):
        pc.addTrack(track)
    if not any(track.kind == "video" for track in tracks):
        pc.addTransceiver("video", direction="recvonly")
    channel = pc.createDataChannel("control")
    hello = asyncio.Event()
    channel.on("message", lambda _: hello.set())
    await pc.setLocalDescription(await pc.createOffer())
    body = json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode()
    reply = await asyncio.to_thread(
        ask, "POST", f"{server.url}/api/session", body, {"Content-Type": "application/json"}
    )
    assert reply.status == 201, reply
    answer = json.loads(reply.body)
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], "answer"))
    async with asyncio.timeout(20):
        await hello.wait()
    speaker = server.service.sessions[answer["session"]].participants.speaker
    assert isinstance(speaker, Speaker)
    yield pc, channel, speaker
    await asyncio.to_thread(ask, "DELETE", f"{server.url}/api/session/{answer['session']}")
    await pc.close()


async def until(done: Callable[[], bool], seconds: float = 15) -> None:
    async with asyncio.timeout(seconds):
        while not done():  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.02)


async def test_a_camera_is_not_taken_from_its_owner(server: Running) -> None:
    voice, camera = Counted(AudioStreamTrack()), Counted(VideoStreamTrack())
    async with page(server, voice, camera) as (pc, _, speaker):
        await until(lambda: voice.asked > 5)
        assert camera.asked == 0
        assert [t.currentDirection for t in pc.getTransceivers()] == ["sendrecv", "recvonly"]
        ours = speaker.connection.pc.getTransceivers()
        assert [t.kind for t in ours if t.currentDirection in ("sendrecv", "recvonly")] == ["audio"]


async def test_a_voice_that_nobody_hears_is_not_decoded(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded = 0
    push = voice_stream.VoiceStream.push

    def counted(self: Any, *args: Any) -> Any:
        nonlocal decoded
        decoded += 1
        return push(self, *args)

    monkeypatch.setattr(voice_stream.VoiceStream, "push", counted)
    async with page(server) as (_, _, speaker):
        await until(lambda: decoded > 5)
        address = f"ws{server.url.removeprefix('http')}/api/voice?session={speaker.session.name}"
        async with connect(address) as socket:
            await socket.recv()
            before = decoded
            await asyncio.sleep(0.4)
            assert decoded - before < 2, "while a socket has the word"
        await until(lambda: decoded > before + 10)
        assert speaker.session.counts()["voice", "received"] > 0


async def test_pieces_of_messages_that_never_end_are_not_kept(server: Running) -> None:
    async with page(server) as (pc, _, speaker):
        mine, theirs = pc.sctp, speaker.connection.pc.sctp
        assert mine is not None
        assert isinstance(theirs, BoundedSctp)
        rng = np.random.default_rng(2)

        async def send(stream: int, flags: int, data: bytes, tsn: int) -> None:
            chunk = DataChunk(flags=flags)
            chunk.tsn, chunk.stream_id, chunk.stream_seq, chunk.protocol, chunk.user_data = tsn, stream, 0, 51, data
            await mine._send_chunk(chunk)

        first = mine._local_tsn
        for n in range(3 * MOST_PIECES):  # a message's beginnings, and no end
            await send(5, 2 if n == 0 else 0, bytes(1000), first + n)
        for n in range(3 * MOST_STREAMS):  # a little on each of many streams
            await send(100 + n, 2, b"x", first + 3 * MOST_PIECES + n)
        for _ in range(3 * MOST_PIECES):  # far ahead of its time
            await send(6, 3, b"", int(first + 10_000 + rng.integers(1 << 20)) & 0xFFFFFFFF)
        await asyncio.sleep(0.3)
        assert 0 < theirs.pieces <= MOST_PIECES
        assert theirs.streams <= MOST_STREAMS
        assert sum(len(c.user_data) for s in theirs._inbound_streams.values() for c in s.reassembly) <= ROOM
        assert len(theirs._sack_misordered) <= MOST_PIECES


async def test_a_long_message_that_means_well_comes_through(server: Running) -> None:
    async with page(server) as (_, channel, _):
        told: list[dict[str, Any]] = []
        channel.on("message", lambda text: told.append(json.loads(text)))
        for n in range(12):
            channel.send(json.dumps({"type": "ping", "t": f"{n} " + "x" * 3900}))
        await until(lambda: len([m for m in told if m["type"] == "pong"]) == 12)


async def test_sources_without_number_are_not_kept(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every packet of the voice as if another one had sent it."""
    monkeypatch.setattr(bounded_transports, "MOST_SOURCES", 20)
    async with page(server) as (pc, _, speaker):
        theirs = speaker.connection.pc.getTransceivers()[0].receiver.transport
        assert isinstance(theirs, BoundedDtls)
        mine = pc.getSenders()[0].transport
        header = b"\x80\x60" + bytes(10)
        await until(lambda: mine.state == "connected" and theirs.sources > 0)
        for source in range(100):
            packet = header[:8] + (7000 + source).to_bytes(4, "big") + b"\xf8\xff\xfe"
            await mine._send_rtp(packet)
        await asyncio.sleep(0.3)
        assert theirs.sources == 20
        before = speaker.session.counts()["voice", "received"]
        await until(lambda: speaker.session.counts()["voice", "received"] > before)
