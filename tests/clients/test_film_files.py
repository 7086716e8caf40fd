"""Films as files: picture and sound side by side, colours that are told, mattes that stay, the voice's own channels."""

from __future__ import annotations

import tracemalloc
from pathlib import Path

import av
import numpy as np
import pytest
from sounds import burst, write

from clients.commands.render_film import _spoken
from clients.films.film_sound import FilmSound
from clients.films.film_writer import FilmWriter, check_place
from engine.audio.sound_files import SoundFile, read_speech
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

SIDE = 64
PATCHES = np.array([[(200, 60, 40), (40, 90, 60)], [(60, 60, 200), (220, 170, 140)]], np.uint8)


def picture(alpha: bool = False) -> np.ndarray:
    """Four patches of colour [64, 64, 3 or 4]; the upper half opaque, the lower half of a quarter's opacity."""
    colours = PATCHES.repeat(SIDE // 2, 0).repeat(SIDE // 2, 1)
    matte = np.where(np.arange(SIDE)[:, None, None] < SIDE // 2, 255, 64).repeat(SIDE, 1).astype(np.uint8)
    return np.concatenate([colours, matte], 2) if alpha else colours


def film(path: Path, seconds: float, alpha: bool = False) -> Path:
    with FilmWriter(path, SIDE, alpha=alpha) as file:
        for _ in range(round(25 * seconds)):
            file.picture(picture(alpha))
            file.sound(np.zeros(1920, np.float32))
    return path


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
def test_a_full_disk_is_a_sentence_and_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / ".a.part.mp4").symlink_to("/dev/full")
    with pytest.raises(VivifyError, match=r"a\.mp4' could not be written \(No space left on device\)"):
        film(tmp_path / "a.mp4", 1.0)
    assert not list(tmp_path.iterdir())


def test_two_who_write_the_same_film_do_not_spoil_it(tmp_path: Path) -> None:
    path = tmp_path / "a.mp4"
    with FilmWriter(path, SIDE) as first:
        first.picture(picture())
        first.sound(np.zeros(1920, np.float32))
        with pytest.raises(VivifyError, match="is being written by another program"):
            FilmWriter(path, SIDE)
        with pytest.raises(VivifyError, match="is being written by another program"):
            check_place(path)
    with av.open(str(path)) as whole:
        assert sum(1 for _ in whole.decode(video=0)) == 1
    check_place(path)
    assert list(tmp_path.iterdir()) == [path]


def furthest_apart(path: Path) -> float:
    """Seconds by which picture and sound are ever apart, in the order in which they lie in the file."""
    with av.open(str(path)) as file:
        packets = [p for p in file.demux() if p.dts is not None]
    reached = dict.fromkeys({p.stream_index for p in packets}, 0.0)
    apart = 0.0
    for packet in sorted(packets, key=lambda p: p.pos):
        reached[packet.stream_index] = float(packet.dts * packet.time_base)
        apart = max(apart, max(reached.values()) - min(reached.values()))
    return apart


@pytest.mark.parametrize(("name", "alpha"), [("a.mp4", False), ("a.mkv", False), ("a.webm", True), ("a.mov", True)])
def test_picture_and_sound_lie_side_by_side_in_a_film_of_any_length(tmp_path: Path, name: str, alpha: bool) -> None:
    path = film(tmp_path / name, 14.0, alpha)  # from 10 s on FFmpeg waits no longer for who is behind
    assert furthest_apart(path) <= 0.5
    if path.suffix in (".mp4", ".mov"):
        data = path.read_bytes()
        assert data.index(b"moov") < data.index(b"mdat"), "plays while it loads"


@pytest.mark.parametrize(("name", "matrix"), [("a.mp4", 6), ("a.m4v", 6), ("a.mov", 6), ("a.mkv", 6), ("a.webm", 6)])
def test_colours_are_told_and_right(tmp_path: Path, name: str, matrix: int) -> None:
    with av.open(str(film(tmp_path / name, 0.2))) as file:
        frame = next(file.decode(video=0))
    told = (frame.colorspace, frame.color_range, frame.color_primaries, frame.color_trc)
    assert told == (matrix, 1, 1, 1)
    assert_patches(frame.to_ndarray(format="rgb24"), 4)


def assert_patches(shown: np.ndarray, within: float) -> None:
    at = slice(SIDE // 4, None, SIDE // 2)
    assert shown[at, at, :3].astype(float) == pytest.approx(PATCHES.astype(float), abs=within)


def test_a_matte_stays_in_webm(tmp_path: Path) -> None:
    with av.open(str(film(tmp_path / "a.webm", 0.2, alpha=True))) as file:
        reader = av.CodecContext.create("libvpx-vp9", "r")  # FFmpeg's own leaves it out: findings/vp9_alpha.sh
        frame = next(frame for packet in file.demux(video=0) for frame in reader.decode(packet))
    assert frame.format.name == "yuva420p"
    assert frame.colorspace == 6
    shown = frame.to_ndarray(format="rgba")
    assert_patches(shown, 6)
    assert shown[SIDE // 4, :, 3].min() >= 253
    assert shown[3 * SIDE // 4, :, 3] == pytest.approx(64, abs=3)


def test_a_matte_stays_in_prores(tmp_path: Path) -> None:
    with av.open(str(film(tmp_path / "a.mov", 0.2, alpha=True))) as file:
        assert file.streams.video[0].codec_context.codec_tag == "ap4h"
        assert file.streams.audio[0].codec_context.name == "pcm_s24le"
        frame = next(file.decode(video=0))
    assert "yuva444p" in frame.format.name
    assert (frame.colorspace, frame.color_range) == (1, 1)
    shown = frame.reformat(format="rgba").to_ndarray()
    assert_patches(shown, 3)
    assert shown[3 * SIDE // 4, :, 3] == pytest.approx(64, abs=1)


@pytest.mark.parametrize(
    ("name", "alpha", "says"), [("a.avi", False, ".mkv"), ("a", False, ".mp4"), ("a.mp4", True, ".webm")]
)
def test_names_that_ask_for_no_film_are_told(tmp_path: Path, name: str, alpha: bool, says: str) -> None:
    with pytest.raises(VivifyError, match=f"{says}.*'.*{name}'"):
        FilmWriter(tmp_path / name, SIDE, alpha=alpha)
    assert not list(tmp_path.iterdir())


def carried(tmp_path: Path, channels: list[float], layout: str) -> tuple[str, np.ndarray]:
    """The layout and the loudness of each channel in the film of a file that has the burst so loud in its channels."""
    given = write(tmp_path / "a.wav", "pcm_s16le", 44_100, [burst(44_100) * np.array(channels)], layout=layout)
    file = SoundFile(given)
    sound = FilmSound(file)
    heard = np.concatenate([*(sound.push(piece) for piece in file.pieces()), sound.finish()])
    assert len(heard) == pytest.approx(1.5 * 48_000, abs=2)
    return sound.layout, np.abs(heard[24_500:38_000]).max(0)


@pytest.mark.parametrize(
    ("channels", "layout", "film_layout", "levels"),
    [
        ([1], "mono", "mono", [0.5]),
        ([1, 0.2], "stereo", "stereo", [0.5, 0.1]),
        ([1, -1], "stereo", "stereo", [0.5, 0.5]),
        ([0.1, 0.2, 1, 0, 0.3, 0.4], "5.1", "5.1", [0.05, 0.1, 0.5, 0, 0.15, 0.2]),
        ([0.1, 0.2, 1, 0, 0.3, 0.4], "5.1(side)", "5.1", [0.05, 0.1, 0.5, 0, 0.15, 0.2]),
        ([1, 0, 0, 0], "4.0", "stereo", [0.5, 0]),
    ],
)
def test_a_film_keeps_the_channels_of_the_voice(
    tmp_path: Path, channels: list[float], layout: str, film_layout: str, levels: list[float]
) -> None:
    got, heard = carried(tmp_path, channels, layout)
    assert got == film_layout
    if layout == "4.0":
        assert heard[0] > 3 * heard[1]
    else:
        assert heard == pytest.approx(np.array(levels), rel=0.05, abs=0.01)


def test_channels_that_cancelled_are_heard_in_one_loudspeaker(tmp_path: Path) -> None:
    given = write(tmp_path / "a.wav", "pcm_s16le", 48_000, [burst(48_000) * np.array([1, -1])], layout="stereo")
    file = SoundFile(given)
    sound = FilmSound(file)
    with FilmWriter(tmp_path / "a.mp4", SIDE, layout=sound.layout) as out:
        for k, piece in enumerate(file.pieces()):
            if k < 3:
                out.picture(picture())
            out.sound(sound.push(piece))
    with av.open(str(tmp_path / "a.mp4")) as made:
        assert made.streams.audio[0].layout.name == "stereo"
    assert np.abs(read_speech(tmp_path / "a.mp4")).max() > 0.4


def test_memory_does_not_grow_with_the_speech(tmp_path: Path) -> None:
    """Two minutes take what a quarter of a minute takes, from the file to the engine's door."""
    peaks = []
    for seconds in (15, 120):
        sound = np.tile(burst(8_000), (seconds * 2 // 3, 1))
        path = write(tmp_path / f"{seconds}.wav", "pcm_s16le", 8_000, [sound])
        del sound
        tracemalloc.start()
        file = SoundFile(path)
        frames = sum(chunk is not None for chunk, _ in _spoken(file, FilmSound(file), 2))
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert frames == 25 * seconds + 2
    assert peaks[1] < 1.2 * peaks[0] < 8e6
