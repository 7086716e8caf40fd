"""Which track and which channels of a file are the voice, and what is said about a voice that can hardly be used."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from sounds import BURST_AT, FAULTS, burst, onset, write

from engine.audio.sound_files import SoundFile, read_speech
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

faults = pytest.mark.skipif(not FAULTS.is_dir(), reason="strangers' files are not here")
SILENCE = np.zeros((48_000, 1), np.float32)


@pytest.mark.parametrize(
    ("tracks", "default", "told"),
    [
        ([SILENCE, burst(48_000)], 1, False),  # the one that a player plays
        ([SILENCE, burst(48_000)], 0, True),  # it plays silence: say that another was taken
        ([burst(48_000)[:, :1] * 0.6, burst(48_000)], 0, False),
    ],
)
def test_the_track_that_a_player_plays(tmp_path: Path, tracks: list[np.ndarray], default: int, told: bool) -> None:
    file = SoundFile(write(tmp_path / "a.mkv", "aac", 48_000, tracks, default=default))
    samples = np.concatenate(list(file.voice()))
    loudest = np.abs(tracks[0]).max() if default == 0 and not told else 0.5
    assert np.abs(samples).max() == pytest.approx(loudest, rel=0.2)
    assert bool(file.notes) == told


def _heard(tmp_path: Path, channels: list[float], layout: str) -> tuple[np.ndarray, SoundFile]:
    """The voice of a file that has the burst in each of its channels, so loud."""
    sound = burst(48_000) * np.array(channels, np.float32)
    file = SoundFile(write(tmp_path / "a.wav", "pcm_s16le", 48_000, [sound], layout=layout))
    return np.concatenate(list(file.voice())), file


@pytest.mark.parametrize(
    ("channels", "layout", "level", "cancels"),
    [
        ([1, 1], "stereo", 0.5, False),
        ([1, 0], "stereo", 0.5, False),  # as loud as it is there
        ([1, -1], "stereo", 0.5, True),
        ([0.6, -1], "stereo", 0.5, True),
        ([1, -0.3], "stereo", 0.5, True),
        ([0, 0, 1, 0, 0, 0], "5.1", 0.5, False),
        ([1, 1, 0.5, 1, 1, 1], "5.1", 0.25, False),  # the centre is the voice, the rest is music
        ([1, 1, 0, 0, 0, 0], "5.1", 0.5, False),
        ([1, -1, 0, 0, 1, -1], "5.1", 0.5, True),
        ([1, 1, 1, 1], "4.0", 0.5, False),
    ],
)
def test_the_channels_that_are_the_voice(
    tmp_path: Path, channels: list[float], layout: str, level: float, cancels: bool
) -> None:
    samples, file = _heard(tmp_path, channels, layout)
    assert np.abs(samples).max() == pytest.approx(level, rel=0.05)
    assert file.survey.cancels == cancels
    assert any("cancel" in note for note in file.notes) == cancels


@faults
def test_a_stranger_whose_channels_cancel_is_heard() -> None:
    file = SoundFile(FAULTS / "phase_inverted.wav")
    assert np.abs(np.concatenate(list(file.voice()))).max() > 0.5
    assert file.notes == ["The channels cancel one another: only the louder one is used."]


@pytest.mark.parametrize(("factor", "raised"), [(1.0, False), (0.1, False), (0.005, True), (0.0015, True)])
def test_a_quiet_voice_is_raised_for_the_face_and_that_is_said(tmp_path: Path, factor: float, raised: bool) -> None:
    path = write(tmp_path / "a.wav", "pcm_s24le", 48_000, [factor * burst(48_000)])
    file = SoundFile(path)
    assert (file.gain > 1) == raised
    assert any("quiet" in note for note in file.notes) == raised
    assert np.abs(read_speech(path)).max() == pytest.approx(0.5 * factor, rel=0.05), "the file's own level is kept"
    if raised:
        assert 0.03 < file.gain * factor * 0.5 < 0.4


def test_a_few_words_in_a_long_silence_are_not_taken_for_quiet(tmp_path: Path) -> None:
    hiss = np.random.default_rng(0).normal(0, 3e-4, (8_000 * 120, 1)).astype(np.float32)
    hiss[800_000 : 800_000 + 12_000] += burst(8_000)
    hiss[600_000 : 600_000 + 12_000] += burst(8_000)
    hiss[400_000 : 400_000 + 24_000] += np.tile(burst(8_000), (2, 1))
    file = SoundFile(write(tmp_path / "a.wav", "pcm_s16le", 8_000, [hiss]))
    assert (file.gain, file.notes) == (1.0, [])


def test_quiet_noise_and_silence_are_not_raised_but_said(tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.001, (48_000, 1)).astype(np.float32)
    hiss = SoundFile(write(tmp_path / "a.wav", "pcm_s24le", 48_000, [noise]))
    silence = SoundFile(write(tmp_path / "b.wav", "pcm_s16le", 48_000, [SILENCE]))
    assert hiss.gain == silence.gain == 1
    assert "noise" in hiss.notes[0]
    assert "silent" in silence.notes[0]


@faults
def test_strangers_raw_telephone_sound_has_its_rate() -> None:
    file = SoundFile(FAULTS / "raw.al")
    assert file.seconds == pytest.approx(7.54, abs=0.01)
    assert "no header" in file.notes[0]


@pytest.mark.parametrize(("name", "right"), [("a.al", True), ("a.ul", True), ("a.sw", False), ("a.ub", False)])
def test_raw_sound_has_its_customary_rate_or_is_a_sentence(tmp_path: Path, name: str, right: bool) -> None:
    path = tmp_path / name
    codecs = {"a.al": "pcm_alaw", "a.ul": "pcm_mulaw", "a.sw": "pcm_s16le", "a.ub": "pcm_u8"}
    write(path, codecs[name], 8_000, [burst(8_000)])
    if right:
        assert onset(read_speech(path)) == pytest.approx(BURST_AT, abs=0.001)
    else:
        with pytest.raises(VivifyError, match="raw sound without a header"):
            read_speech(path)


def test_reading_piece_by_piece_gives_what_reading_whole_gives(tmp_path: Path) -> None:
    path = write(tmp_path / "a.mp3", "libmp3lame", 44_100, [burst(44_100, 2)], layout="stereo")
    file = SoundFile(path)
    assert np.array_equal(np.concatenate(list(file.voice(48_000))), read_speech(path, 48_000))
    assert max(map(len, file.pieces())) < 44_100, "in pieces, not at once"
    assert next(file.pieces()).shape[1] == 2


@faults
def test_strangers_second_track_and_quiet_voice_reach_the_face() -> None:
    second, quiet = SoundFile(FAULTS / "two_tracks.mkv"), SoundFile(FAULTS / "quiet_50.wav")
    assert np.abs(np.concatenate(list(second.voice()))).max() > 0.5
    assert second.notes == [], "it is the track that players play"
    assert quiet.gain * np.abs(np.concatenate(list(quiet.voice()))).max() > 0.2
    assert len(quiet.notes) == 1
    assert "very quiet" in quiet.notes[0]
