"""Nothing of a session stays when it has ended."""

from __future__ import annotations

import asyncio
import gc
import weakref
from typing import Any

import numpy as np
import pytest
from serving import Running, running
from websockets.asyncio.client import connect
from whip_peers import Watcher, negotiate

import webrtc.memory
from clients.microphone import Microphone
from clients.signalling import Connection
from clients.trials.monitor import Monitor
from webrtc.live_session import LiveSession
from webrtc.media.voice_line import VOICE_RATE
from webrtc.memory import Sweeper

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("server")]  # which ends the engine


def parts(stream: LiveSession, server: Running) -> dict[str, weakref.ref[Any]]:
    """What a session with a speaker, a viewer and a socket is made of."""
    (viewer,) = stream.viewers.values()
    own: dict[str, Any] = {
        "stream": stream,
        "engine's session": stream._engine_session,
        "playout": stream._playout,
        "delay line": stream._playout.line,
        "sound": stream.sound,
        "picture": stream.picture,
        "viewer": viewer,
    }
    own |= {f"viewer's {kind}": part for kind, part in (("sound", viewer.sound), ("picture", viewer.picture))}
    own |= {f"company {i}": one for i, one in enumerate(stream.participants.members)}
    for name, link in (("speaker's", server.service.connections[stream.name]), ("viewer's", viewer.connection)):
        own |= {f"{name} link": link, f"{name} connection": link.pc}
        own |= {f"{name} sender {i}": s for i, s in enumerate(link.pc.getSenders())}
        own |= {f"{name} receiver {i}": r for i, r in enumerate(link.pc.getReceivers())}
    return {name: weakref.ref(part) for name, part in own.items()}


async def test_nothing_of_a_closed_session_stays() -> None:
    with running() as server:
        monitor = Monitor()
        speaker = Connection(Microphone(np.zeros(VOICE_RATE, np.float32), 0.0), monitor)
        await speaker.open(server.url, 40, None, None)
        (name,) = server.service.sessions
        watcher = Watcher()
        await negotiate(watcher.pc, server.url, f"/whep/{name}")
        async with connect(f"ws{server.url[4:]}/api/voice?session={name}"), asyncio.timeout(10):
            while monitor.total_pictures < 2 or not watcher.pictures:  # noqa: ASYNC110  # they come on this very loop
                await asyncio.sleep(0.02)
            known = parts(server.service.sessions[name], server)
        await speaker.close()
        await watcher.pc.close()
        stay = list(known)
        for _ in range(40):  # the server may have a few timers to run out
            gc.collect()
            stay = [part for part, ref in known.items() if ref() is not None]
            if not stay:
                break
            await asyncio.sleep(0.1)
        assert len(known) > 12
        assert not stay


class Ring:
    """Reachable from nowhere but itself."""

    def __init__(self) -> None:
        self.me = self


async def test_a_sweep_frees_what_goes_round_in_rings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.memory, "SWEEP_AFTER_S", 0.01)
    sweeper = Sweeper()
    gc.disable()
    try:
        for _ in range(2):  # a second time as well
            ring = weakref.ref(Ring())
            assert ring() is not None
            sweeper.soon()
            sweeper.soon()
            async with asyncio.timeout(5):
                while ring() is not None:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.01)
    finally:
        gc.enable()


async def test_the_end_of_a_session_and_of_a_viewer_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    with running() as server:
        ended: list[int] = []
        monkeypatch.setattr(server.service, "_on_ended", lambda: ended.append(server.sessions))
        async with connect(f"ws{server.url[4:]}/api/voice"):
            (name,) = server.service.sessions
            watcher = Watcher(("video",))
            await negotiate(watcher.pc, server.url, f"/whep/{name}")
            (viewer,) = server.service.sessions[name].viewers.values()
            asyncio.run_coroutine_threadsafe(viewer.close(), viewer.connection._loop)
            async with asyncio.timeout(5):
                while ended != [1]:  # noqa: ASYNC110  # the server runs on another thread's loop
                    await asyncio.sleep(0.02)
            await watcher.pc.close()
    assert ended == [1, 0]
