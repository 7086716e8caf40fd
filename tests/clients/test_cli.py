"""The command as a person uses it: films that play, and one sentence for everything that cannot work."""

from __future__ import annotations

import json
import sys
import wave
from pathlib import Path

import av
import numpy as np
import pytest
from command import vivify

from clients.commands.doctor import Finding
from engine.paths import assets

pytestmark = pytest.mark.cpu


def write_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    """samples [n, channels] int16."""
    with wave.open(str(path), "wb") as file:
        file.setnchannels(samples.shape[1])
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def tone(seconds: float, rate: int, channels: int) -> np.ndarray:
    t = np.arange(int(seconds * rate)) / rate
    wave_form = 8000 * np.sin(2 * np.pi * 220 * t) * (np.sin(2 * np.pi * 3 * t) > 0)
    return np.repeat(wave_form[:, None], channels, 1).astype("<i2")


def durations(film: Path) -> tuple[float, float]:
    with av.open(str(film)) as file:
        picture, sound = file.streams.video[0], file.streams.audio[0]
        pictures = sum(1 for _ in file.decode(picture))
        assert (picture.average_rate, picture.codec_context.name) == (25, "h264")
        assert sound.codec_context.name == "aac"
        assert picture.duration is not None
        assert sound.duration is not None
        assert picture.time_base is not None
        assert sound.time_base is not None
        assert pictures == round(picture.duration * picture.time_base * 25)
        return float(picture.duration * picture.time_base), float(sound.duration * sound.time_base)


@pytest.mark.parametrize(("rate", "channels"), [(8_000, 1), (44_100, 6), (16_000, 2)])
def test_render_takes_any_rate_and_channels_and_the_film_is_as_long_as_the_speech(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], rate: int, channels: int
) -> None:
    speech = write_wav(tmp_path / "speech.wav", tone(1.0, rate, channels), rate)
    film = tmp_path / "deep" / "film.mp4"
    assert vivify(monkeypatch, "render", speech, "-o", film, "--size", 256) == 0
    report = json.loads(capsys.readouterr().out.strip().splitlines()[-1])
    assert report["frames"] == 25
    picture, sound = durations(film)
    assert picture == pytest.approx(1.0, abs=0.001)
    assert sound == pytest.approx(1.0, abs=0.03)
    assert [p.name for p in film.parent.iterdir()] == ["film.mp4"], "nothing half-written stays behind"
    with av.open(str(film)) as file:
        assert file.streams.audio[0].layout.name == {1: "mono", 2: "stereo", 6: "5.1"}[channels]


def test_the_same_seed_gives_the_same_film_and_another_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    speech = write_wav(tmp_path / "speech.wav", tone(1.2, 16_000, 1))
    for name, seed in (("a", 3), ("b", 3), ("c", 4)):
        film = tmp_path / f"{name}.mp4"  # a manifest would hold its name and the time
        given = "--size", 256, "--seed", seed, "--no-manifest"
        assert vivify(monkeypatch, "render", speech, "-o", film, *given) == 0
    a, b, c = ((tmp_path / f"{n}.mp4").read_bytes() for n in "abc")
    assert a == b
    assert a != c


