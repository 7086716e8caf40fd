"""Two real nodes behind a real door: everything finds its node by its name, and a node's death is nobody else's."""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from aiortc import RTCSessionDescription
from fleet_serving import Fleet
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from whip_peers import SDP, Watcher, ask_async, offer_of, page_offer

from clients.microphone import Microphone
from clients.signalling import Connection
from clients.trials import measuring
from clients.trials.monitor import Monitor
from webrtc.media.voice_line import VOICE_RATE

pytestmark = pytest.mark.net

PASSED_ON = {"X-Forwarded-For": "127.0.0.1"}  # as by a proxy: nobody is sent to a node that only the proxy could reach


def node_in(name: str) -> str:
    return name.split(".")[0]


async def until_free(two: Fleet, free: int, limit_s: float = 60) -> None:
    async with asyncio.timeout(limit_s):
        while json.loads((await ask_async("GET", f"{two.url}/readyz")).body)["free"] != free:  # noqa: ASYNC110  # another process
            await asyncio.sleep(0.05)


@asynccontextmanager
async def pushing(two: Fleet, query: str = "") -> AsyncIterator[tuple[ClientConnection, dict[str, Any]]]:
    """A socket that speaks, and its hello; its session ends with the block."""
    async with connect(f"ws{two.url.removeprefix('http')}/api/voice?{query}", proxy=None) as socket:
        hello = json.loads(await socket.recv())
        yield socket, hello
        await ask_async("DELETE", f"{two.url}/api/session/{hello['session']}")


async def test_sessions_are_shared_out_and_found_by_their_names(two: Fleet) -> None:
    await until_free(two, 4)
    async with pushing(two) as (_, first), pushing(two) as (_, second):
        assert {node_in(first["session"]), node_in(second["session"])} == {"n1", "n2"}, "the emptier one each time"
        async with pushing(two), pushing(two):
            await until_free(two, 0)
            offer = json.dumps({"type": "offer", "sdp": await asyncio.to_thread(page_offer)}).encode()
            full = await ask_async("POST", f"{two.url}/api/session", offer, {"Content-Type": "application/json"})
            assert (full.status, "full" in json.loads(full.body)["error"]) == (503, True)
            assert int(full.headers["retry-after"]) > 0
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws{two.url.removeprefix('http')}/api/voice", proxy=None)
            assert refused.value.response.status_code == 503
            assert (await ask_async("GET", f"{two.url}/readyz")).status == 503
        metrics = (await ask_async("GET", f"{two.url}/metrics")).body.decode()
        assert re.search(r'^vivify_sessions\{node="n1"\} [12]', metrics, re.MULTILINE)
        assert re.search(r'^vivify_sessions\{node="n2"\} [12]', metrics, re.MULTILINE)
        viewers = [Watcher(), Watcher()]
        for viewer, hello in zip(viewers, (first, second), strict=True):
            assert node_in(hello["watch"]) == node_in(hello["session"])
            made = await negotiate_passed(viewer, two, f"/whep/{hello['watch']}")
            await viewer.seen(5)
            assert (await ask_async("HEAD", two.url + made)).status == 204
            assert (await ask_async("DELETE", two.url + made)).status == 200
            await viewer.close()
        query = f"watch={first['watch']}"
        async with connect(f"ws{two.url.removeprefix('http')}/api/motion?{query}", proxy=None) as motions:
            assert json.loads(await motions.recv())["type"] == "motion"
    for gone in (first["session"], "n9.never", "never"):
        assert (await ask_async("DELETE", f"{two.url}/api/session/{gone}")).status == 404
    await until_free(two, 4)


async def negotiate_passed(watcher: Watcher, two: Fleet, path: str) -> str:
    """Watch by the door alone, without being sent to a node; where the viewer is."""
    await watcher.pc.setLocalDescription(await watcher.pc.createOffer())
    body = watcher.pc.localDescription.sdp.encode()
    reply = await ask_async("POST", two.url + path, body, {**SDP, **PASSED_ON})
    assert reply.status == 201, reply
    await watcher.pc.setRemoteDescription(RTCSessionDescription(reply.body.decode(), "answer"))
    return reply.headers["location"]


async def test_a_wished_address_is_found_wherever_it_is(two: Fleet) -> None:
    await until_free(two, 4)
    for wish in ("stage", "balcony", "cellar"):
        offer = (await asyncio.to_thread(offer_of, "audio", "recvonly")).encode()
        early = await ask_async("POST", f"{two.url}/whep/{wish}", offer, SDP | PASSED_ON)
        assert (early.status, early.headers["retry-after"]) == (409, "2"), "nobody is there yet"
        async with pushing(two, f"watch={wish}") as (_, hello):
            assert hello["watch"] == wish
            watcher = Watcher()
            await negotiate_passed(watcher, two, f"/whep/{wish}")
            await watcher.seen(3)
            await watcher.close()
            with pytest.raises(InvalidStatus) as refused:
                await connect(f"ws{two.url.removeprefix('http')}/api/voice?watch={wish}", proxy=None)
            assert refused.value.response.status_code == 409


