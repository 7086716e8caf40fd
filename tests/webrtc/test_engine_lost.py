"""The engine dies or hangs in the middle of a session: the voice goes on, the face comes back, nobody is thrown out."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCPeerConnection
from serving import Running
from whip_peers import Watcher, ask, ask_async, negotiate

import engine.process.keeper
from clients.commands.talk import talk
from clients.microphone import Microphone
from clients.signalling import TalkError
from engine.contracts import Frame
from engine.paths import assets
from webrtc.media.voice_line import PIECE, VOICE_RATE
from webrtc.rtc.ice_servers import no_servers

pytestmark = pytest.mark.net

NOTICED_S = 5.0  # it takes milliseconds; a busy machine may take longer to answer at all
BACK_S = 60.0  # of a busy machine; a quiet one takes 4 s


@asynccontextmanager
async def watched(url: str) -> AsyncIterator[Watcher]:
    """A session whose voice is a tone that never pauses, and one who watches it."""
    tone = (0.2 * np.sin(2 * np.pi * 300 * np.arange(60 * VOICE_RATE) / VOICE_RATE)).astype(np.float32)
    microphone, publisher, watcher = Microphone(tone, 0.0), RTCPeerConnection(no_servers()), Watcher()
    publisher.addTransceiver(microphone, direction="sendonly")
    opened = await negotiate(publisher, url, "/whip/astronaut")
    await negotiate(watcher.pc, url, f"/whep/{opened.headers['location'].rsplit('/', 1)[1]}")
    microphone.start()
    await watcher.seen(10)
    yield watcher
    await ask_async("DELETE", url + opened.headers["location"])
    await watcher.close()
    await publisher.close()


def heads_of(server: Running) -> list[tuple[float, ...]]:
    """Where the head is in every frame that comes from the engine from now on, of the only session."""
    (stream,) = server.service.sessions.values()
    taken, heads = stream._on_frame, []

    def take(frame: Frame) -> None:
        heads.append(frame.head)
        taken(frame)

    stream._on_frame = take  # type: ignore[method-assign]
    return heads


async def health(url: str) -> int:
    return (await ask_async("GET", f"{url}/healthz")).status


async def until(url: str, status: int, seconds: float) -> float:
    """Wait for a health; how long it took."""
    began = time.monotonic()
    async with asyncio.timeout(seconds):
        while await health(url) != status:  # noqa: ASYNC110  # another process's state
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def test_an_engine_that_dies_is_replaced_and_the_voice_does_not_break(server: Running, tmp_path: Path) -> None:
    kept, url = server.service.engine, server.url
    before = kept.restarts
    async with watched(url) as watcher:
        first = kept.pid
        assert first is not None
        heads = heads_of(server)
        await watcher.seen(30)
        os.kill(first, signal.SIGKILL)
        await until(url, 503, NOTICED_S)
        stood = len(heads)
        with pytest.raises(TalkError, match="being restarted"):
            await talk(url, assets() / "speech.wav", tmp_path / "x.mp4")
        at = len(watcher.sound)
        await until(url, 200, BACK_S)
        await watcher.seen(len(watcher.pictures) + 25, BACK_S)
        assert kept.pid != first
        assert server.sessions == 1, "the session must have lived on"
        loud = [np.abs(piece[:PIECE].astype(int)).max() > 2000 for piece in watcher.sound[at - 5 :]]
        assert np.mean(loud) > 0.9, "the voice must not break"  # a busy machine lets a few packets come late
        turned = np.abs(np.diff(np.array(heads), axis=0)).max(axis=1)  # from one picture to the next
        assert turned[stood - 1] < 0.01, "the head goes on where it stood"
        times = np.diff(watcher.times)
        assert (times > 0).all(), "pictures go on where the timeline is"
        assert times.max() > 0.5, "the last picture stood meanwhile"
    figures = (await asyncio.to_thread(ask, "GET", f"{url}/metrics")).body.decode()
    assert f"vivify_engine_restarts_total {before + 1}.0" in figures


async def test_an_engine_that_stalls_is_waited_for_and_one_that_hangs_is_replaced(
    server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept, url = server.service.engine, server.url
    before = kept.restarts
    async with watched(url) as watcher:
        first = kept.pid
        assert first is not None
        os.kill(first, signal.SIGSTOP)
        try:
            await asyncio.sleep(1.0)
            began = time.monotonic()
            assert await health(url) == 200, "the server answers while its engine stands"
            assert time.monotonic() - began < 1.0
        finally:
            os.kill(first, signal.SIGCONT)
        await watcher.seen(len(watcher.pictures) + 25, BACK_S)
        stats = next(iter(server.service.sessions.values())).stats()
        assert (kept.pid, kept.restarts) == (first, before)
        assert stats["voice_ms"]["refused"] == 0
        monkeypatch.setattr(engine.process.keeper, "HANG_LIMIT_S", 1.0)
        os.kill(first, signal.SIGSTOP)
        await until(url, 503, 10.0)
        monkeypatch.undo()
        await until(url, 200, BACK_S)
        await watcher.seen(len(watcher.pictures) + 10, BACK_S)
        assert kept.restarts == before + 1
