"""Films that visitors bring: followed and stopped, refused in a sentence, bounded in bytes, time and memory."""

from __future__ import annotations

import io
import json
import re
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from acted_film import recorded
from PIL import Image
from serving import Running, running
from whip_peers import ask

import webrtc.http.api
import webrtc.visitors.enrolment_job as enrolment_job
from engine.enrolment.footage import film_enrolment
from engine.enrolment.photos.visitors_films import seconds_of_strangers
from engine.errors import VivifyError
from engine.process.enrolment_worker import FILM, PHOTO, STAGES, shares
from webrtc.access.tokens import Tokens
from webrtc.server_config import ServerConfig
from webrtc.visitors.enrolment_job import Job

WEBM = {"Content-Type": "video/webm;codecs=vp8,opus"}
BRING = "/api/avatars?consent=I+agree."


@pytest.fixture(scope="module")
def film(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return recorded(tmp_path_factory.mktemp("film") / "me.webm", 3.0)


def wait_for(done: Callable[[], bool], seconds: float = 60) -> None:
    until = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < until
        time.sleep(0.05)


def job(server: Running, at: str) -> dict[str, Any]:
    return json.loads(ask("GET", server.url + at).body)


def nothing_left(server: Running) -> bool:
    portraits = server.service.portraits
    return not portraits._at_work and portraits._home is not None and not list(portraits._home.iterdir())


@pytest.mark.net
def test_a_film_is_followed_then_stopped_and_nothing_is_left(server: Running, film: Path) -> None:
    """That the face is made is tried in a browser: tests/web/test_filming.py."""
    reply = ask("POST", server.url + BRING, film.read_bytes(), WEBM)
    assert reply.status == 202, reply
    at = reply.headers["location"]
    wait_for(lambda: job(server, at)["share"] > STAGES["following the face"])
    told = job(server, at)
    assert (told["state"], told["progress"]) == ("working", "following the face")
    assert ask("POST", server.url + BRING, b"", WEBM).status == 503, "one at a time"
    photo = ask("POST", f"{server.url}/api/avatars", b"no picture", {"Content-Type": "image/png"})
    assert photo.status == 202, "but photos do not wait for films"
    portraits = server.service.portraits
    assert portraits._at_work["film"]._process is not None
    process = portraits._at_work["film"]._process
    assert ask("DELETE", server.url + at).status == 204
    assert process.wait(10) != 0
    assert ask("GET", server.url + at).status == 404
    wait_for(lambda: nothing_left(server))
    assert not portraits.folders


@pytest.mark.net
def test_who_brought_it_alone_may_stop_and_delete_it(tmp_path: Path) -> None:
    tokens = "a-token-of-good-length", "another-token-of-good-length", "a-watcher-of-good-length:watch"
    with running(token=",".join(tokens)) as server:

        def status(method: str, path: str, token: str) -> int:
            head = {"Authorization": f"Bearer {token.partition(':')[0]}"}
            return ask(method, server.url + path, None, head).status

        portraits = server.service.portraits
        owner = Tokens(server.service.config.tokens, None).caller(tokens[0], "127.0.0.1").owner
        (tmp_path / "folder" / "avatar").mkdir(parents=True)
        portraits.folders["own-x"], portraits._owners["own-x"] = tmp_path / "folder" / "avatar", owner
        portraits._jobs["one"] = Job("one", owner, tmp_path / "folder", 60, state="done", avatar="own-x")
        (tmp_path / "folder" / "avatar" / "preview.png").write_bytes(b"the sheet")
        sheet = "/api/avatars/own-x/preview"
        assert [status("GET", sheet, token) for token in tokens] == [200, 404, 403], "the sheet is its owner's alone"
        for path in ("/api/enrolments/one", "/api/avatars/own-x"):
            assert status("DELETE", path, tokens[2]) == 403, "without the right to enrol"
            assert status("DELETE", path, tokens[1]) == 404, "another's"
        assert status("DELETE", "/api/enrolments/one", tokens[0]) == 204
        assert not (tmp_path / "folder").exists(), "what came of it goes with it"
        assert status("DELETE", "/api/avatars/own-x", tokens[0]) == 404
        assert status("GET", sheet, tokens[0]) == 404


@pytest.mark.net
@pytest.mark.parametrize(
    ("path", "kind", "length", "status", "words"),
    [
        ("/api/avatars", "video/webm", 100, 403, "Films are taken here only with their person's consent"),
        (BRING, "video/x-msvideo", 100, 415, "video/webm"),
        (BRING, "video/mp4", 201 << 20, 413, "at most 209715200 bytes"),
        (f"{BRING}&photo_bytes={13 << 20}", "video/mp4", 14 << 20, 413, "The photo was expected to hold at most"),
        (f"{BRING}&photo_bytes=9", "image/png", 100, 400, "send a photo alone without it"),
        (f"{BRING}&photo_bytes=-9", "video/mp4", 100, 400, "photo_bytes was expected to be of another form"),
    ],
)
def test_what_is_unfit_is_refused_before_it_is_read(
    server: Running, path: str, kind: str, length: int, status: int, words: str
) -> None:
    host, port = server.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as line:
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {kind}\r\nContent-Length: {length}\r\n\r\n"
        line.sendall(head.encode())
        text = ""
        while words not in text and (more := line.recv(65536)):  # head and body may come apart
            text += more.decode()
    assert int(text.split()[1]) == status
    assert words in text


@pytest.mark.net
def test_what_is_no_film_and_what_takes_too_long_ends_in_a_sentence(
    film: Path, server: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    def became(body: bytes, where: str = BRING) -> dict[str, Any]:
        at = ask("POST", server.url + where, body, WEBM).headers["location"]
        wait_for(lambda: job(server, at)["state"] != "working")
        return job(server, at)

    plain = io.BytesIO()
    Image.new("RGB", (300, 300), (90, 120, 90)).save(plain, "PNG")
    for photo, words in ((plain.getvalue(), "No face was found in the photo"), (b"GIF89a", "is no picture")):
        told = became(photo + film.read_bytes(), f"{BRING}&photo_bytes={len(photo)}")
        assert words in told["error"], "before the film is followed"
        assert "upload" not in told["error"], "nothing of the server's names"
    short = ask("POST", f"{server.url}{BRING}&photo_bytes=1000", b"too few", WEBM)
    assert (short.status, b"a film behind it" in short.body) == (400, True)
    told = became(b"#EXTM3U\n#EXTINF:1,\n/etc/passwd\n")
    assert told["state"] == "refused"
    assert "WebM, MP4, MOV or MKV" in told["error"]
    monkeypatch.setattr(enrolment_job, "TIME_LIMIT_S", 0.5)
    monkeypatch.setattr(enrolment_job, "FILM_TIME_PER_S", 0.0)
    assert became(film.read_bytes())["error"] == enrolment_job.FILM_FAILED
    wait_for(lambda: nothing_left(server))


@pytest.mark.net
def test_a_server_may_take_photos_alone() -> None:
    with running(film_seconds=0) as server:
        told = json.loads(ask("GET", f"{server.url}/api/avatars").body)
        assert (told["portraits"], told["films"]) == (True, [])
        reply = ask("POST", server.url + BRING, b"x", WEBM)
        assert reply.status == 403
        assert b"no films" in reply.body
        reply = ask("POST", server.url + BRING, b"x", {"Content-Type": "text/plain"})
        assert b"video" not in reply.body


@pytest.mark.cpu
def test_films_of_strangers_are_few_kinds_and_their_length_is_found(film: Path, tmp_path: Path) -> None:
    with av.open(str(film)) as file:
        assert file.duration is None, "as browsers record"
    assert seconds_of_strangers(film) == pytest.approx(3.0, abs=0.05)
    for name, codec, side, words in (
        ("big.mp4", "libx264", 3200, "megapixels"),
        ("odd.mkv", "mpeg4", 64, "cannot be read"),
    ):
        with av.open(str(tmp_path / name), "w") as file:
            stream = file.add_stream(codec, rate=25)
            stream.width, stream.height, stream.pix_fmt = side, side, "yuv420p"
            frame = av.VideoFrame.from_ndarray(np.zeros((side, side, 3), np.uint8), format="rgb24")
            file.mux([*stream.encode(frame), *stream.encode()])
        with pytest.raises(VivifyError, match=words):
            seconds_of_strangers(tmp_path / name)
    for content in (b"", b"ffconcat version 1.0\nfile '/etc/passwd'\n", film.read_bytes()[:300]):
        (tmp_path / "bad.webm").write_bytes(content)
        with pytest.raises(VivifyError, match="film was expected") as told:
            seconds_of_strangers(tmp_path / "bad.webm")
        assert "/" not in str(told.value)


@pytest.mark.cpu
def test_shares_grow_and_each_percent_is_told_once() -> None:
    told: list[tuple[str, float]] = []
    hear = shares(lambda progress, share: told.append((progress, share)))
    for what in STAGES:
        for share in np.linspace(0, 1, 500):
            hear(what, float(share))
    sources = "".join(source.read_text() for source in Path(film_enrolment.__file__).parent.glob("*.py"))
    names = set(re.findall(r'told\("([^"]+)"', sources))
    assert names == set(STAGES) - {"saving"}, "each has its share, or the bar jumps"
    assert len(told) <= 100 + 2 * len(STAGES)
    values = [share for _, share in told]
    assert values == sorted(values)
    assert values[-1] == 1.0


@pytest.mark.cpu
def test_limits_of_films() -> None:
    assert FILM.memory == 2 << 30
    assert FILM.memory > PHOTO.memory
    assert webrtc.http.api.MOST_FILM == 200 << 20
    assert Job("a", "b", Path(), 60).kind == "film"
    with pytest.raises(VivifyError, match="to 180 seconds"):
        ServerConfig(film_seconds=181)
