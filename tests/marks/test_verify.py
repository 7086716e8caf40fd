"""Films that say what they are, and the reader of it: on ours, on others', on what is no film."""

from __future__ import annotations

import contextlib
import json
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clients.cli import app
from clients.films import mark_search
from clients.films.film_writer import FilmWriter
from clients.films.manifest import Signing, read_manifest, sign_film
from clients.films.mark_search import search_film
from clients.films.signing_keys import given_key, own_key
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.marking.installation import installation_id, user_folder
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import mark_picture

pytestmark = pytest.mark.cpu


def film(path: Path, avatar: Avatar, marked: bool = True) -> Path:
    ids = MarkIds(installation_id(), 77)
    picture = mark_picture(avatar.portrait, ids) if marked else avatar.portrait
    with FilmWriter(path, avatar.size) as out:
        for _ in range(5):
            out.picture(picture)
            out.sound(np.zeros(1920, np.float32))
    return path


def verified(path: Path | str) -> tuple[int, dict]:
    done = CliRunner().invoke(app, ["verify", str(path)])
    assert done.exception is None or isinstance(done.exception, (SystemExit, VivifyError)), done.exception
    return done.exit_code, json.loads(done.stdout.splitlines()[-1])


SIGN = """
import resource, sys
from pathlib import Path
from clients.films.manifest import sign_film
from clients.films.signing_keys import own_key
import c2pa
key, used = own_key(), resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
sign_film(Path(sys.argv[1]), key, {}, None)
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - used) // 1024)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="peak memory is told in other units elsewhere")
def test_a_long_film_is_not_signed_in_memory(tmp_path: Path, astronaut: Avatar) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python is not installed (extra 'c2pa')")
    made = film(tmp_path / "film.mp4", astronaut)
    with made.open("ab") as end:  # 96 MB that no player looks at
        end.write(struct.pack(">I4s", 96 << 20, b"free"))
        end.truncate(end.tell() - 8 + (96 << 20))
    done = subprocess.run([sys.executable, "-c", SIGN, str(made)], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 48
    assert read_manifest(made).state == "valid"


def test_a_film_of_ours_is_known_and_a_changed_byte_is_seen(tmp_path: Path, astronaut: Avatar) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python is not installed (extra 'c2pa')")
    made = film(tmp_path / "film.mp4", astronaut)
    key, told = Signing().key_for(made)
    assert key is not None
    assert "nobody vouches" in told
    sign_film(made, key, {"name": "astronaut", "consent": "public domain", "licence": "PD"}, "x")
    code, said = verified(made)
    assert code == 0
    assert said["mark"]["ids"] == f"{installation_id():07x}-0004d"
    assert said["manifest"]["state"] == "valid"
    assert not said["manifest"]["trusted"]
    assert said["manifest"]["says"]["avatar"]["consent"] == "public domain"
    assert said["manifest"]["says"]["actions"][0]["digitalSourceType"].endswith("lgorithmicMedia")
    data = bytearray(made.read_bytes())
    data[len(data) // 2] ^= 1
    made.write_bytes(data)
    assert read_manifest(made).state == "broken"


def test_what_cannot_be_signed_says_so(tmp_path: Path) -> None:
    pytest.importorskip("c2pa", reason="c2pa-python is not installed (extra 'c2pa')")
    key, told = Signing().key_for(Path("film.webm"))
    assert key is None
    assert "cannot carry" in told
    with pytest.raises(VivifyError, match="can be signed"):
        Signing(given=(tmp_path / "key", tmp_path / "cert")).key_for(Path("film.webm"))
    with pytest.raises(VivifyError, match="private key"):
        Signing(given=(tmp_path / "key", tmp_path / "cert")).key_for(Path("film.mp4"))
    assert Signing(wanted=False).key_for(Path("film.mp4")) == (None, "none: --no-manifest")
    (tmp_path / "key").write_bytes(own_key().private)
    (tmp_path / "cert").write_bytes(own_key().chain)
    assert given_key(tmp_path / "key", tmp_path / "cert").algorithm == "es256"


def test_others_films_and_no_films_are_told_in_words(tmp_path: Path, astronaut: Avatar) -> None:
    (tmp_path / "empty.mp4").write_bytes(b"")
    (tmp_path / "text.mp4").write_text("no film\n" * 100)
    whole = film(tmp_path / "other.mp4", astronaut, marked=False).read_bytes()
    (tmp_path / "half.mp4").write_bytes(whole[: len(whole) // 2])
    for name in ("empty.mp4", "text.mp4", "half.mp4", "other.mp4"):
        code, said = verified(tmp_path / name)
        assert code == 1, name
        assert said["mark"] is None, name
        assert said["manifest"]["state"] in ("absent", "unread"), name
    done = CliRunner().invoke(app, ["verify", str(tmp_path / "nothing.mp4")])
    assert isinstance(done.exception, VivifyError)


class Stranger(BaseHTTPRequestHandler):
    """A server that does by the path what it was told."""

    film = b""

    def do_GET(self) -> None:
        film = self.film
        if self.path == "/missing":
            return self.send_error(404)
        if self.path == "/junk":
            self.wfile.write(b"no HTTP at all\r\n\r\n")
            return None
        self.send_response(200)
        if self.path in ("/film.mp4", "/broken"):
            self.send_header("Content-Length", str(len(film) + 100 * (self.path == "/broken")))
        self.end_headers()
        if self.path == "/drip":
            with contextlib.suppress(OSError):
                while True:
                    self.wfile.write(b"x")
                    time.sleep(0.1)
        self.wfile.write(film)
        return None

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture(scope="module")
def stranger(tmp_path_factory: pytest.TempPathFactory, astronaut: Avatar) -> Iterator[str]:
    Stranger.film = film(tmp_path_factory.mktemp("film") / "film.mp4", astronaut).read_bytes()
    with ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as server:
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_film_at_an_address_is_fetched_and_read(stranger: str) -> None:
    code, said = verified(f"{stranger}/film.mp4?x=1")
    assert code == 0
    assert said["mark"]["ids"] == f"{installation_id():07x}-0004d"


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/missing", "404"),
        ("/junk", "cannot be had"),
        ("/broken", "cannot be had|broke off"),
        ("/drip", "did not come within"),
        ("/long", "longer than"),
    ],
)
def test_an_address_that_gives_no_film_is_told_in_time(
    stranger: str, path: str, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mark_search, "MOST_SECONDS", 0.6 if path == "/drip" else 20.0)
    monkeypatch.setattr(mark_search, "MOST_BYTES", 1000 if path == "/long" else 1 << 29)
    began = time.monotonic()
    with pytest.raises(VivifyError, match=words), mark_search.local_copy(stranger + path):
        pass
    assert time.monotonic() - began < 10
    with pytest.raises(VivifyError, match="cannot be had"), mark_search.local_copy("http://127.0.0.1:1/film.mp4"):
        pass


def test_whatever_a_film_holds_it_is_told_in_words_and_in_time(
    tmp_path: Path, astronaut: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = film(tmp_path / "film.mp4", astronaut).read_bytes()
    rng = np.random.default_rng(3)
    for k in range(6):
        bytes_ = bytearray(whole)
        for at in rng.integers(0, len(whole), 1 << (2 * k)):
            bytes_[at] = int(rng.integers(256))
        (tmp_path / f"bent{k}.mp4").write_bytes(bytes_)
        verified(tmp_path / f"bent{k}.mp4")
    lists = {
        "list.m3u8": f"#EXTM3U\n#EXTINF:1,\n{tmp_path}/film.mp4\n",
        "list.ffconcat": "ffconcat version 1.0\nfile film.mp4\n",
    }
    for name, text in lists.items():
        (tmp_path / name).write_text(text)
        assert search_film(tmp_path / name).problem, "what a list names is not looked at"
    assert search_film(tmp_path).problem
    monkeypatch.setattr(mark_search, "MOST_SECONDS", -1.0)
    assert search_film(tmp_path / "film.mp4").frames == 0, "after its time nothing more is read"


def test_the_id_is_kept_for_the_user_alone(tmp_path: Path) -> None:
    assert installation_id() < 1 << 28
    assert (user_folder() / "installation").stat().st_mode & 0o777 == 0o600
    code = "from engine.marking.installation import installation_id; print(installation_id())"
    ids = {subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)}
    assert ids == {f"{installation_id()}\n"}
    assert [file.name for file in user_folder().glob("*installation*")] == ["installation"]


def test_consent_goes_into_the_avatar(tmp_path: Path, astronaut: Avatar) -> None:
    Image.fromarray(astronaut.portrait).save(tmp_path / "me.png")
    given = ["--size", "256", "--consent", "mine, for films", "--licence", "CC0"]
    done = CliRunner().invoke(app, ["enroll", str(tmp_path / "me.png"), "-o", str(tmp_path / "me"), *given])
    assert done.exit_code == 0, done.exception
    facts = Avatar.load(tmp_path / "me").facts
    assert (facts["consent"], facts["licence"]) == ("mine, for films", "CC0")
