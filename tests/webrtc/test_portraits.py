"""Portraits that visitors bring: a real enrolment in its own process, clear refusals, and an end."""

from __future__ import annotations

import asyncio
import io
import json
import time
from typing import Any

import pytest
from PIL import Image
from serving import Running, running
from websockets.sync.client import connect
from whip_peers import Reply, ask

import webrtc.visitors.visitor_portraits as visitor_portraits
from engine.paths import assets

pytestmark = pytest.mark.net

PNG = {"Content-Type": "image/png"}


def brought(server: Running, photo: bytes) -> dict[str, Any]:
    """What becomes of a photo, once it is known."""
    reply = ask("POST", f"{server.url}/api/avatars", photo, PNG)
    assert reply.status == 202, reply
    until = time.monotonic() + 100
    while (job := json.loads(told(server, reply).body))["state"] == "working":
        assert time.monotonic() < until
        time.sleep(0.1)
    return job


def told(server: Running, reply: Reply) -> Reply:
    return ask("GET", server.url + reply.headers["location"])


def test_a_portrait_becomes_an_avatar_that_only_its_owner_knows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(visitor_portraits, "KEPT_S", 3.0)
    with running(portraits=1) as server:
        job = brought(server, (assets() / "avatars" / "astronaut" / "portrait.png").read_bytes())
        assert (job["state"], job["error"]) == ("done", None), job
        name = job["avatar"]
        assert name not in ask("GET", f"{server.url}/api/avatars").body.decode()
        assert ask("GET", f"{server.url}/api/avatars/{name}/portrait").body.startswith(b"\x89PNG")
        sheet = ask("GET", f"{server.url}/api/avatars/{name}/preview")
        assert sheet.headers["content-type"] == "image/png"
        with Image.open(io.BytesIO(sheet.body)) as picture:
            assert picture.size == (960, 640), "face, person, and the face in motion"
        assert ask("POST", f"{server.url}/api/avatars", b"x", PNG).status == 503, "the one place is taken"
        folder = server.service.portraits.folders[name]
        assert [path.name for path in folder.parent.iterdir()] == ["avatar"], "the photo itself is not kept"
        with connect(f"ws{server.url.removeprefix('http')}/api/voice?avatar={name}") as socket:
            hello = json.loads(socket.recv())
            assert hello["avatar"] == name
            while (message := json.loads(socket.recv(timeout=15))).get("fps", 0) < 5 or message["type"] != "stats":
                pass
            assert folder.exists(), "it lives while somebody shows it"
            ask("DELETE", f"{server.url}/api/session/{hello['session']}")
        left = time.monotonic()
        until = left + 10
        while folder.exists():
            assert time.monotonic() < until, "what nobody uses is deleted"
            time.sleep(0.1)
        assert time.monotonic() > left + 2.5, "so long after it was last used, not after it was made"
        for picture in ("portrait", "preview"):
            assert ask("GET", f"{server.url}/api/avatars/{name}/{picture}").status == 404


def test_what_is_no_portrait_is_refused_in_a_sentence(server: Running) -> None:
    job = brought(server, b"\x89PNG\r\n\x1a\n" + bytes(200))
    assert job["state"] == "refused"
    assert job["avatar"] is None
    assert job["error"].endswith(".")
    assert "/" not in job["error"], "nothing of the server's paths"
    assert not server.service.portraits.folders


def test_uploads_have_limits(server: Running) -> None:
    url = f"{server.url}/api/avatars"
    assert ask("POST", url, bytes(13 << 20), PNG).status == 413
    assert ask("POST", url, b"x", {"Content-Type": "image/svg+xml"}).status == 415
    assert ask("GET", f"{server.url}/api/enrolments/..%2f..%2fetc").status == 404
    with running(portraits=0) as closed:
        assert ask("POST", f"{closed.url}/api/avatars", b"x", PNG).status == 403


async def test_a_server_that_stops_leaves_nothing_behind() -> None:
    with running() as server:
        reply = await asyncio.to_thread(ask, "POST", f"{server.url}/api/avatars", bytes(1000), PNG)
        assert reply.status == 202
        home = server.service.portraits._home
        assert home is not None
        assert home.exists()
    assert not home.exists()