@asynccontextmanager
async def talking(two: Fleet) -> AsyncIterator[tuple[Connection, Monitor]]:
    monitor = Monitor()
    connection = Connection(Microphone(measuring.spoken(VOICE_RATE), 0.0, again=True), monitor)
    await connection.open(two.url, 40, None, None)
    try:
        yield connection, monitor
    finally:
        await connection.close()


async def test_a_nodes_death_is_nobody_elses_and_its_place_comes_back(two: Fleet) -> None:
    await until_free(two, 4)
    async with talking(two) as (first, kept), talking(two) as (second, _):
        assert first.hello is not None
        assert second.hello is not None
        assert node_in(first.hello["session"]) != node_in(second.hello["session"])
        dead = node_in(second.hello["session"])
        kept.span()
        await asyncio.sleep(1)
        before = kept.span()
        os.kill(two.node_pid(dead), signal.SIGKILL)
        async with talking(two) as (again, _):
            assert again.hello is not None
            assert node_in(again.hello["session"]) == node_in(first.hello["session"])
            ready = await ask_async("GET", f"{two.url}/readyz")
            assert json.loads(ready.body)["free"] == 0, "nobody waited until the dead one's places were back"
        gone = await ask_async("DELETE", f"{two.url}/api/session/{second.hello['session']}")
        assert gone.status == 404, "it is said at once, not waited for"
        await asyncio.sleep(1)  # sounds come by 20 ms: a short span tells little
        span = kept.span()
        assert span.sound_ms / span.seconds > 0.9 * before.sound_ms / before.seconds
        assert span.fps > 0.6 * before.fps, "the machine starts a whole node beside it"
        assert first.lost is None
    await until_free(two, 4)


async def test_a_rolling_drain_loses_nobody_who_comes_back(two: Fleet) -> None:
    await until_free(two, 4)
    before = {two.node_pid(name) for name in ("n1", "n2")}
    began = time.monotonic()
    os.kill(two.pid, signal.SIGHUP)

    async def stay() -> tuple[int, float]:
        """Speak until both nodes are others; how often one had to come back, and the longest time that took."""
        returns, longest = 0, 0.0
        while not renewed.is_set():
            lost = time.monotonic()
            while True:
                try:
                    socket = await connect(f"ws{two.url.removeprefix('http')}/api/voice", proxy=None)
                    break
                except InvalidStatus:  # its node leaves, and the other is full or not there yet
                    await asyncio.sleep(0.1)
            longest = max(longest, time.monotonic() - lost)
            leaving = asyncio.create_task(renewed.wait())
            heard = asyncio.create_task(_until_closed(socket))
            await asyncio.wait((leaving, heard), return_when=asyncio.FIRST_COMPLETED)
            if heard.done():
                assert heard.result() == 1012, "come back"
                returns += 1
            leaving.cancel()
            heard.cancel()
            await socket.close()
        return returns, longest

    renewed = asyncio.Event()
    stayers = [asyncio.create_task(stay()) for _ in range(2)]
    async with asyncio.timeout(120):
        while True:
            try:
                if not before & {two.node_pid(name) for name in ("n1", "n2")}:
                    break
            except (AssertionError, OSError):
                pass  # one is being renewed
            await asyncio.sleep(0.1)
    renewed.set()
    one_node_s = (time.monotonic() - began) / 2
    came_back = await asyncio.gather(*stayers)
    assert sum(returns for returns, _ in came_back) >= 1
    assert max(longest for _, longest in came_back) < one_node_s, "nobody waits for a node to start"
    await until_free(two, 4)


async def test_whip_and_whep_clients_are_sent_to_the_node(two: Fleet) -> None:
    await until_free(two, 4)
    offer = (await asyncio.to_thread(offer_of, "audio", "sendonly")).encode()
    sent = await ask_async("POST", f"{two.url}/whip/astronaut?look_ahead_ms=40&watch=hall", offer, SDP)
    assert sent.status == 307
    query = r"look_ahead_ms=40&watch=hall"
    place = re.fullmatch(rf"http://127\.0\.0\.1:(\d+)/whip/astronaut\?{query}", sent.headers["location"])
    assert place is not None
    assert int(place[1]) in (two.node_port, two.node_port + 1)
    page = {**SDP, "Origin": two.url}
    passed = await ask_async("POST", f"{two.url}/whip/astronaut", offer, page)
    assert passed.status == 201, "a page may ask the door alone"
    assert (await ask_async("DELETE", two.url + passed.headers["location"], headers=PASSED_ON)).status == 200
    opened = await ask_async("POST", sent.headers["location"], offer, SDP)
    assert opened.status == 201
    name = opened.headers["location"].rsplit("/", 1)[1]
    assert (await ask_async("DELETE", f"{two.url}/whip/session/{name}")).status == 200, "and the door knows it, too"


async def _until_closed(socket: ClientConnection) -> int | None:
    try:
        while True:
            await socket.recv()
    except ConnectionClosed as closed:
        return closed.rcvd.code if closed.rcvd else None