def test_a_transparent_film_tells_what_it_did_for_the_voice(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    samples = tone(0.5, 16_000, 2)
    samples[:, 1] *= -1
    speech, film = write_wav(tmp_path / "speech.wav", samples), tmp_path / "film.webm"
    assert vivify(monkeypatch, "render", speech, "-o", film, "--size", 256, "--alpha") == 0
    told = capsys.readouterr()
    assert "note: The channels cancel" in told.err.replace("\n", "")
    assert json.loads(told.out)["notes"] == ["The channels cancel one another: only the louder one is used."]
    with av.open(str(film)) as file:
        reader = av.CodecContext.create("libvpx-vp9", "r")
        frames = [frame for packet in file.demux(video=0) for frame in reader.decode(packet)]
    assert frames[0].format.name == "yuva420p"
    matte = frames[0].to_ndarray(format="rgba")[..., 3]
    assert matte[:20, :20].max() <= 2
    assert matte[110:180, 110:150].min() == 255


def bad_inputs(folder: Path) -> dict[str, tuple[list[object], str]]:
    good = assets() / "speech.wav"
    text = folder / "notes.wav"
    text.write_text("this is not sound")
    empty = write_wav(folder / "empty.wav", np.zeros((0, 1), "<i2"))
    weights = folder / "broken"
    weights.mkdir()
    (weights / "avatar.json").write_text("{")
    raw = folder / "voice.sw"
    raw.write_bytes(bytes(32_000))
    out = folder / "out.mp4"
    return {
        "no such file": (["render", folder / "none.wav", "-o", out], "none.wav"),
        "a folder": (["render", folder, "-o", out], str(folder)),
        "text": (["render", text, "-o", out], "notes.wav"),
        "no sound in it": (["render", empty, "-o", out], "empty.wav"),
        "unknown avatar": (["render", good, "-o", out, "--avatar", "nobody"], "neither a bundled avatar"),
        "broken avatar": (["render", good, "-o", out, "--avatar", weights], "avatar.json"),
        "odd look-ahead": (["render", good, "-o", out, "--look-ahead", 50], "one of 0, 40, 80, 120 ms"),
        "odd size": (["render", good, "-o", out, "--size", 500], "picture size"),
        "no film's name": (["render", good, "-o", folder / "out.gif"], "out.gif"),
        "a matte in an MP4": (["render", good, "-o", out, "--alpha"], ".webm (VP9) or .mov (ProRes 4444)"),
        "raw sound": (["render", raw, "-o", out], "without a header"),
        "too large to be live": (["serve", "--size", 1080], "Live pictures are 256, 512, 768"),
        "nowhere to write": (["render", good, "-o", "/proc/none/out.mp4"], "/proc/none"),
        "brackets in a name": (["render", folder / "a[b]c.wav", "-o", out], "a[b]c.wav"),
        "no photo": (["enroll", folder / "none.jpg", "-o", folder / "a"], "none.jpg"),
        "open to all": (["serve", "--host", "0.0.0.0"], "needs a token"),
        "no seed": (["render", good, "-o", out, "--seed", -1], "but -1 was given"),
        "another method's": (["render", good, "-o", out, "--style", 3, "--full"], "--style, --full are for --method"),
        "once without a proof": (["serve", "--once"], "add --prove"),
        "a slash behind an origin": (["serve", "--origin", "https://a.example/"], "no slash behind"),
        "no limit": (["serve", "--sessions-per-token", 0], "1 at least, but 0"),
        "half an address": (["talk", "http://[::1", good, "-o", out], "A server's URL such as"),
        "no place for a talk": (["talk", "http://127.0.0.1:9", good, "-o", "/proc/none/out.mp4"], "/proc/none"),
        "no place for a sheet": (
            ["evaluate", "--avatar", folder, "--film", good, "--sheet", "/no/a.png"],
            "make it first",
        ),
        "no server's address": (["out", "foo", "me", "--vmc", "127.0.0.1"], "A server's URL such as"),
        "an SFU's half address": (
            ["live", "--sound", good, "--whip", "http://[::1"],
            "--whip was expected to be a URL",
        ),
    }


@pytest.mark.parametrize("case", range(26))
def test_what_cannot_work_gets_one_sentence(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str], case: int
) -> None:
    name, (args, says) = list(bad_inputs(tmp_path).items())[case]
    assert vivify(monkeypatch, *args) == 1, name
    told = capsys.readouterr().err
    assert "vivify:" in told
    assert says in told.replace("\n", ""), name
    assert "Traceback" not in told
    assert not (tmp_path / "out.mp4").exists()


def test_the_doctor_finds_this_machine_fit(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert vivify(monkeypatch, "doctor") == 0
    told = capsys.readouterr().out
    for what in (
        "Python",
        "torch",
        "CUDA",
        "codecs",
        "motion weights",
        "avatars",
        "port 8080",
        "face trackers",
        "call camera",
    ):
        assert what in told


def test_advice_keeps_its_brackets(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    finding = Finding("an extra", False, "not installed", "pip install 'vivify[cuda]'", needed=False)
    monkeypatch.setattr("clients.commands.doctor.check", lambda port: [finding])
    assert vivify(monkeypatch, "doctor") == 0
    told = capsys.readouterr().out.replace("\n", "").replace(" ", "")
    assert f"{sys.executable}-mpipinstall'vivify[cuda]'" in told, "PyPI's vivify is somebody else's"
