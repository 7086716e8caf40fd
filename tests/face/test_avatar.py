"""An avatar survives the disk; a hostile, broken or missing folder gets one sentence."""

from __future__ import annotations

import dataclasses
import json
import re
from pathlib import Path

import numpy as np
import pytest
from safetensors.numpy import load_file, save_file

from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.face.png import read_png, write_png

pytestmark = pytest.mark.cpu


def refuse(folder: Path, match: str) -> None:
    with pytest.raises(VivifyError, match=match) as caught:
        Avatar.load(folder)
    sentence = str(caught.value)
    assert "\n" not in sentence
    assert re.search(r": [a-z].*\.$", sentence), "the sentence ends in what to do"


def change(folder: Path, **arrays: np.ndarray) -> None:
    path = folder / "avatar.safetensors"
    save_file({**load_file(path), **arrays}, path)


def test_round_trip(astronaut: Avatar, folder: Path) -> None:
    again = Avatar.load(folder)
    for field in dataclasses.fields(Avatar):
        first, second = getattr(astronaut, field.name), getattr(again, field.name)
        if isinstance(first, np.ndarray):
            assert first.dtype == second.dtype
            assert np.array_equal(first, second), field.name
        else:
            assert first == second, field.name


def test_the_default_avatar_says_where_it_comes_from(astronaut: Avatar) -> None:
    assert {"name", "source", "licence", "consent"} <= set(astronaut.facts)
    assert "public domain" in astronaut.facts["licence"]
    assert astronaut.size == 512


def test_arrays_are_read_only(astronaut: Avatar) -> None:
    with pytest.raises(ValueError, match="read-only"):
        astronaut.portrait[0, 0] = 0


def test_missing(tmp_path: Path) -> None:
    refuse(tmp_path / "nobody", "none is there")


@pytest.mark.parametrize("name", ["avatar.safetensors", "portrait.png"])
def test_a_missing_file(folder: Path, name: str) -> None:
    (folder / name).unlink()
    refuse(folder, re.escape(name))


@pytest.mark.parametrize("name", ["avatar.json", "avatar.safetensors", "portrait.png"])
@pytest.mark.parametrize("how", ["empty", "cut", "noise"])
def test_a_damaged_file(folder: Path, name: str, how: str) -> None:
    path = folder / name
    data = path.read_bytes()
    noise = np.random.default_rng(1).integers(0, 256, 2000).astype(np.uint8).tobytes()
    path.write_bytes({"empty": b"", "cut": data[: len(data) // 2], "noise": noise}[how])
    refuse(folder, "damaged")


@pytest.mark.parametrize("text", ["[]", '"avatar"', "{}", "[" * 5000, '{"version": '])
def test_hostile_json(folder: Path, text: str) -> None:
    (folder / "avatar.json").write_text(text)
    refuse(folder, "damaged")


def test_another_version(folder: Path) -> None:
    (folder / "avatar.json").write_text(json.dumps({"version": 99}))
    refuse(folder, "version 99")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("around_triangles", np.array([[0, 1, 10**6]], np.int32)),
        ("around_triangles", np.array([[0, -1, 2]], np.int32)),
        ("around_head", np.zeros(3, np.float32)),
        ("neutral", np.full((468, 3), np.nan, np.float32)),
        ("reference", np.zeros((467, 3), np.float32)),
        ("scale", np.array([0.0], np.float32)),
        ("pivot", np.zeros(3, np.float64)),
        ("panels", np.zeros((8, 8, 3), np.uint8)),
        ("teeth", np.full((4, 2), 1e30, np.float32)),
        ("surprise", np.zeros(1, np.float32)),
    ],
)
def test_impossible_arrays(folder: Path, name: str, value: np.ndarray) -> None:
    change(folder, **{name: value})
    refuse(folder, "damaged")


def test_a_portrait_of_another_shape(folder: Path) -> None:
    write_png(folder / "portrait.png", np.zeros((512, 300, 4), np.uint8))
    refuse(folder, "portrait.png")


def test_a_png_that_claims_to_be_huge(folder: Path) -> None:
    data = bytearray((folder / "portrait.png").read_bytes())
    data[16:24] = (60000).to_bytes(4, "big") * 2
    (folder / "portrait.png").write_bytes(bytes(data))
    refuse(folder, "portrait.png")


def test_a_disk_that_fills_up_leaves_who_was_there(
    astronaut: Avatar, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    astronaut.save(tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("engine.face.avatar.save_file", full)
    with pytest.raises(VivifyError, match="No space left"):
        dataclasses.replace(astronaut, portrait=255 - astronaut.portrait).save(tmp_path)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_an_unwritable_folder(astronaut: Avatar, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(VivifyError, match="could not be written"):
        astronaut.save(tmp_path / "file" / "avatar")


@pytest.mark.parametrize("channels", [3, 4])
def test_png_round_trip(tmp_path: Path, channels: int) -> None:
    pixels = np.random.default_rng(2).integers(0, 256, (37, 41, channels)).astype(np.uint8)
    write_png(tmp_path / "p.png", pixels)
    assert np.array_equal(read_png(tmp_path / "p.png", 10**6)[..., :channels], pixels)
