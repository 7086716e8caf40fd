"""Films that say what they are, and the reader of it: on ours, on others', on what is no film."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from clients.cli import app
from clients.films.film_writer import FilmWriter
from clients.films.manifest import Signing, read_manifest, sign_film
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


def test_the_id_is_kept_for_the_user_alone(tmp_path: Path) -> None:
    assert (user_folder() / "installation").stat().st_mode & 0o777 == 0o600
    code = "from engine.marking.installation import installation_id; print(installation_id())"
    ids = {subprocess.check_output([sys.executable, "-c", code], text=True) for _ in range(2)}
    assert ids == {f"{installation_id()}\n"}


def test_consent_goes_into_the_avatar(tmp_path: Path, astronaut: Avatar) -> None:
    Image.fromarray(astronaut.portrait).save(tmp_path / "me.png")
    given = ["--size", "256", "--consent", "mine, for films", "--licence", "CC0"]
    done = CliRunner().invoke(app, ["enroll", str(tmp_path / "me.png"), "-o", str(tmp_path / "me"), *given])
    assert done.exit_code == 0, done.exception
    facts = Avatar.load(tmp_path / "me").facts
    assert (facts["consent"], facts["licence"]) == ("mine, for films", "CC0")
