"""Through a real coturn on loopback: logins that end, and a whole session whose every packet is relayed."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import time
from collections.abc import Iterator

import numpy as np
import pytest
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from serving import running
from whip_peers import ask

from clients.commands.network_check import check_network
from clients.generator import VideoGenerator
from clients.microphone import Microphone
from clients.signalling import Connection
from clients.trials.coturn import coturn, installed
from clients.trials.monitor import Monitor
from engine.errors import VivifyError
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.ice_servers import configuration
from webrtc.server_config import TURN_LOGIN_S, IceServer, ServerConfig

pytestmark = pytest.mark.net

SECRET = "a secret that both sides know"


@pytest.fixture(scope="module")
def turn() -> Iterator[IceServer]:
    if not installed():
        pytest.skip("no turnserver here: install Debian's package 'coturn' to test relayed connections")
    with coturn(SECRET) as server:
        yield server


def test_a_login_ends_and_is_what_turn_servers_compute() -> None:
    login = IceServer("turn:turn.example:3478", secret=SECRET).dated(1_000_000)
    assert login.username == f"{1_000_000 + TURN_LOGIN_S}:vivify"
    digest = hmac.new(SECRET.encode(), login.username.encode(), hashlib.sha1).digest()
    assert login.credential == base64.b64encode(digest).decode()
    assert login.secret is None
    assert SECRET not in repr(IceServer("turn:turn.example:3478", secret=SECRET))
    with pytest.raises(VivifyError, match="needs a secret"):
        IceServer("turn:turn.example:3478")
    stun = IceServer("stun:stun.example:3478")
    assert stun.dated(0) is stun


def test_the_secret_stays_here_and_logins_are_given_out() -> None:
    server = IceServer("turn:turn.example:3478", secret=SECRET)
    assert ServerConfig(ice_servers=(server,)).ice_servers_now()[0].username
    with running(ice_servers=(server,)) as serving:
        reply = ask("GET", f"{serving.url}/api/ice-servers")
    assert reply.status == 200
    assert SECRET.encode() not in reply.body
    assert b":vivify" in reply.body


async def test_the_clients_ask_the_server_for_its_relay(turn: IceServer) -> None:
    with running(ice_servers=(turn,)) as server:
        monitor = Monitor()
        connection = Connection(Microphone(np.zeros(VOICE_RATE, np.float32), 0.0, again=True), monitor)
        await connection.open(server.url, 80, None, None)
        assert " typ relay" in connection._pc.localDescription.sdp
        assert " typ relay" in connection._pc.remoteDescription.sdp, "the server offers one, too"
        await connection.close()
        async with VideoGenerator(server.url) as avatar:
            assert " typ relay" in avatar._pc.localDescription.sdp
            assert ask("DELETE", f"{server.url}/api/session/{avatar.session}").status == 204


async def test_a_session_whose_every_packet_is_relayed(turn: IceServer) -> None:
    with running(ice_servers=(turn,)) as server:
        relayed = configuration((turn.dated(time.time()),))
        relayed.iceTransportPolicy = RTCIceTransportPolicy.RELAY
        monitor = Monitor()
        tone = (0.2 * np.sin(np.arange(VOICE_RATE))).astype(np.float32)
        connection = Connection(Microphone(tone, 0.0, again=True), monitor, ice=relayed)
        sdp: list[str] = []
        await connection.open(server.url, 80, None, None)
        sdp.append(connection._pc.localDescription.sdp)
        async with asyncio.timeout(15):
            while monitor.total_pictures < 25:  # noqa: ASYNC110  # pictures come on this very loop
                await asyncio.sleep(0.05)
        assert "typ relay" in sdp[0]
        assert "typ host" not in sdp[0], "there must be no other way"
        stats = next(iter(server.service.sessions.values())).stats()
        assert stats["voice_ms"]["received"] > 200
        await connection.close()
        async with asyncio.timeout(8):
            while server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
                await asyncio.sleep(0.05)


def test_the_doctor_tries_the_ways_out(turn: IceServer) -> None:
    own, relay = check_network((turn,))
    assert own.ok
    assert relay.ok, relay
    assert "a packet came through" in relay.found
    _, wrong = check_network((IceServer(turn.url, secret="another secret"),))
    assert not wrong.ok
    assert "secret" in wrong.advice
    assert not check_network(())[-1].ok
