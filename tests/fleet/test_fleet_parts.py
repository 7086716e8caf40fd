"""What a fleet is made of, without a process: who is sent where, how many fit, whose figures these are."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from importlib.util import find_spec
from pathlib import Path

import h11
import httpx
import pytest

from clients.commands.ray_serving import FleetWishes, serve_on_ray
from clients.commands.serve import places
from engine.errors import VivifyError
from webrtc.access.addresses import address_for, fresh, node_of
from webrtc.access.rights import Caller
from webrtc.fleet.capacity import Measured
from webrtc.fleet.door import Door, _name_in, create_door
from webrtc.fleet.kept_node import KeptNode
from webrtc.fleet.merged_metrics import merged
from webrtc.fleet.node_keeper import shares_of_cores
from webrtc.fleet.node_process import read, written
from webrtc.fleet.nodes import Node, Nodes
from webrtc.fleet.scaling import Limits
from webrtc.server_config import IceServer, ServerConfig

pytestmark = pytest.mark.cpu


def nodes(*free: int) -> Nodes:
    made = [Node(f"n{number}", slots=4) for number, _ in enumerate(free)]
    for node, left in zip(made, free, strict=True):
        node.heard(left)
    return Nodes(made)


def test_names_tell_their_node_and_wishes_none() -> None:
    assert node_of(fresh("n7")) == "n7"
    assert node_of(f"own-{fresh('n7')}") == "n7"
    assert node_of(fresh()) == ""
    for path in ("api/avatars/{}", "api/avatars/{}/portrait", "api/avatars/{}/preview", "api/enrolments/{}"):
        assert _name_in(path.format("a-face")) == "a-face"
    caller = Caller("owner", "here")
    assert node_of(address_for(caller, None, None, "n7")) == "n7"
    assert node_of(address_for(caller, "stage", "key", "n7")) == ""
    with pytest.raises(VivifyError, match="letters, digits"):
        address_for(caller, "n7.stage", None)


def test_the_emptiest_node_comes_first_also_while_others_are_on_their_way() -> None:
    all_of = nodes(2, 3, 0)
    assert [node.name for node in all_of.for_opening(None)] == ["n1", "n0", "n2"], "a full one last"
    for _ in range(2):
        all_of.named("n1").sent()  # type: ignore[union-attr]
    assert [node.name for node in all_of.for_opening(None)] == ["n0", "n1", "n2"]
    all_of.named("n1").arrived(let_in=False)  # type: ignore[union-attr]
    all_of.named("n1").arrived(let_in=True)  # type: ignore[union-attr]
    assert [node.room for node in all_of.all] == [2, 2, 0]
    full = all_of.named("n2")
    assert full is not None
    full.sent()
    full.arrived(let_in=True)
    assert full.free == 0, "it had told already that the place is taken"
    all_of.named("n0").lost()  # type: ignore[union-attr]
    assert all_of.named("n0") is None
    assert [node.name for node in all_of.for_opening(None)] == ["n1", "n2"]


def test_an_address_keeps_its_order_when_a_node_goes() -> None:
    all_of = nodes(1, 1, 1, 1)
    before = [node.name for node in all_of.in_order("stage")]
    assert before != [node.name for node in all_of.in_order("another")] or before != sorted(before)
    all_of.named(before[0]).lost()  # type: ignore[union-attr]
    assert [node.name for node in all_of.in_order("stage")] == before[1:]
    assert [node.name for node in all_of.for_opening("stage")] == before[1:]


def test_a_full_node_is_asked_for_an_address_in_its_turn() -> None:
    """It alone knows whether the address is taken there; the door's count of its places may be old, too."""
    all_of = nodes(1, 1, 1)
    first, second, third = all_of.in_order("stage")
    first.heard(0)
    assert all_of.for_opening("stage") == [first, second, third]
    assert all_of.for_opening(None)[-1] is first
    second.silent()
    assert all_of.for_opening("stage") == [first, third, second], "who is slow to answer is asked last"
    second.heard(1)
    assert all_of.for_opening("stage") == [first, second, third]


