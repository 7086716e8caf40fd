"""Photo and film of one person, of two, and films of two in turn; and an enrolment that is broken off."""

from __future__ import annotations

import hashlib
from contextlib import contextmanager
from pathlib import Path

import av
import numpy as np
import pytest

import clients.enrol_cli
from clients.film_cli import progress
from engine.enrolment.footage.film_enrolment import KEPT, alone
from engine.enrolment.footage.talking_film import watch
from engine.enrolment.landmarks import FaceMesh
from engine.enrolment.one_person import OTHER, SAME, apart, of_photo, parted, people, strangers
from engine.enrolment.photos.photo import read_photo
from engine.enrolment.trackers.face_likeness import likeness
from engine.errors import TwoPeople, VivifyError
from engine.imaging.resampling import resized
from engine.paths import assets

pytestmark = pytest.mark.cpu

RATE, FIRST, SECOND = 5, 11, 16  # pictures a second, of the first one and of the second one


def portrait(name: str) -> np.ndarray:
    return read_photo(assets() / "avatars" / name / "portrait.png")


def like(picture: np.ndarray) -> np.ndarray:
    with FaceMesh(faces=1) as net:
        return likeness(picture, net.find(picture)[0])


@pytest.fixture(scope="module")
def in_turn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two people one after the other, at the same place."""
    path = tmp_path_factory.mktemp("film") / "in_turn.mp4"
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", rate=RATE, options={"crf": "12", "preset": "ultrafast"})
        stream.width, stream.height, stream.pix_fmt = 256, 256, "yuv420p"
        for name, count in (("lady_in_black", FIRST), ("lady_by_lake", SECOND)):
            for picture in [resized(portrait(name), 256, 256)] * count:
                file.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        file.mux(stream.encode())
    return path


def test_a_face_is_itself_in_other_light_and_nobody_else() -> None:
    one = portrait("astronaut")
    lit = np.clip(one * np.linspace(0.45, 1.35, one.shape[1])[:, None], 0, 255).astype(np.uint8)
    own = like(one)
    for changed in (lit, one // 3, one[:, ::-1].copy(), resized(one, 128, 128)):
        assert apart(own, like(changed)) < SAME - 0.1
    for other in ("lady_in_black", "lady_by_lake", "lady_with_brooch", "lady_with_veil"):
        assert apart(own, like(portrait(other))) > OTHER


def test_the_network_is_described() -> None:
    shipped = assets() / "trackers" / "likeness.onnx"
    card = (assets() / "trackers" / "README.md").read_text()
    assert hashlib.sha256(shipped.read_bytes()).hexdigest() in card


def test_shots_are_sorted_by_whom_they_show() -> None:
    rng = np.random.default_rng(1)
    a, b, c = np.eye(128, dtype=np.float32)[:3] * 0.6  # any two .85 apart
    who = [a, a, b, b, b, c, a, a]
    likenesses = (np.stack(who) + rng.normal(0, 0.01, (8, 128))).astype(np.float32)
    at = np.arange(8) * 12 + 6
    shots = [slice(0, 24), slice(24, 60), slice(60, 72), slice(72, 96), slice(96, 99)]
    shown = people(shots, likenesses, at, 25)
    assert [person.shots for person in shown] == [(0, 3), (1,), (2,)], (
        "the longest first; of the last shot nobody knows"
    )
    assert shown[0].seconds == 48 / 25
    assert of_photo(b, shown) == (shown[1], None)
    between = 0.35 * a + 0.65 * b
    assert of_photo(between, shown) == (shown[1], None)
    person, doubt = of_photo(np.float32(1.9) * a, shown)
    assert person is shown[0]
    assert "may show two people" in str(doubt)
    with pytest.raises(TwoPeople, match="expected to show one person"):
        of_photo(-a, shown)
    assert strangers(b, [a, a, a])
    for glances in ([a, a], [a, a, c], [a, a, b], [b, b, b]):
        assert not strangers(b, glances), "too few, of two people, or of one"
    there_and_back = np.delete(likenesses, 5, axis=0)
    assert parted(slice(0, 99), there_and_back, at[:-1]) == [slice(0, 19), slice(30, 55), slice(66, 99)]
    assert parted(slice(0, 99), likenesses[[0, 1, 5, 6, 7]], at[:5]) == [slice(0, 99)], "a single glimpse parts nothing"
    assert people([], likenesses, at, 25) == []


def test_who_is_shown_longest_is_kept_or_whom_the_photo_shows(in_turn: Path) -> None:
    film = watch(in_turn, silent=True)
    change = int(np.flatnonzero(film.cut)[0])
    last, words = alone(film, None)
    assert np.isnan(last.landmarks[: change - 1]).all()
    assert not np.isnan(last.landmarks[change + 1 :]).any()
    assert "2 people in turn: only the one who is shown longest" in words[0]
    first, words = alone(film, like(portrait("lady_in_black")))
    assert not np.isnan(first.landmarks[: change - 1]).any()
    assert np.isnan(first.landmarks[change + 1 :]).all()
    assert "whom the photo shows" in words[0]


def test_a_strangers_photo_is_refused_and_what_was_followed_is_kept(
    in_turn: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    photo = assets() / "avatars" / "astronaut" / "portrait.png"
    given = {"photo": photo, "film": in_turn, "out": tmp_path / "me", "size": 256, "consent": "a painting's"}
    with pytest.raises(VivifyError, match=r"faces are two people's.*add --same-person"):
        clients.enrol_cli.enroll(**given)
    assert (tmp_path / "me" / KEPT).exists()
    capsys.readouterr()

    @contextmanager
    def broken_off():  # type: ignore[no-untyped-def]
        with progress() as bar:
            begin = bar.add_task

            def add_task(what: str, total: float) -> int:
                if what == "choosing the portrait":
                    raise KeyboardInterrupt
                return begin(what, total=total)

            bar.add_task = add_task
            yield bar

    monkeypatch.setattr(clients.enrol_cli, "progress", broken_off)
    with pytest.raises(KeyboardInterrupt):
        clients.enrol_cli.enroll(**given, same_person=True)
    told = " ".join(capsys.readouterr().err.split())
    assert "the same command goes on there" in told


def test_of_a_film_that_is_broken_off_nothing_is_looked_at_twice(in_turn: Path) -> None:
    kept = []

    def stop(seconds: float) -> None:
        if seconds > 1:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        watch(in_turn, silent=True, told=stop, keep=kept.append)
    (half,) = kept
    assert len(half.times) == len(half.landmarks) == len(half.change) == 7
    assert half.alike_at.tolist() == [0, 3, 6]
    again = watch(in_turn, silent=True, known=half, keep=kept.append)
    assert kept[-1].alike_at.tolist()[:3] == [0, 3, 6]
    assert np.allclose(again.likeness, watch(in_turn, silent=True).likeness, atol=0.05)


def test_same_person_is_a_word_about_films(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="add --film"):
        clients.enrol_cli.enroll(photo=tmp_path / "a.png", out=tmp_path / "me", same_person=True)
