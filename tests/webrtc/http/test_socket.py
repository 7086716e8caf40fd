"""Sound pushed over a real WebSocket: spoken on the clock, seen and heard through a real peer connection."""

from __future__ import annotations

import asyncio
import json
import time
import urllib.parse
from typing import Any

import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from hypothesis import given, settings
from hypothesis import strategies as st
from serving import Running, running
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect as connect_sync
from whip_peers import ask

import webrtc.http.patient_http
import webrtc.http.voice_socket
from clients.generator import AudioSegmentEnd, VideoGenerator
from clients.signalling import TalkError
from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.messages import SERVER

pytestmark = pytest.mark.net

RATE = 24_000
TOKEN = "a-token-of-good-length"


def address(server: Running, **query: Any) -> str:
    return f"ws{server.url.removeprefix('http')}/api/voice?{urllib.parse.urlencode(query)}"


async def answer(socket: ClientConnection, kind: str) -> dict[str, Any]:
    """The next message of a kind; every message on the way is one the protocol knows."""
    async with asyncio.timeout(15):
        while True:
            message = SERVER.validate_json(await socket.recv()).model_dump()
            if message["type"] == kind:
                return message


async def emptied(server: Running) -> None:
    async with asyncio.timeout(8):
        while server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.05)


def speech() -> np.ndarray:
    """One and a half spoken seconds, int16 at `RATE`."""
    samples = read_speech(assets() / "speech.wav", RATE)
    begin = int(np.flatnonzero(np.abs(samples) > 0.05)[0])
    return np.round(32767 * samples[begin : begin + 3 * RATE // 2]).astype(np.int16)


async def test_a_sentence_pushed_at_once_is_spoken_on_the_clock(server: Running) -> None:
    pcm = speech()
    async with VideoGenerator(server.url, rate=RATE, look_ahead_ms=40) as avatar:
        sound: list[np.ndarray] = []
        pictures: list[np.ndarray] = []
        began, pushed = time.monotonic(), False
        async for came in avatar:
            if isinstance(came, VideoFrame):
                pictures.append(came.to_ndarray(format="gray").astype(float))
            elif isinstance(came, AudioFrame):
                sound.append(came.to_ndarray().reshape(-1, 2)[:, 0])
            else:
                break
            if pictures and sound and not pushed:
                pushed, began = True, time.monotonic()
                await avatar.push_audio(pcm)
                await avatar.push_audio(AudioSegmentEnd())
        took = time.monotonic() - began
        assert server.service.sessions[str(avatar.session)].stats()["voice_ms"]["refused"] == 0
        heard = np.concatenate(sound)[::2].astype(float)
        voice = np.convolve(pcm, np.ones(3) / 3)
        match = np.correlate(heard, voice[:RATE], "valid").max() / np.linalg.norm(voice[:RATE])
        lag = int(np.argmax(np.correlate(heard, voice[:RATE], "valid")))
        assert match / np.linalg.norm(heard[lag : lag + RATE]) > 0.5, "the sentence must come back"
        assert took > len(pcm) / RATE, "however fast it was pushed, it is spoken on the clock"
        moved = np.abs(np.diff(np.stack(pictures), axis=0))
        assert moved[:, 330:420, 210:310].mean() > 3 * moved[:, :60, :60].mean(), "the mouth must move"
        await asyncio.to_thread(ask_delete, server, avatar.session)
    await emptied(server)


def ask_delete(server: Running, session: str | None) -> None:
    assert ask("DELETE", f"{server.url}/api/session/{session}").status == 204


async def test_a_barge_in_fences_what_was_pushed_before(server: Running) -> None:
    second = np.full(RATE, 5000, "<i2").tobytes()
    async with connect(address(server, rate=RATE)) as socket:
        name = (await answer(socket, "hello"))["session"]
        stream = server.service.sessions[name]
        await socket.send(second)
        await socket.send('{"type":"flush"}')
        await socket.send('{"type":"clear"}')
        assert (await answer(socket, "cleared"))["epoch"] == 1
        await socket.send(second[: RATE // 5])
        await socket.send('{"type":"flush"}')
        assert (await answer(socket, "played"))["flush"] == 2, "a flush that a barge-in overtook is not answered"
        # Somebody else interrupts: what comes next may still be of the old sentence, until it is said to be new.
        stream._loop.call_soon_threadsafe(stream.clear)
        assert (await answer(socket, "cleared"))["epoch"] == 2
        await socket.send(second)
        await socket.send('{"type":"flush"}')
        await answer(socket, "played")  # of nothing: it was thrown away, or it would take a second
        await socket.send('{"type":"resume","epoch":1}')
        await socket.send(second)
        await socket.send('{"type":"flush"}')
        await answer(socket, "played")
        before = stream._playout.line.written
        await socket.send('{"type":"resume","epoch":2}')
        await socket.send(second)
        await socket.send('{"type":"flush"}')
        await answer(socket, "played")
        assert stream._playout.line.written - before >= 48_000
        await asyncio.to_thread(ask_delete, server, name)
        assert (await answer(socket, "bye"))["reason"]
    await emptied(server)


async def test_an_interruption_is_heard_at_the_other_end(server: Running) -> None:
    tone = (9000 * np.sin(2 * np.pi * 300 * np.arange(6 * RATE) / RATE)).astype(np.int16)
    async with VideoGenerator(server.url, rate=RATE) as avatar, asyncio.timeout(15):
        pushed, cleared, loud = False, False, 0
        after: list[int] = []
        async for came in avatar:
            if not isinstance(came, AudioFrame):
                continue
            level = int(np.abs(came.to_ndarray().astype(int)).max())
            if not pushed:
                pushed = True
                await avatar.push_audio(tone)
            loud += level > 5000
            if loud > 10 and not cleared:
                cleared = True
                await avatar.clear_buffer()
            elif cleared and len(after) < 75:
                after.append(level)
            elif cleared:
                break
        with pytest.raises(VivifyError, match="Mono sound"):
            await avatar.push_audio(np.stack([tone, tone], 1))
        assert max(after[50:]) < 300, "of six seconds only the beginning may be heard"
        assert avatar.epoch == 1
        await asyncio.to_thread(ask_delete, server, avatar.session)
    with pytest.raises(TalkError, match="closed"):
        await avatar.push_audio(tone)
    await emptied(server)


async def test_a_socket_speaks_in_a_running_session_and_goes_again(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(webrtc.http.voice_socket, "ALONE_LIMIT_S", 0.5)
    async with connect(address(server)) as first:
        name = (await answer(first, "hello"))["session"]
        second = await connect(address(server, session=name))
        assert "Another socket" in (await answer(first, "bye"))["reason"]
        await second.close()
    async with connect(address(server, session=name)) as again:
        hello = await answer(again, "hello")
        assert (hello["session"], hello["avatar"]) == (name, "astronaut")
        await asyncio.sleep(1.0)
        assert server.sessions == 1, "somebody came back in time"
        await again.send('{"type":"ping","t":7}')
        assert (await answer(again, "pong"))["t"] == 7
        assert (await answer(again, "stats"))["fps"] > 0
    await emptied(server)


@pytest.mark.parametrize(
    ("query", "headers", "status"),
    [
        ({"session": "none"}, {}, 404),
        ({"avatar": "../astronaut"}, {}, 404),
        ({"rate": 11_025}, {}, 400),
        ({"rate": "fast"}, {}, 400),
        ({"look_ahead_ms": 81}, {}, 400),
        ({}, {"Origin": "https://evil.example"}, 403),
    ],
)
async def test_refusals_come_before_the_socket_opens(
    server: Running, query: dict[str, Any], headers: dict[str, str], status: int
) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await connect(address(server, **query), additional_headers=headers)
    assert refused.value.response.status_code == status
    told = json.loads(refused.value.response.body)["error"]
    assert told.endswith(".")
    assert server.sessions == 0


async def test_nobody_joins_a_session_that_is_ending(server: Running) -> None:
    async with connect(address(server)) as socket:
        name = (await answer(socket, "hello"))["session"]
        session = server.service.sessions[name]
        session.closing = True  # as while its connections are being closed
        with pytest.raises(InvalidStatus, match="404"):
            await connect(address(server, session=name))
        session.closing = False
    await asyncio.to_thread(ask, "DELETE", f"{server.url}/api/session/{name}")
    await emptied(server)


async def test_a_token_is_wanted_and_a_full_server_says_so() -> None:
    with running(max_sessions=1, token=TOKEN) as server:
        with pytest.raises(TalkError, match="token"):
            async with VideoGenerator(server.url):
                pass
        async with VideoGenerator(server.url, token=TOKEN):
            with pytest.raises(TalkError, match="full"):
                async with VideoGenerator(server.url, token=TOKEN):
                    pass


def test_whatever_a_stranger_sends_the_socket_lives_on(server: Running) -> None:
    with connect_sync(address(server)) as socket:
        name = json.loads(socket.recv())["session"]

        @settings(max_examples=150, deadline=None, derandomize=True, database=None)
        @given(message=st.one_of(st.text(max_size=200), st.binary(max_size=2000), st.sampled_from(COMMANDS)))
        def send(message: str | bytes) -> None:
            socket.send(message)

        send()
        socket.send('{"type":"ping","t":"still there"}')
        while (message := json.loads(socket.recv(timeout=15))).get("t") != "still there":
            SERVER.validate_python(message)
        ask_delete(server, name)


COMMANDS = ['{"type":"clear"}', '{"type":"flush"}', '{"type":"resume","epoch":-1}', "[" * 4000, '{"type":"ping"}']


async def test_a_socket_over_which_nothing_comes_is_closed(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.http.voice_socket, "IDLE_LIMIT_S", 0.6)
    monkeypatch.setattr(webrtc.http.voice_socket, "ALONE_LIMIT_S", 0.1)
    async with connect(address(server)) as socket:
        for t in range(4):
            await asyncio.sleep(0.25)
            await socket.send(json.dumps({"type": "ping", "t": t}))
            assert (await answer(socket, "pong"))["t"] == t, "a ping is something"
        assert "Nothing came" in (await answer(socket, "bye"))["reason"]
        await socket.wait_closed()
    await emptied(server)


async def test_a_socket_is_no_request_that_does_not_come(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.http.patient_http, "REQUEST_LIMIT_S", 0.3)
    async with connect(address(server)) as socket:
        name = (await answer(socket, "hello"))["session"]
        await asyncio.sleep(0.8)
        await socket.send('{"type":"ping","t":1}')
        assert (await answer(socket, "pong"))["t"] == 1
        await asyncio.to_thread(ask_delete, server, name)
    await emptied(server)