@pytest.mark.parametrize(
    ("measured", "slots"),
    [
        (Measured(2.0, 3.5, 2.0, 0.35, 2), 6),  # 512 pixels
        (Measured(2.0, 1.9, 0.9, 0.35, 2), 8),  # 256
        (Measured(2.0, 3.5, 2.0, 0.35, 1), 2),
        (Measured(2.0, 1.0, 1.0, 0.35, 16), 18),  # one event loop sends for no more, whatever cores there are
        (Measured(60.0, 60.0, 9.0, 4.0, 1), 1),
    ],
)
def test_slots_are_what_cores_steps_and_the_event_loop_hold(measured: Measured, slots: int) -> None:
    assert measured.slots == slots


def test_figures_of_two_nodes_stand_together_with_their_names() -> None:
    text = '# HELP a What.\n# TYPE a gauge\na{b="1"} 2.0\n# HELP c Why.\n# TYPE c counter\nc_total 3.0\n'
    lines = merged({"n1": text, "n2": text}).splitlines()
    assert lines == [
        "# HELP a What.",
        "# TYPE a gauge",
        'a{node="n1",b="1"} 2.0',
        'a{node="n2",b="1"} 2.0',
        "# HELP c Why.",
        "# TYPE c counter",
        'c_total{node="n1"} 3.0',
        'c_total{node="n2"} 3.0',
    ]


def test_a_node_is_told_all_of_its_configuration() -> None:
    turn = IceServer("turn:turn.example:3478", secret="shared")
    config = ServerConfig(token="a-secret-of-sixteen:watch", ice_servers=(turn,), origins=("https://a.b",), node="n1")
    assert read(written(config, [1], True).decode()) == (config, [1], True)


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux pins processes")
def test_cores_are_shared_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3, 5, 7})
    assert shares_of_cores(2) == [[0, 2], [3, 5, 7]]
    assert shares_of_cores(5) == [[0], [2], [3], [5], [7]]
    assert shares_of_cores(6) == [[0], [2], [3], [5], [7], [0]]


async def test_the_door_asks_for_a_token_before_any_node_hears_of_it() -> None:
    config = ServerConfig(token="all-of-the-rights,watches-and-no-more:watch")
    none = Nodes([Node("n1")])
    app = create_door(Door(none, config, redirects=True), none, config)
    transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:

        async def status(method: str, path: str, token: str) -> int:
            headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/sdp"}
            return (await client.request(method, path, headers=headers, content=b"v=0")).status_code

        for method, path in (
            ("POST", "/whip/astronaut"),
            ("POST", "/whep/stage"),
            ("PATCH", "/whip/session/n1.x"),
            ("DELETE", "/api/session/n1.x"),
            ("GET", "/api/avatars"),
            ("GET", "/metrics"),
        ):
            assert await status(method, path, "none") == 401, path
        assert await status("POST", "/whip/astronaut", "watches-and-no-more") == 403
        assert await status("GET", "/metrics", "watches-and-no-more") == 403
        assert await status("POST", "/whip/astronaut", "all-of-the-rights") == 503, "no node is up"
        assert await status("DELETE", "/api/session/n1.x", "all-of-the-rights") == 404, "it went with its node"
        assert await status("GET", "/", "") == 503
        assert (await client.get("/readyz")).json() == {"ready": False, "reason": "No node is up.", "free": 0}
        assert (await client.get("/healthz", headers={"Host": "evil.example"})).status_code == 421


