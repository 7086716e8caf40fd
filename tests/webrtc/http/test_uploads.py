"""Photos of strangers: refused before they are read, taken to disk in pieces, held to memory, counted by owner."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image
from serving import Running, running
from starlette.requests import Request
from starlette.types import Message, Receive, Scope, Send
from whip_peers import ask

import webrtc.http.bodies
import webrtc.http.lingering
from engine.enrolment.photos.photo import read_photo
from engine.enrolment.photos.photo_formats import of_strangers
from engine.errors import EngineFull, VivifyError
from engine.process.enrolment_worker import PHOTO, TOO_LARGE
from webrtc.access.rights import Caller
from webrtc.http.bodies import save_body
from webrtc.http.refusals import refused
from webrtc.visitors.enrolment_job import Job
from webrtc.visitors.visitor_portraits import JOBS, NoRoom, TooManyPortraits, VisitorPortraits
from webrtc.visitors.visitors_home import make_home, sweep

PNG = "image/png"


def begun(server: Running, length: int, sent: bytes = b"", kind: str = PNG) -> socket.socket:
    """A request whose body has not come yet, but for ``sent``."""
    return begin(server, kind, f"Content-Length: {length}", sent)


def begin(server: Running, kind: str, length: str, sent: bytes) -> socket.socket:
    host, port = server.url.removeprefix("http://").split(":")
    line = socket.create_connection((host, int(port)), timeout=20)
    head = f"POST /api/avatars HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\n{length}\r\n\r\n"
    line.sendall(head.encode() + sent)
    return line


def wait_until(done: Callable[[], bool]) -> None:
    until = time.monotonic() + 30
    while not done():
        assert time.monotonic() < until
        time.sleep(0.01)


def answered(line: socket.socket) -> tuple[int, str]:
    with line:
        text = line.recv(65536).decode()
    return int(text.split()[1]), text


@pytest.mark.net
@pytest.mark.parametrize(("length", "kind", "status"), [(13 << 20, PNG, 413), (10, "image/svg+xml", 415)])
def test_what_is_unfit_is_refused_before_it_is_read(server: Running, length: int, kind: str, status: int) -> None:
    assert answered(begun(server, length, kind=kind))[0] == status


@pytest.mark.cpu
def test_a_refused_body_that_stops_coming_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.http.lingering, "LINGER_S", 0.1)
    told: list[Message] = []

    async def refuse(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 415, "headers": []})
        await send({"type": "http.response.body", "body": b"no"})

    async def nothing_more() -> Message:
        await asyncio.Event().wait()
        raise AssertionError

    async def tell(message: Message) -> None:
        told.append(dict(message))

    scope = {"type": "http", "headers": [(b"content-length", b"1000")]}
    asyncio.run(asyncio.wait_for(webrtc.http.lingering.Lingering(refuse)(scope, nothing_more, tell), 5))
    assert [message.get("more_body", False) for message in told[1:]] == [True, False]


@pytest.mark.net
def test_while_one_is_enrolled_others_are_refused_before_they_are_read(server: Running) -> None:
    photos = server.service.portraits
    photos._at_work["photo"] = Job("x", "somebody", Path())
    try:
        status, text = answered(begun(server, 1 << 20))
        assert status == 503
        assert "retry-after" in text.lower()
    finally:
        del photos._at_work["photo"]


@pytest.mark.net
def test_a_photo_that_stops_coming_leaves_nothing(server: Running, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webrtc.http.bodies, "PIECE_LIMIT_S", 0.3)
    photos = server.service.portraits
    line = begun(server, 1 << 20, bytes(300_000))
    assert answered(line)[0] == 408
    assert not photos._coming
    assert photos._home is not None
    assert not list(photos._home.iterdir())
    line = begun(server, 1 << 20, bytes(10))
    wait_until(lambda: bool(photos._coming))
    line.close()
    wait_until(lambda: not photos._coming)
    assert not list(photos._home.iterdir()), "one who goes in the midst of it leaves nothing either"


@pytest.mark.net
def test_one_visitor_sends_one_photo_at_a_time(server: Running) -> None:
    slow = begun(server, 1000, bytes(1))
    wait_until(lambda: bool(server.service.portraits._coming))
    assert answered(begun(server, 1000))[0] == 503
    slow.close()
    wait_until(lambda: not server.service.portraits._coming)


@pytest.mark.net
def test_a_body_longer_than_it_says_nothing_about_is_cut_off(server: Running) -> None:
    chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
    with begin(server, PNG, "Transfer-Encoding: chunked", b"") as line:
        for _ in range(14):
            line.sendall(chunk)
        assert line.recv(4096).split()[1] == b"413", "and the answer comes, though nobody has finished speaking"


@pytest.mark.cpu
def test_the_memory_limit_holds() -> None:
    if not hasattr(sys, "getwindowsize") and sys.platform != "linux":
        pytest.skip("only Linux holds a process to RLIMIT_DATA")
    code = (
        "from engine.process.enrolment_worker import limit, holds, PHOTO\n"
        "import numpy as np\n"
        "print(holds()); limit(); print(holds())\n"
        "np.ones(PHOTO.memory // 4, np.uint8)\n"
        "try: np.ones(PHOTO.memory, np.uint8)\n"
        "except MemoryError: print('refused')\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.split() == ["False", "True", "refused"], done


@pytest.mark.cpu
def test_a_picture_beyond_its_memory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    """The real process over a real picture, with the limit drawn tight."""
    Image.new("RGB", (6000, 6000)).save(tmp_path / "a.png")
    code = "import engine.process.enrolment_worker as w\nw.PHOTO = w.PHOTO._replace(memory=200 << 20)\nw.main()\n"
    given = [str(tmp_path / "a.png"), str(tmp_path / "b"), "512", ""]
    done = subprocess.run([sys.executable, "-c", code, *given], capture_output=True, text=True, timeout=60)
    assert json.loads(done.stdout.splitlines()[-1])["error"] == TOO_LARGE, done
    assert PHOTO.memory >= 900 << 20, "40 megapixels with transparency take 0.9 GB"


@pytest.mark.cpu
@pytest.mark.parametrize("kind", ["gif", "tiff", "bmp"])
def test_what_strangers_may_not_send_is_not_read_whatever_it_is_called(tmp_path: Path, kind: str) -> None:
    Image.new("RGB", (64, 64)).save(tmp_path / "a.png", format=kind)
    with pytest.raises(VivifyError, match="no picture that can be read"):
        read_photo(tmp_path / "a.png", of_strangers())
    assert read_photo(tmp_path / "a.png").shape == (64, 64, 3)


class Engine:
    """What portraits ask of one."""

    def remove_avatar(self, name: str) -> None:
        pass


@pytest.mark.cpu
def test_an_owners_further_portrait_takes_the_place_of_the_oldest(tmp_path: Path) -> None:
    shown: set[str] = set()
    photos = VisitorPortraits(Engine(), 3, 2, shown.__contains__)  # type: ignore[arg-type]
    one, other = Caller("one", "10.0.0.1"), Caller("other", "10.0.0.1")

    def keep(name: str, caller: Caller) -> None:
        photos._make_room(caller, "photo")
        folder = tmp_path / name / "avatar"
        folder.mkdir(parents=True)
        photos.folders[name], photos._owners[name] = folder, caller.owner

    keep("a", one)
    keep("b", one)
    keep("c", other)
    shown.add("a")
    keep("d", one)
    assert list(photos.folders) == ["a", "c", "d"], "the oldest that nobody shows"
    assert not (tmp_path / "b").exists()
    shown.add("d")
    with pytest.raises(TooManyPortraits, match="At most 2"):
        keep("e", one)
    with pytest.raises(EngineFull, match="kept"):
        keep("f", other)
    photos._remove("c")
    photos._at_work["film"] = Job("g", one.owner, tmp_path, 60)
    with pytest.raises(EngineFull, match="kept"):
        keep("f", other)
    photos._remove("d")
    with pytest.raises(TooManyPortraits, match="made now"):
        keep("f", one)
    shown.clear()
    assert photos._oldest(one, "photo") == "a", "what is being made has its place already"
    assert list(photos.folders) == ["a"], "who was only looked for is there still"


@pytest.mark.cpu
def test_a_film_that_is_being_made_is_not_forgotten_for_photos(tmp_path: Path) -> None:
    portraits = VisitorPortraits(Engine(), 3, 2, {"none"}.__contains__)  # type: ignore[arg-type]
    portraits._remember(Job("film", "one", tmp_path, 60))
    for number in range(2 * JOBS):
        portraits._remember(Job(str(number), "other", tmp_path, state="refused"))
    assert portraits.job("film").state == "working"
    assert len(portraits._jobs) == JOBS
    assert portraits.job(str(2 * JOBS - 1)), "the newest can be asked about, too"


@pytest.mark.cpu
def test_what_a_killed_server_left_of_its_visitors_is_deleted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("fcntl")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    mine, held = make_home()
    gone, young = tmp_path / "vivify-visitors-gone", tmp_path / "vivify-visitors-young"
    for folder in (gone, young):
        (folder / "a").mkdir(parents=True)
    for folder in (mine, gone):
        os.utime(folder, (0, 0))
    sweep()
    assert sorted(tmp_path.iterdir()) == sorted((mine, young)), "not of one that runs, nor of one that begins"
    assert held is not None
    os.close(held)
    sweep()
    assert list(tmp_path.iterdir()) == [young], "and of one that has ended"


@pytest.mark.cpu
async def test_a_full_disk_is_said_in_a_sentence() -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": bytes(1 << 20), "more_body": False}

    request = Request({"type": "http", "method": "POST", "headers": []}, receive)
    with pytest.raises(NoRoom, match="no room"):
        await save_body(request, Path("/dev/full"), 2 << 20)
    request.scope["path"] = "/api/avatars"
    assert refused(NoRoom(), request).status_code == 507


@pytest.mark.cpu
def test_the_folder_of_what_visitors_bring_may_go_and_come_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    portraits = VisitorPortraits(Engine(), 3, 2, {"none"}.__contains__)  # type: ignore[arg-type]
    with pytest.raises(NoRoom):
        portraits._folder("a")
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    first = portraits._folder("a")
    shutil.rmtree(first.parent)
    assert portraits._folder("b").parent != first.parent
    portraits.close()
    assert not list(tmp_path.iterdir())


@pytest.mark.net
def test_owners_are_told_apart_by_their_tokens() -> None:
    """Two tokens, a place for one portrait each: the second one's does not take the first one's place."""
    tokens = "a-token-of-good-length", "another-token-of-good-length"
    with running(token=",".join(tokens), portraits_per_owner=1) as server:
        names = []
        for token in tokens:
            head = {"Content-Type": PNG, "Authorization": f"Bearer {token}"}
            reply = ask("POST", f"{server.url}/api/avatars", b"no picture", head)
            assert reply.status == 202, reply
            names.append(json.loads(reply.body))
            wait_until(lambda: not server.service.portraits._at_work)
        assert len(names) == 2
