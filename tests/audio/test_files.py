"""Speech from files of every kind, and the sentences for those that are none."""

from __future__ import annotations

import struct
import wave
from pathlib import Path

import numpy as np
import pytest

from engine.audio.sound_files import read_speech
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu


def tone(path: Path, rate: int, channels: int, seconds: float = 0.5, level: float = 0.4) -> Path:
    t = np.arange(int(rate * seconds)) / rate
    samples = np.repeat(level * np.sin(2 * np.pi * 440 * t), channels)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(channels)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.round(32767 * samples).astype("<i2").tobytes())
    return path


def float_wav(path: Path, samples: np.ndarray, rate: int = 16_000) -> Path:
    data = samples.astype("<f4").tobytes()
    head = (
        b"WAVEfmt " + struct.pack("<IHHIIHH", 16, 3, 1, rate, 4 * rate, 4, 32) + b"data" + struct.pack("<I", len(data))
    )
    path.write_bytes(b"RIFF" + struct.pack("<I", len(head) + len(data)) + head + data)
    return path


@pytest.mark.parametrize(("rate", "channels"), [(8000, 1), (16_000, 1), (44_100, 2), (48_000, 6), (96_000, 1)])
@pytest.mark.parametrize("wanted", [16_000, 48_000])
def test_any_rate_and_channel_count_will_do(tmp_path: Path, rate: int, channels: int, wanted: int) -> None:
    samples = read_speech(tone(tmp_path / "a.wav", rate, channels), wanted)
    assert samples.dtype == np.float32
    assert len(samples) == pytest.approx(wanted / 2, abs=2)
    assert np.abs(samples).max() <= 1.0
    middle = samples[wanted // 8 : wanted // 8 * 3]
    spectrum = np.abs(np.fft.rfft(middle * np.hanning(len(middle))))
    assert np.argmax(spectrum) * wanted / len(middle) == pytest.approx(440, abs=5)
    assert np.abs(middle).max() > 0.2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "cannot be read"),
        (b"not a sound" * 50, "cannot be read"),
        (b"RIFF\xff\xff\xff\xffWAVEfmt ", "cannot be read"),
    ],
)
def test_what_is_no_sound_is_told(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "a.wav"
    path.write_bytes(content)
    with pytest.raises(VivifyError, match=words):
        read_speech(path)


def test_nan_silence_of_no_length_and_missing_files_are_told(tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="NaN"):
        read_speech(float_wav(tmp_path / "nan.wav", np.where(np.arange(16_000) % 100 == 0, np.nan, 0.1)))
    with pytest.raises(VivifyError, match="0 s"):
        read_speech(tone(tmp_path / "none.wav", 16_000, 1, seconds=0))
    with pytest.raises(VivifyError, match="there is none"):
        read_speech(tmp_path / "missing.wav")
    with pytest.raises(VivifyError, match="longer than 1 s"):
        read_speech(tone(tmp_path / "long.wav", 16_000, 1, seconds=1.5), max_seconds=1)


def test_a_film_without_sound_is_told(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path = tmp_path / "mute.mp4"
    with av.open(str(path), "w") as film:
        stream = film.add_stream("libx264", rate=25)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        film.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        film.mux(stream.encode(None))
    with pytest.raises(VivifyError, match="no audio stream in it"):
        read_speech(path)


def test_sound_beyond_full_scale_is_brought_back(tmp_path: Path) -> None:
    samples = read_speech(float_wav(tmp_path / "loud.wav", 5 * np.sin(np.arange(16_000) / 10)))
    assert np.abs(samples).max() == pytest.approx(1.0)
