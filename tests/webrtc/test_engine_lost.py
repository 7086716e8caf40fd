"""The engine dies in the middle of a session: everyone is told, the server lives."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from clients.talk import TalkError, talk
from engine.config import EngineConfig
from engine.paths import assets
from engine.worker import EngineProcess
from webrtc.config import ServerConfig
from webrtc.server import listen, serve_on
from webrtc.service import Service

pytestmark = pytest.mark.net


def status(url: str) -> tuple[int, dict]:
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, json.load(response)
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error)


async def test_a_dead_engine_is_told_and_the_server_lives(tmp_path: Path) -> None:
    engine = EngineProcess(EngineConfig(max_sessions=1))
    await asyncio.to_thread(engine.start)
    service = Service(engine, ServerConfig(port=0, engine=engine.config))
    speech = assets() / "speech.wav"

    async def proof(url: str) -> bool:
        assert (await asyncio.to_thread(status, f"{url}/healthz"))[0] == 200
        work = asyncio.create_task(talk(url, speech, tmp_path / "x.mp4"))
        while not any(peer.stats()["frames"]["shown"] for peer in service.streams.values()):  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        assert engine.pid is not None
        os.kill(engine.pid, signal.SIGKILL)
        with pytest.raises(TalkError, match="engine stopped"):
            await work
        assert not service.streams
        assert await asyncio.to_thread(status, f"{url}/healthz") == (
            503,
            {"ok": False, "sessions": 0, "max_sessions": 1},
        )
        with pytest.raises(TalkError, match="engine is not running"):
            await talk(url, speech, tmp_path / "x.mp4")
        return False

    try:
        with listen("127.0.0.1", 0) as sock:
            await serve_on(service, sock, proof)
    finally:
        engine.stop()
