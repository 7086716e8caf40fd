"""A voice over real aiortc whose packets a bad network, or its own sender, treats badly: what a viewer hears of it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from itertools import count
from typing import Any

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from aiortc.rtp import RtcpByePacket
from av import AudioFrame, CodecContext
from serving import Running
from whip_peers import Watcher, ask_async, negotiate

from clients.microphone import Microphone
from webrtc.media.voice_line import PIECE, VOICE_RATE
from webrtc.rtc.ice_servers import no_servers

pytestmark = pytest.mark.net

BEFORE_S, AFTER_S = 1.2, 1.6
QUIET_S = 0.1  # what may be missing of a voice that begins anew
LOUD = 2000  # of 32767: the tone is at 6500
TONE = (0.2 * np.sin(2 * np.pi * 300 * np.arange(30 * VOICE_RATE) / VOICE_RATE)).astype(np.float32)

Send = Callable[[bytes], Any]


@dataclass
class Talk:
    """A publisher of a steady tone, whose RTP goes through ``tamper`` once that is set, and one who hears."""

    pc: RTCPeerConnection
    watcher: Watcher
    session: Any
    tamper: Callable[[bytearray, Send], Any] | None = None
    sending: list[asyncio.Future[None]] = field(default_factory=list)

    async def hear(self, seconds: float) -> np.ndarray:
        """Whether each 20 ms that came within ``seconds`` was loud."""
        began = len(self.watcher.sound)
        await asyncio.sleep(seconds)
        return np.array([np.abs(piece.astype(int)).max() > LOUD for piece in self.watcher.sound[began:]])

    @property
    def voice(self) -> dict[str, int]:
        return dict(self.session.stats()["voice_ms"])


@asynccontextmanager
async def talking(server: Running) -> AsyncIterator[Talk]:
    pc, watcher, microphone = RTCPeerConnection(no_servers()), Watcher(("audio",)), Microphone(TONE, 0.0)
    transport = pc.addTransceiver(microphone, direction="sendonly").sender.transport
    opened = await negotiate(pc, server.url, "/whip/astronaut")
    name = opened.headers["location"].rsplit("/", 1)[1]
    talk = Talk(pc, watcher, server.service.sessions[name])
    straight = transport.send_media

    async def send(data: bytes) -> None:
        with suppress(ConnectionError):  # the end of the test
            straight([data])

    def tampered(packets: list[bytes]) -> None:
        if talk.tamper is None:
            straight(packets)
        else:
            talk.sending += [asyncio.ensure_future(talk.tamper(bytearray(packet), send)) for packet in packets]

    transport.send_media = tampered
    await negotiate(watcher.pc, server.url, f"/whep/{name}")
    microphone.start()
    try:
        async with asyncio.timeout(20):
            while len(watcher.sound) < 5:  # noqa: ASYNC110  # the sound comes on this very loop
                await asyncio.sleep(0.02)
        await talk.hear(BEFORE_S)
        yield talk
    finally:
        await pc.close()
        await watcher.close()
        assert (await ask_async("DELETE", server.url + opened.headers["location"])).status in (200, 404)


def shifted(numbers: int = 0, stamps: int = 0, source: int | None = None) -> Callable[[bytearray, Send], Any]:
    """Packets of a sender that began anew."""

    async def tamper(data: bytearray, send: Send) -> None:
        number, stamp = int.from_bytes(data[2:4]) + numbers, int.from_bytes(data[4:8]) + stamps
        data[2:4], data[4:8] = (number % 2**16).to_bytes(2), (stamp % 2**32).to_bytes(4)
        if source is not None:
            data[8:12] = source.to_bytes(4)
        await send(bytes(data))

    return tamper


@pytest.mark.parametrize(
    "tamper",
    [shifted(20_000, 99_999_999, source=0x1234567), shifted(-500), shifted(stamps=-50 * VOICE_RATE)],
    ids=["another source", "numbers back", "stamps back"],
)
async def test_a_sender_that_begins_anew_is_heard_at_once(server: Running, tamper: Callable[..., Any]) -> None:
    async with talking(server) as talk:
        talk.tamper = tamper
        loud = await talk.hear(AFTER_S)
        assert np.count_nonzero(~loud) * PIECE <= QUIET_S * VOICE_RATE
        assert talk.voice["lost"] == 0


async def test_a_change_of_codec_and_back_is_heard_at_once(server: Running) -> None:
    encoder: Any = CodecContext.create("pcm_mulaw", "w")
    encoder.format, encoder.layout, encoder.sample_rate = "s16", "mono", 8000
    number = count()

    async def mu_law(data: bytearray, send: Send) -> None:
        k = next(number)
        pcm = (32767 * TONE[k * PIECE : (k + 1) * PIECE : 6]).astype(np.int16)
        frame = AudioFrame.from_ndarray(pcm[np.newaxis], "s16", "mono")
        frame.sample_rate = 8000
        stamp = (12_345 + 160 * k).to_bytes(4)
        await send(bytes([0x80, 0]) + bytes(data[2:4]) + stamp + bytes(data[8:12]) + bytes(encoder.encode(frame)[0]))

    async with talking(server) as talk:
        for tamper in (mu_law, None):
            talk.tamper = tamper
            loud = await talk.hear(AFTER_S)
            assert np.count_nonzero(~loud) * PIECE <= QUIET_S * VOICE_RATE
        assert talk.voice["lost"] == 0


async def test_packets_behind_their_successors_are_all_heard(server: Running) -> None:
    number = count()

    async def reordered(data: bytearray, send: Send) -> None:
        if next(number) % 5 == 0:
            asyncio.get_running_loop().call_later(0.045, lambda: asyncio.ensure_future(send(bytes(data))))
        else:
            await send(bytes(data))

    async with talking(server) as talk:
        before = talk.voice
        talk.tamper = reordered
        loud = await talk.hear(AFTER_S)
        assert loud.all()
        assert talk.voice["lost"] == talk.voice["late"] == 0
        assert talk.voice["received"] > before["received"] + 1000 * (AFTER_S - 0.3)


async def test_lost_packets_are_concealed(server: Running) -> None:
    number = count()

    async def lossy(data: bytearray, send: Send) -> None:
        if next(number) % 10:
            await send(bytes(data))

    async with talking(server) as talk:
        talk.tamper = lossy
        loud = await talk.hear(AFTER_S)
        assert loud.mean() > 0.97, "no hole is heard"
        assert talk.voice["lost"] >= 100
        assert talk.voice["concealed"] >= talk.voice["lost"]


async def test_a_microphone_taken_away_and_given_back_is_heard_again(server: Running) -> None:
    """As a browser's replaceTrack(null), which says goodbye (RTCP BYE) for the time being."""

    async def nothing(data: bytearray, send: Send) -> None:
        pass

    async with talking(server) as talk:
        sender = talk.pc.getSenders()[0]
        await sender.transport._send_rtp(bytes(RtcpByePacket(sources=[sender._ssrc])))
        talk.tamper = nothing
        silent = await talk.hear(AFTER_S)
        assert not silent[-20:].any()
        talk.tamper = None
        assert (await talk.hear(AFTER_S))[-30:].all()
        assert not talk.session.closing


async def test_the_answer_asks_for_redundancy_against_losses(server: Running) -> None:
    async with talking(server) as talk:
        answer = talk.pc.remoteDescription.sdp
        assert "useinbandfec=1" in answer