async def test_a_body_of_unknown_length_comes_through_the_door_whole() -> None:
    async def node(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = h11.Connection(h11.SERVER)
        while (event := heard.next_event()) is not h11.PAUSED and not isinstance(event, h11.EndOfMessage):
            if event is h11.NEED_DATA:
                heard.receive_data(await reader.read(1 << 16))
            elif isinstance(event, h11.Data):
                came.extend(event.data)
        writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async def film() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield bytes(100_000)

    came = bytearray()
    async with await asyncio.start_server(node, "127.0.0.1", 0) as listening:
        one = Node("n1", port=listening.sockets[0].getsockname()[1])
        one.heard(1)
        config, known = ServerConfig(), Nodes([one])
        app = create_door(Door(known, config, redirects=False), known, config)
        transport = httpx.ASGITransport(app, client=("127.0.0.1", 1))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            reply = await client.post("/api/avatars", content=film(), headers={"Content-Type": "video/mp4"})
    assert (reply.status_code, len(came)) == (202, 400_000)


def test_options_that_say_how_many_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    assert places(None, None, None)[1] == 2
    alone, most = places(None, "3", None)
    assert (alone.nodes, alone.measured, most) == (0, False, 3)
    several, _ = places("2", None, 9000)
    assert (several.nodes, several.measured, several.first_port) == (2, True, 9000)
    for cores, count in ((1, 1), (2, 1), (5, 2), (16, 8), (256, 64)):
        monkeypatch.setattr("clients.commands.serve.usable_cores", lambda cores=cores: cores)
        assert places("auto", "1", None)[0].nodes == count
    for nodes, most_sessions, port in (("0", None, None), ("many", None, None), (None, "65", None), (None, "x", None)):
        with pytest.raises(VivifyError, match="'auto' or a number"):
            places(nodes, most_sessions, port)
    with pytest.raises(VivifyError, match="--nodes, too"):
        places(None, None, 9000)


def test_what_a_fleet_cannot_be_is_refused() -> None:
    for cores, gpus, what in ((0.0, 0.0, "cores"), (1.0, 1.5, "a part of one"), (1.0, -1.0, "a part of one")):
        with pytest.raises(VivifyError, match=what):
            FleetWishes("auto", 1, None, 1, 300, cores, gpus)
    with pytest.raises(VivifyError, match="this machine has"):
        FleetWishes(None, 1000, None, 1, 300, 8.0, 0)
    assert FleetWishes("auto", 2, 5, 3, 60, 1, 0.25).limits == Limits(2, 5, 3, 60)


@pytest.mark.skipif(find_spec("ray") is not None, reason="Ray is installed")
async def test_without_ray_it_is_said_in_a_sentence() -> None:
    async def never(url: str) -> bool:
        raise AssertionError(url)

    with pytest.raises(VivifyError, match=r"ray is not installed: pip install 'vivify\[fleet\]'"):
        await serve_on_ray(ServerConfig(), FleetWishes("auto", 1, 1, 1, 300, 1, 0), False, None, lambda _: None, never)


def test_nobody_new_is_sent_to_a_node_that_is_retired() -> None:
    all_of = nodes(3, 1)
    all_of.all[0].retired = True
    assert [node.name for node in all_of.for_opening(None)] == ["n1", "n0"]
    assert (all_of.free, all_of.sessions) == (1, 4)
    all_of.remove("n1")
    assert all_of.add("n0") is all_of.named("n0")
    assert [node.name for node in all_of.for_opening(None)] == ["n0"], "better than none"


async def test_a_node_is_kept_although_its_process_cannot_be_had_and_says_more_than_a_line_holds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program, told = tmp_path / "program", '{"ready": {"port": 1, "slots": 3}}'
    program.write_text(f"#!/bin/sh\nhead -c 200000 /dev/zero | tr '\\0' x\necho\necho '{told}'\nexec cat > /dev/null\n")
    program.chmod(0o700)
    monkeypatch.setattr(sys, "executable", str(tmp_path / "absent"))
    kept = KeptNode(ServerConfig(node="n1"), None, False, print)
    keeping = asyncio.create_task(kept.keep())
    await asyncio.sleep(0.1)
    assert not keeping.done()
    monkeypatch.setattr(sys, "executable", str(program))
    await asyncio.wait_for(kept.ready.wait(), 20)
    assert (kept.node.slots, kept.error) == (3, None)
    await kept.stop()
    await keeping
