"""A fleet on a real Ray, started here: two nodes behind the door of Ray Serve's; where Ray is installed."""

from __future__ import annotations

import asyncio
import importlib.util
import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from whip_peers import SDP, ask_async, offer_of

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(importlib.util.find_spec("ray") is None, reason="Ray is not installed (extra 'fleet')"),
]

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 150
PASSED_ON = {"X-Forwarded-For": "127.0.0.1"}


@dataclass(frozen=True)
class OnRay:
    url: str
    pid: int

    def node_pid(self, name: str) -> int:
        """The process of a node, among all that the fleet began."""
        for pid in _below(self.pid):
            words = _words(pid)
            if "webrtc.fleet.node_process" in words and words[-1] == name:
                return pid
        raise AssertionError(f"{name} is not there")


def _words(pid: int) -> list[str]:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().strip("\0").split("\0")
    except OSError:
        return [""]


def _below(pid: int) -> Iterator[int]:
    for task in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            children = task.read_text().split()
        except OSError:
            continue
        for child in map(int, children):
            yield child
            yield from _below(child)


@pytest.fixture(scope="module")
def ray_fleet() -> Iterator[OnRay]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "clients.cli", "fleet", "--port", str(port), "--size", "256", "--max-sessions"]
    command += ["2", "--min-nodes", "2", "--node-cores", "0.5", "--max-nodes", "3", "--spare", "1", "--drain-seconds"]
    command += ["1", "--node-idle-seconds", "2"]
    python_path = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    environment = os.environ | {"PYTHONPATH": python_path}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, start_new_session=True)
    url = f"http://127.0.0.1:{port}"
    try:
        asyncio.run(until_free(url, 4, process))
        yield OnRay(url, process.pid)
        process.send_signal(signal.SIGTERM)
        assert process.wait(60) == 0
    finally:
        if process.poll() is None:
            process.kill()


async def until_free(url: str, free: int, process: subprocess.Popen[bytes] | None = None) -> None:
    async with asyncio.timeout(START_LIMIT_S):
        while True:
            assert process is None or process.poll() is None, "the fleet did not start"
            try:
                if json.loads((await ask_async("GET", f"{url}/readyz")).body)["free"] == free:
                    return
            except OSError:
                pass
            await asyncio.sleep(0.1)


async def until_places(url: str, places: int) -> None:
    """Until all nodes together have so many, free or not."""
    async with asyncio.timeout(START_LIMIT_S):
        while json.loads((await ask_async("GET", f"{url}/healthz")).body)["max_sessions"] != places:  # noqa: ASYNC110
            await asyncio.sleep(0.1)


@asynccontextmanager
async def pushing(fleet: OnRay) -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """A socket that speaks, and its hello; its session ends with the block."""
    async with connect(f"ws{fleet.url.removeprefix('http')}/api/voice", proxy=None) as socket_:
        hello = json.loads(await socket_.recv())
        yield socket_, hello
        await ask_async("DELETE", f"{fleet.url}/api/session/{hello['session']}")


async def until_closed(socket_: ClientConnection) -> int | None:
    try:
        while True:
            await socket_.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None


def node_in(hello: dict[str, Any]) -> str:
    return str(hello["session"]).split(".")[0]


async def test_whip_is_answered_through_the_door(ray_fleet: OnRay) -> None:
    await until_free(ray_fleet.url, 4)
    offer = (await asyncio.to_thread(offer_of, "audio", "sendonly")).encode()
    made = await ask_async("POST", f"{ray_fleet.url}/whip/astronaut", offer, SDP | PASSED_ON)
    assert made.status == 201
    where = ray_fleet.url + made.headers["location"]
    assert (await ask_async("DELETE", where, headers=PASSED_ON)).status == 200
    assert (await ask_async("DELETE", where, headers=PASSED_ON)).status == 404
    assert (await ask_async("GET", f"{ray_fleet.url}/")).status == 200
    metrics = (await ask_async("GET", f"{ray_fleet.url}/metrics")).body.decode()
    assert 'vivify_sessions{node="n1"} 0' in metrics


async def test_a_killed_node_is_nobody_elses_and_comes_back(ray_fleet: OnRay) -> None:
    await until_free(ray_fleet.url, 4)
    async with pushing(ray_fleet) as (first, kept), pushing(ray_fleet) as (second, lost):
        assert node_in(kept) != node_in(lost)
        os.kill(ray_fleet.node_pid(node_in(lost)), signal.SIGKILL)
        began = time.monotonic()
        assert await until_closed(second) == 1012, "come back"
        async with pushing(ray_fleet) as (_, again):
            assert time.monotonic() - began < 3, "the second attempt lands elsewhere"
            assert node_in(again) == node_in(kept)
        assert first.close_code is None
    await until_free(ray_fleet.url, 4)


async def test_a_node_is_added_while_places_run_out_and_leaves_when_idle(ray_fleet: OnRay) -> None:
    await until_free(ray_fleet.url, 4)
    async with pushing(ray_fleet), pushing(ray_fleet), pushing(ray_fleet), pushing(ray_fleet):
        await until_places(ray_fleet.url, 6)
        async with pushing(ray_fleet):  # one more than two nodes hold
            pass
    await until_places(ray_fleet.url, 4)


async def test_a_door_that_dies_is_made_anew_and_knows_the_nodes(ray_fleet: OnRay) -> None:
    await until_places(ray_fleet.url, 4)
    [door] = [pid for pid in _below(ray_fleet.pid) if _words(pid)[0].startswith("ray::ServeReplica")]
    os.kill(door, signal.SIGKILL)
    await until_free(ray_fleet.url, 4)


async def test_a_rolling_drain_loses_nobody_who_comes_back(ray_fleet: OnRay) -> None:
    await until_free(ray_fleet.url, 4)
    before = {pid for pid in _below(ray_fleet.pid) if "webrtc.fleet.node_process" in _words(pid)}
    os.kill(ray_fleet.pid, signal.SIGHUP)
    returns, longest = 0, 0.0
    async with asyncio.timeout(START_LIMIT_S):
        while before & set(_below(ray_fleet.pid)):
            lost = time.monotonic()
            try:
                async with connect(f"ws{ray_fleet.url.removeprefix('http')}/api/voice", proxy=None) as socket_:
                    longest = max(longest, time.monotonic() - lost)
                    async with asyncio.timeout(5):
                        code = await until_closed(socket_)
                assert code == 1012, "come back"
                returns += 1
            except TimeoutError:
                continue  # it stays
            except InvalidHandshake:
                await asyncio.sleep(0.1)
    assert returns >= 1
    assert longest < 3
    await until_free(ray_fleet.url, 4)
