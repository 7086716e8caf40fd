"""Who comes back takes the place of their own session that has lost its connection; nobody else does."""

from __future__ import annotations

import asyncio

import aioice.ice
import numpy as np
import pytest
from aiortc import RTCPeerConnection
from serving import Running, running
from whip_peers import SDP, Reply, ask_async, negotiate, offer_of

import webrtc.rtc.peer_connection
from clients.microphone import Microphone
from webrtc.access.tokens import sign
from webrtc.rtc.ice_restart import connection_of
from webrtc.rtc.ice_servers import no_servers

pytestmark = pytest.mark.net

KEY = "a key of thirty-two bytes, or more"
ALICE, MALLORY = "a-token-of-good-length", "another-token-of-good-length"
VOICE = offer_of("audio", "sendonly")
SILENT_S = 0.5  # instead of seven


async def publish(server: Running, token: str, address: str = "127.0.0.1", query: str = "") -> Reply:
    headers = {**SDP, "Authorization": f"Bearer {token}", "X-Forwarded-For": address}
    return await ask_async("POST", f"{server.url}/whip/astronaut{query}", VOICE.encode(), headers)


async def speaking(server: Running, token: str, query: str = "") -> tuple[RTCPeerConnection, str]:
    """A publisher whose voice has come, and its session's name."""
    pc, microphone = RTCPeerConnection(no_servers()), Microphone(np.zeros(48_000 * 60, np.float32), 0.0)
    pc.addTransceiver(microphone, direction="sendonly")
    opened = await negotiate(pc, server.url, f"/whip/astronaut{query}", token=token)
    microphone.start()
    name = opened.headers["location"].rsplit("/", 1)[1]
    async with asyncio.timeout(20):
        while server.service.sessions[name].stats()["voice_ms"]["received"] < 100:  # noqa: ASYNC110  # another thread
            await asyncio.sleep(0.02)
    return pc, name


async def vanish(pc: RTCPeerConnection) -> None:
    """As a machine does that loses its network: without a goodbye."""
    for protocol in connection_of(pc)._protocols:
        protocol.transport.abort()
    await asyncio.sleep(2 * SILENT_S)


async def test_its_owners_new_session_takes_the_place_of_a_lost_one(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.rtc.peer_connection, "SILENT_S", SILENT_S)
    with running(max_sessions=1, token=f"{ALICE}, {MALLORY}", token_key=KEY) as server:
        pc, name = await speaking(server, ALICE)
        assert (await publish(server, ALICE)).status == 503, "the first one lives"
        await vanish(pc)
        assert (await publish(server, MALLORY)).status == 503, "another's place"
        assert (await publish(server, ALICE, "198.51.100.1")).status == 503, "perhaps another hand with that token"
        assert name in server.service.sessions
        assert (await publish(server, ALICE)).status == 201
        assert name not in server.service.sessions
        assert server.sessions == 1
        await pc.close()


async def test_a_person_is_the_same_at_another_address(monkeypatch: pytest.MonkeyPatch) -> None:
    """As when a telephone changes its network; and the address it is watched at goes on with it."""
    monkeypatch.setattr(webrtc.rtc.peer_connection, "SILENT_S", SILENT_S)
    ann = sign(KEY, ["speak"], subject="ann")
    with running(max_sessions=2, token_key=KEY, sessions_per_token=1) as server:
        pc, name = await speaking(server, ann, "?watch=stage")
        assert (await publish(server, ann)).status == 429, "one at a time"
        await vanish(pc)
        again = await publish(server, sign(KEY, ["speak"], 60, subject="ann"), "198.51.100.1", "?watch=stage")
        assert again.status == 201
        assert server.sessions == 1
        assert name not in server.service.sessions
        await pc.close()


async def test_who_is_silent_is_not_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    """A muted microphone sends nothing; ICE's checks of consent tell that it is there."""
    monkeypatch.setattr(webrtc.rtc.peer_connection, "SILENT_S", SILENT_S)
    monkeypatch.setattr(aioice.ice, "CONSENT_INTERVAL", SILENT_S / 2.5)
    with running(max_sessions=1) as server:
        pc = RTCPeerConnection(no_servers())
        pc.addTransceiver(Microphone(np.zeros(480, np.float32), 0.0), direction="sendonly")  # and never started
        opened = await negotiate(pc, server.url, "/whip/astronaut")
        session = server.service.sessions[opened.headers["location"].rsplit("/", 1)[1]]
        async with asyncio.timeout(20):
            while not session.started:  # noqa: ASYNC110  # another thread
                await asyncio.sleep(0.02)
        await asyncio.sleep(3 * SILENT_S)
        assert session.stats()["voice_ms"]["received"] == 0
        assert session.participants.present
        assert (await publish(server, "")).status == 503
        await vanish(pc)
        assert not session.participants.present
        await pc.close()
