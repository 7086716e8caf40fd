"""The `vivify live` command, in a process of its own: it says what is missing, and leaves nothing behind."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from command import vivify

from engine.paths import assets

pytestmark = pytest.mark.net

ROOT = Path(__file__).resolve().parents[2]
SPEECH = str(assets() / "speech.wav")


def below(pid: int) -> list[int]:
    """All processes that one has started, and theirs."""
    found = []
    for task in Path(f"/proc/{pid}/task").iterdir():
        for child in (task / "children").read_text().split():
            found += [int(child), *below(int(child))]
    return found


@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="this test reads /proc")
def test_it_moves_until_it_is_stopped_and_leaves_nothing_behind() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        to = f"127.0.0.1:{receiver.getsockname()[1]}"
        command = [sys.executable, "-m", "clients.cli", "live", "--sound", SPEECH, "--again", "--live-link", to]
        pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(command, cwd=ROOT, text=True, **pipes)  # type: ignore[call-overload]
        for _ in range(20):
            assert len(receiver.recv(2048)) == 306 + len("Vivify")
        started = below(process.pid)
        assert started, "the engine is a process of its own"
        process.send_signal(signal.SIGINT)
        out, told = process.communicate(timeout=20)
    assert process.returncode == 0, told
    assert not [pid for pid in started if Path(f"/proc/{pid}").exists()]
    assert f"live-link: 'Vivify' to {to}" in told
    report = json.loads(out.splitlines()[-1])
    assert report["frames"]["shown"] >= 20
    assert report["outputs"]["live-link"]["given"]["movement"] >= 20


def test_without_an_output_it_says_which_there_are(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vivify(monkeypatch, "live", "--sound", SPEECH) == 1
    said = capsys.readouterr().err
    assert "An output was expected" in said
    assert all(option in said for option in ("--vmc", "--live-link", "--vtube-studio"))


def test_an_extra_that_is_missing_is_named(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setitem(sys.modules, "pythonosc", None)
    assert vivify(monkeypatch, "live", "--sound", SPEECH, "--vmc", "127.0.0.1") == 1
    assert "pip install 'vivify[vtuber]'" in capsys.readouterr().err


def test_an_option_may_stand_without_its_value(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert vivify(monkeypatch, "live", "--vtube-studio", "--sound", "/no/such/file") == 1
    assert "/no/such/file" in capsys.readouterr().err, "it was the sound that was missing, not the app's address"
    assert vivify(monkeypatch, "live", "--sound", SPEECH, "--vtube-studio", "a:b") == 1
    assert "--vtube-studio was expected to be HOST or HOST:PORT" in capsys.readouterr().err
