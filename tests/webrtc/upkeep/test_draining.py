"""A server that is told to stop lets people finish, tells the rest to come back, and leaves nothing behind."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import numpy as np
import pytest
from aiortc import RTCPeerConnection, RTCSessionDescription
from serving import running
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed
from whip_peers import SDP, Watcher, ask, ask_async, negotiate

from clients.microphone import Microphone
from engine.errors import VivifyError
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.ice_servers import no_servers
from webrtc.server_config import ServerConfig

pytestmark = [pytest.mark.net, pytest.mark.usefixtures("server")]  # which stops the engine at the end


def publisher() -> tuple[RTCPeerConnection, Microphone]:
    pc, microphone = RTCPeerConnection(no_servers()), Microphone(np.zeros(VOICE_RATE, np.float32), 0.0)
    pc.addTransceiver(microphone, direction="sendonly")
    return pc, microphone


async def test_nobody_new_comes_in_and_those_who_are_there_may_finish() -> None:
    with running(drain_seconds=20) as server:
        pc, microphone = publisher()
        watcher = Watcher()
        opened = await negotiate(pc, server.url, "/whip/astronaut")
        microphone.start()
        server.drain()
        await asyncio.sleep(0.3)
        ready = await ask_async("GET", f"{server.url}/readyz")
        assert (ready.status, json.loads(ready.body)["reason"]) == (503, "The server is stopping.")
        assert (await ask_async("GET", f"{server.url}/healthz")).status == 200, "it lives"
        other, _ = publisher()
        await other.setLocalDescription(await other.createOffer())
        refused = await ask_async("POST", f"{server.url}/whip/astronaut", other.localDescription.sdp.encode(), SDP)
        assert (refused.status, "stop" in json.loads(refused.body)["error"]) == (503, True)
        assert int(refused.headers["retry-after"]) > 0
        name = opened.headers["location"].rsplit("/", 1)[1]
        await negotiate(watcher.pc, server.url, f"/whep/{name}")
        await watcher.seen(10)
        assert (await ask_async("DELETE", server.url + opened.headers["location"])).status == 200
        await asyncio.sleep(1)  # the last one has left: the server ends by itself
        with pytest.raises(OSError, match="refused"):
            await ask_async("GET", f"{server.url}/healthz")
        for peer in (pc, other):
            await peer.close()
        await watcher.close()


async def test_a_socket_is_told_to_come_back() -> None:
    with running(drain_seconds=0.2) as server:
        async with connect(server.url.replace("http", "ws") + "/api/voice") as socket:
            assert json.loads(await socket.recv())["type"] == "hello"
            server.drain()
            told = []
            with contextlib.suppress(ConnectionClosed):
                while True:
                    told.append(json.loads(await socket.recv()))
            assert socket.close_code == 1012, "a restart, says RFC 6455's registry of codes"
    assert (told[-1]["type"], told[-1]["come_back_s"]) == ("bye", 2.0)


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


async def test_a_second_signal_ends_at_once_and_nothing_is_left(tmp_path: Path) -> None:
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    settings = {**os.environ, "TMPDIR": str(tmp_path)}
    command = [sys.executable, "-m", "clients.cli", "serve", "--port", str(port), "--drain-seconds", "60"]
    process = subprocess.Popen(  # noqa: ASYNC220
        command, env=settings, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )
    try:
        await asyncio.to_thread(_answers, url, process)
        engines = children(process.pid)
        assert engines
        pc, _ = publisher()
        await negotiate(pc, url, "/whip/astronaut")
        two_way, came = await talker(url)
        process.send_signal(signal.SIGTERM)
        await asyncio.sleep(1)
        assert process.poll() is None, "two sessions may finish"
        assert (await ask_async("GET", f"{url}/readyz")).status == 503
        process.send_signal(signal.SIGTERM)
        assert await asyncio.to_thread(process.wait, 8) == 0
        await asyncio.sleep(0.5)
        bye = [message for message in came if message["type"] == "bye"]
        assert [message["come_back_s"] for message in bye] == [2.0]
        assert pc.connectionState == "closed", "a publisher is told by the end of its connection"
        await pc.close()
        await two_way.close()
    finally:
        process.kill()
        _, said = process.communicate()
    assert "2 sessions may finish within 60 s" in said
    assert "Traceback" not in said
    assert not set(engines) & set(map(int, filter(str.isdigit, os.listdir("/proc"))))
    assert set(os.listdir(tmp_path)) <= {".ses"}, "ONNX Runtime's own, one for all processes"


def _answers(url: str, process: subprocess.Popen[str]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        assert process.poll() is None
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.1)
    raise AssertionError("the server did not start")


def children(pid: int) -> list[int]:
    return [int(word) for task in Path(f"/proc/{pid}/task").glob("*/children") for word in task.read_text().split()]


async def talker(url: str) -> tuple[RTCPeerConnection, list[dict[str, object]]]:
    """A two-way session, and the messages that come."""
    pc, came, hello = RTCPeerConnection(no_servers()), [], asyncio.Event()
    pc.addTransceiver("audio")
    pc.addTransceiver("video", direction="recvonly")
    channel = pc.createDataChannel("control")
    channel.on("message", lambda text: (came.append(json.loads(text)), hello.set()))
    await pc.setLocalDescription(await pc.createOffer())
    body = json.dumps({"type": "offer", "sdp": pc.localDescription.sdp}).encode()
    reply = await asyncio.to_thread(ask, "POST", f"{url}/api/session", body, {"Content-Type": "application/json"})
    await pc.setRemoteDescription(RTCSessionDescription(json.loads(reply.body)["sdp"], "answer"))
    await asyncio.wait_for(hello.wait(), 15)
    return pc, came


def test_how_long_it_may_take_is_checked() -> None:
    with pytest.raises(VivifyError, match="seconds"):
        ServerConfig(drain_seconds=-1)
