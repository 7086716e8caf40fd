"""A file's sound lies where a player would play it: late starts, gaps, delays of encoders, clocks that jump."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import pytest
from sounds import BURST_AT, FAULTS, burst, onset, write

from engine.audio.sound_files import SoundFile, read_speech
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

FRAGMENTED = {"options": {"movflags": "frag_keyframe+empty_moov"}}  # its picture comes 80 ms late too
faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="strangers' files are not here")


@pytest.mark.parametrize(
    ("name", "codec", "rate", "more", "at", "within"),
    [
        ("a.wav", "pcm_s24le", 96_000, {}, 0.0, 0.001),
        ("a.wav", "pcm_f32le", 8_000, {}, 0.0, 0.001),
        ("a.mp3", "libmp3lame", 44_100, {}, 0.0, 0.001),
        ("a.ogg", "libopus", 48_000, {}, 0.0, 0.001),
        ("a.m4a", "aac", 44_100, {}, 0.0, 0.001),
        ("a.webm", "libopus", 48_000, {"starts": 1.0}, 1.0, 0.002),
        ("a.mp4", "aac", 48_000, {"starts": 1.0}, 1.0, 0.002),
        ("a.mp4", "aac", 48_000, {"starts": 1.0, "picture_at": 0.0}, 1.0, 0.002),
        ("a.mp4", "aac", 48_000, {"picture_at": 1.0}, 0.0, 0.001),
        ("a.mkv", "aac", 48_000, {"starts": 1.0, "picture_at": 0.0}, 1.0, 0.002),
        ("a.mov", "pcm_s16le", 44_100, {"starts": 2.0, "picture_at": 0.0}, 2.0, 0.001),
        ("a.mp4", "aac", 48_000, {"starts": 1.0, "picture_at": 0.0, **FRAGMENTED}, 1.08, 0.01),
        ("a.mp4", "aac", 48_000, {"starts": -0.25, "picture_at": 0.0}, -0.25, 0.002),
        ("a.mp4", "aac", 48_000, {"starts": 600.0}, 0.0, 0.03),  # a clock from elsewhere
        ("a.ts", "aac", 48_000, {"starts": 600.0}, 0.0, 0.03),  # such as this format's always is
        ("a.ts", "mp2", 48_000, {"starts": 1.0, "picture_at": 0.0}, 1.0, 0.03),
    ],
)
def test_sound_begins_where_players_let_it_begin(
    tmp_path: Path, name: str, codec: str, rate: int, more: dict[str, object], at: float, within: float
) -> None:
    path = write(tmp_path / name, codec, rate, [burst(rate)], **more)
    assert onset(read_speech(path)) == pytest.approx(BURST_AT + at, abs=within)


@pytest.mark.parametrize(("name", "codec"), [("a.m4a", "aac"), ("a.mp3", "libmp3lame"), ("a.ogg", "libopus")])
def test_nothing_is_added_at_the_end(tmp_path: Path, name: str, codec: str) -> None:
    assert len(read_speech(write(tmp_path / name, codec, 48_000, [burst(48_000)]))) == pytest.approx(24_000, abs=2)


@faults
@pytest.mark.parametrize(("name", "seconds"), [("gap.mka", 7.56), ("late.mp4", 9.54), ("two_tracks.mkv", 7.58)])
def test_strangers_files_are_as_long_as_they_play(name: str, seconds: float) -> None:
    assert SoundFile(FAULTS / name).seconds == pytest.approx(seconds, abs=0.04)


@faults
def test_a_gap_and_a_late_start_are_silence() -> None:
    gap, late = read_speech(FAULTS / "gap.mka"), read_speech(FAULTS / "late.mp4")
    assert not np.any(gap[round(16_000 * 2.1) : round(16_000 * 4.1)])
    assert np.abs(gap[round(16_000 * 4.13) :]).max() > 0.3
    assert not np.any(late[: round(16_000 * 1.95)])


def _shifted(path: Path, out: Path, shift: float) -> Path:
    """Two seconds of sound, the second of which comes ``shift`` seconds after its time."""
    sound = np.concatenate([burst(48_000, seconds=1.0), burst(48_000, seconds=1.0)])
    write(path, "pcm_s16le", 48_000, [sound])
    with av.open(str(path)) as given, av.open(str(out), "w") as made:
        stream = made.add_stream_from_template(given.streams.audio[0])
        for packet in given.demux():
            if packet.dts is None:
                continue
            packet.stream = stream
            packet.pts += round(shift / packet.time_base) if packet.pts * packet.time_base >= 1 else 0
            packet.dts = packet.pts
            made.mux(packet)
    return out


@pytest.mark.parametrize(
    ("shift", "second"),
    [(0.0, 1.5), (0.03, 1.5), (0.5, 2.0), (25.0, 26.5)],  # a tremble, and pauses that a recorder left out
)
def test_gaps_keep_their_time_and_trembling_stamps_change_nothing(tmp_path: Path, shift: float, second: float) -> None:
    samples = read_speech(_shifted(tmp_path / "a.wav", tmp_path / "a.mka", shift))
    assert onset(samples) == pytest.approx(0.5, abs=0.01)
    assert onset(samples[16_000:]) + 1 == pytest.approx(second, abs=0.03)


@pytest.mark.parametrize("starts", [(1.0, 50_000.0), (50_000.0, 1.0), (1.0, 1.2)])
def test_a_clock_that_is_set_anew_adds_and_loses_nothing(tmp_path: Path, starts: tuple[float, float]) -> None:
    parts = [write(tmp_path / f"{k}.ts", "mp2", 48_000, [burst(48_000)], starts=at) for k, at in enumerate(starts)]
    joined = tmp_path / "joined.ts"
    joined.write_bytes(b"".join(part.read_bytes() for part in parts))
    samples = read_speech(joined)
    assert len(samples) == pytest.approx(2 * 24_000, abs=16_000 * 0.1)
    assert onset(samples[24_000:]) == pytest.approx(BURST_AT, abs=0.1)


def test_rate_and_channels_may_change_half_way(tmp_path: Path) -> None:
    one = write(tmp_path / "one.aac", "aac", 44_100, [burst(44_100)])
    two = write(tmp_path / "two.aac", "aac", 32_000, [burst(32_000, 2)], layout="stereo")
    both = tmp_path / "both.aac"
    both.write_bytes(one.read_bytes() + two.read_bytes())
    samples = read_speech(both)
    assert len(samples) == pytest.approx(2 * 24_000, abs=16_000 * 0.15)
    assert onset(samples[24_000:]) == pytest.approx(BURST_AT, abs=0.1)


def test_a_picture_of_the_cover_is_no_film(tmp_path: Path) -> None:
    path = tmp_path / "a.mp3"
    with av.open(str(path), "w") as file:
        sound = file.add_stream("libmp3lame", rate=48_000)
        sound.layout = "mono"
        cover = file.add_stream("png", rate=1)
        cover.width = cover.height = 16
        cover.pix_fmt = "rgb24"
        cover.disposition = av.stream.Disposition.attached_pic
        file.mux(cover.encode(av.VideoFrame.from_ndarray(np.zeros((16, 16, 3), np.uint8))))
        file.mux(cover.encode(None))
        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(burst(48_000).T), format="fltp", layout="mono")
        frame.sample_rate = 48_000
        for piece in av.AudioResampler("s16p", "mono", 48_000, frame_size=1152).resample(frame):
            file.mux(sound.encode(piece))
        file.mux(sound.encode(None))
    assert onset(read_speech(path)) == pytest.approx(BURST_AT, abs=0.002)


def test_a_damaged_file_is_heard_as_far_as_it_goes(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mka", "aac", 48_000, [burst(48_000, seconds=3.0)])
    whole = bytearray(path.read_bytes())
    for at in range(len(whole) * 2 // 3, len(whole) * 2 // 3 + 300):
        whole[at] ^= 0x5A
    path.write_bytes(whole)
    file = SoundFile(path)
    assert len(file.notes) == 1
    assert "damaged" in file.notes[0]
    assert onset(np.concatenate(list(file.voice()))) == pytest.approx(BURST_AT, abs=0.03)
    short = write(tmp_path / "a.wav", "pcm_s16le", 48_000, [burst(48_000, seconds=3.0)])
    short.write_bytes(short.read_bytes()[:200_001])
    assert len(read_speech(short)) == pytest.approx(16_000 * 200_000 / 96_000, abs=20)
    cut = write(tmp_path / "a.m4a", "aac", 48_000, [burst(48_000)])
    cut.write_bytes(cut.read_bytes()[:-900])
    with pytest.raises(VivifyError, match="no audio stream in it"):
        read_speech(cut)
