"""Where a live voice comes from: a file in real time, and a real sound server's source."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from clients.live.sound_sources import FileSource, PortAudioSource, PulseSource, inputs, open_source
from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from engine.paths import assets
from webrtc.media.voice_line import PIECE, PcmArray

pytestmark = pytest.mark.cpu

SPEECH = assets() / "speech.wav"


class Heard:
    """What a source hands over."""

    def __init__(self) -> None:
        self.pieces: list[tuple[int, PcmArray, float]] = []
        self.ended = threading.Event()
        self.reason = ""

    def sound(self, pts: int, pcm: PcmArray, now: float) -> None:
        self.pieces.append((pts, pcm, now))

    def end(self, reason: str) -> None:
        self.reason = reason
        self.ended.set()


def test_a_file_comes_in_real_time_whole_and_once(tmp_path: Path) -> None:
    source, heard = FileSource(SPEECH), Heard()
    given = np.round(32767 * read_speech(SPEECH, 48_000)).astype(np.int16)
    began = time.monotonic()
    source.start(heard.sound, heard.end)
    time.sleep(0.5)
    source.close()
    assert [pts for pts, _, _ in heard.pieces] == list(range(0, PIECE * len(heard.pieces), PIECE))
    assert all(now - began >= (pts + PIECE) / 48_000 - 0.001 for pts, _, now in heard.pieces), "never too early"
    got = np.concatenate([pcm for _, pcm, _ in heard.pieces])
    assert len(got) > 0.3 * 48_000
    assert np.array_equal(got, given[: len(got)])
    assert not heard.ended.is_set(), "closing is no end"


def test_a_files_last_piece_is_filled_and_told_as_the_end(tmp_path: Path) -> None:
    import wave

    short = tmp_path / "short.wav"
    with wave.open(str(short), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.full(PIECE + 100, 3000, "<i2").tobytes())
    source, heard = FileSource(short), Heard()
    source.start(heard.sound, heard.end)
    assert heard.ended.wait(5)
    source.close()
    got = np.concatenate([pcm for _, pcm, _ in heard.pieces])
    assert len(got) == 2 * PIECE
    assert not got[PIECE + 200 :].any()
    assert heard.reason == ""


def test_again_it_begins_anew_without_a_gap(tmp_path: Path) -> None:
    import wave

    short = tmp_path / "short.wav"
    with wave.open(str(short), "wb") as file:
        file.setparams((1, 2, 48_000, 0, "NONE", ""))
        file.writeframes(np.full(1000, 3000, "<i2").tobytes())
    source, heard = FileSource(short, again=True), Heard()
    source.start(heard.sound, heard.end)
    time.sleep(0.2)
    source.close()
    assert len(heard.pieces) > 4
    assert all(np.abs(pcm.astype(int) - 3000).max() < 10 for _, pcm, _ in heard.pieces)


def test_what_is_missing_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(VivifyError, match=r"pip install 'vivify\[call\]'.*--sound FILE"):
        open_source(None, None)
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(VivifyError, match="apt install pulseaudio-utils"):
        open_source("pulse:x", None)
    assert inputs() == []


def test_an_unknown_microphone_is_named() -> None:
    try:
        import sounddevice  # noqa: F401
    except (ImportError, OSError):
        pytest.skip("sounddevice or PortAudio is not installed (extra 'call')")
    with pytest.raises(VivifyError, match=r"no microphone named 'no such thing'.*--list-inputs"):
        PortAudioSource("no such thing")


@pytest.fixture
def pulse(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[subprocess.Popen[bytes]]:
    """A real PulseAudio with a null sink whose monitor is a microphone."""
    if shutil.which("pulseaudio") is None or shutil.which("pacat") is None:
        pytest.skip("no PulseAudio here: install Debian's packages 'pulseaudio' and 'pulseaudio-utils'")
    for name in ("HOME", "XDG_RUNTIME_DIR", "XDG_CONFIG_HOME"):
        monkeypatch.setenv(name, str(tmp_path))
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/socket")
    modules = ["module-null-sink sink_name=out norewinds=1", f"module-native-protocol-unix socket={tmp_path}/socket"]
    command = ["pulseaudio", "-n", "--daemonize=no", "--use-pid-file=no", "--exit-idle-time=-1", "--disable-shm=yes"]
    process = subprocess.Popen(
        [*command, *(word for module in modules for word in ("-L", module))],
        stderr=subprocess.DEVNULL,
        env=os.environ | {"DBUS_SESSION_BUS_ADDRESS": "unix:path=/nowhere"},
    )
    try:
        ends = time.monotonic() + 10
        while not (tmp_path / "socket").exists():
            assert time.monotonic() < ends, "PulseAudio did not start"
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait()


def test_a_real_sound_servers_source_is_heard(pulse: subprocess.Popen[bytes]) -> None:
    assert ("pulse:out.monitor", "a source of the sound server") in inputs()
    tone = np.round(8000 * np.sin(np.arange(48_000) * 2 * np.pi * 440 / 48_000)).astype("<i2").tobytes()
    play = ["pacat", "--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=20", "--device=out"]
    player = subprocess.Popen(play, stdin=subprocess.PIPE)
    source, heard = PulseSource("out.monitor"), Heard()
    try:
        source.start(heard.sound, heard.end)
        assert player.stdin
        player.stdin.write(tone)
        player.stdin.close()
        ends = time.monotonic() + 10
        while sum(np.abs(pcm).max() > 4000 for _, pcm, _ in heard.pieces) < 15:
            assert time.monotonic() < ends, "the tone was not heard"
            time.sleep(0.02)
        assert [pts for pts, _, _ in heard.pieces] == list(range(0, PIECE * len(heard.pieces), PIECE))
    finally:
        source.close()
        player.kill()
        player.wait()
    assert not [t for t in threading.enumerate() if t.name == "pulse"]


def test_a_source_that_is_not_there_is_said(pulse: subprocess.Popen[bytes]) -> None:
    source, heard = PulseSource("nobody"), Heard()
    with pytest.raises(VivifyError, match=r"No sound comes from 'pulse:nobody'.*--list-inputs"):
        source.start(heard.sound, heard.end)
    source.close()
