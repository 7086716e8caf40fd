"""A microphone in a real sound server: listed, read by parec, each sample at its time, gone however the end comes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path

import numpy as np
import pytest
from private_sound import pipewire, pulseaudio

from clients.outputs.call import sound_server
from clients.outputs.call.arrival import VOICE_PATH_S, Arrival
from clients.outputs.call.sound_server import VirtualMicrophone, connected, left_over
from clients.outputs.call.virtual_microphone import Microphone, paced
from clients.outputs.output import Facts, OutputError, Sound

ROOT = Path(__file__).resolve().parents[3]
PIECE = 960
FACTS = Facts("astronaut", 256, 0.2)
Server = Callable[[pytest.MonkeyPatch], AbstractContextManager[None]]

pytestmark = pytest.mark.net
pytest.importorskip("pulsectl", reason="needs pulsectl (extra call)")


class Listener:
    """Hears when clicks come out of a source."""

    def __init__(self, source: str) -> None:
        self.heard: list[float] = []
        form = ["--raw", "--format=s16le", "--rate=48000", "--channels=1", "--latency-msec=10"]
        self._parec = subprocess.Popen(["parec", f"--device={source}", *form], stdout=subprocess.PIPE)
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self) -> None:
        assert self._parec.stdout
        while len(data := self._parec.stdout.read(480)) == 480:
            now = time.monotonic()
            loud = np.flatnonzero(np.abs(np.frombuffer(data, "<i2")) > 5000)
            if len(loud):
                at = now - (len(data) // 2 - loud[0]) / 48_000
                if not self.heard or at - self.heard[-1] > 0.3:
                    self.heard.append(at)

    def close(self) -> None:
        self._parec.kill()
        self._thread.join()  # it reads to the end: two readers of one pipe would take it from each other
        self._parec.communicate()


def click(output: Microphone, began: float, seconds: float, stall_at: float | None = None) -> list[float]:
    """A click each half second, in real time; when each was due."""
    dues = []
    for number in range(round(seconds * 50)):
        due = began + 0.02 * number
        time.sleep(max(due - time.monotonic(), 0.0))
        if stall_at is not None and number == round(stall_at * 50):
            time.sleep(1.0)
        pcm = np.zeros(PIECE, np.int16)
        if number % 25 == 20:
            pcm[:96] = 20_000
            dues.append(due)
        output.sound(Sound(PIECE * number, pcm, due))
    return dues


@pytest.mark.parametrize("server", [pulseaudio, pipewire])
def test_each_sample_is_heard_at_its_time_also_after_a_stall(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    with server(monkeypatch):
        output = Microphone("A test's voice", Arrival(with_microphone=True))
        output.start(FACTS)
        assert output.state == "'A test's voice' (a_test_s_voice)"
        listener = Listener("a_test_s_voice")
        dues = click(output, time.monotonic() + 0.2, 6.0, stall_at=2.2)
        time.sleep(0.2)
        listener.close()
        with connected() as sound:
            source = next(s for s in sound.source_list() if s.name == "a_test_s_voice")
            assert source.description == "A tests voice"
        output.close()
        assert ours() == []
    off = {due - dues[0]: min((h - due - VOICE_PATH_S for h in listener.heard), key=abs) for due in dues}
    before = [at for due, at in off.items() if 1.0 < due < 1.8]
    after = [at for due, at in off.items() if due > 4.0]
    assert abs(float(np.median(before + after))) < 0.020, off
    assert abs(float(np.median(after))) < 0.030, off


def ours() -> list[str]:
    with connected() as server:
        return [module.argument for module in server.module_list() if "vivify.process" in (module.argument or "")]


@pytest.fixture
def sound(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with pulseaudio(monkeypatch):
        yield


MAKES_ONE = """
import sys
from clients.outputs.call import sound_server
if sys.argv[1] == "unwatched":
    sound_server.VirtualMicrophone._watch = lambda self: None
microphone = sound_server.VirtualMicrophone("Left")
print("there", flush=True)
sys.stdin.read()
"""


def killed(how: str) -> None:
    """A process that has made a microphone, and was killed."""
    process = subprocess.Popen(
        [sys.executable, "-c", MAKES_ONE, how],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert process.stdout
    assert process.stdout.readline() == b"there\n"
    assert len(ours()) == 2
    process.send_signal(signal.SIGKILL)
    process.communicate()


def test_one_whose_maker_was_killed_is_gone_a_moment_later(sound: None) -> None:
    killed("watched")
    until = time.monotonic() + 5
    while ours() and time.monotonic() < until:
        time.sleep(0.05)
    assert ours() == []


def test_what_is_left_all_the_same_is_found_and_removed_by_the_next(sound: None) -> None:
    killed("unwatched")
    with connected() as server:
        assert [m.argument.split()[0] for m in left_over(server)] == [
            "master=left_voice.monitor",
            "sink_name=left_voice",
        ]
    one = VirtualMicrophone("Left")
    assert len(ours()) == 2
    with connected() as server:
        assert left_over(server) == [], "who lives keeps his own"
        with pytest.raises(OutputError, match="'Left' is there already: give --microphone another name"):
            VirtualMicrophone("Left")
    assert len(ours()) == 2
    one.close()
    assert ours() == []


def test_a_sound_server_that_goes_away_is_awaited(monkeypatch: pytest.MonkeyPatch) -> None:
    with pulseaudio(monkeypatch):
        output = Microphone("", Arrival(with_microphone=True))
        output.start(FACTS)
    click(output, time.monotonic(), 0.6)
    assert "Trying again" in output.state
    output.close()


def test_without_a_server_or_pulsectl_a_sentence_says_what_to_do(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path}/none")
    with pytest.raises(OutputError, match="running: 'vivify doctor' names the cure"):
        Microphone("", Arrival(with_microphone=True))
    monkeypatch.setitem(sys.modules, "pulsectl", None)
    with pytest.raises(OutputError, match="pip install 'vivify\\[call\\]'"):
        Microphone("", Arrival(with_microphone=True))
    assert sound_server.started(os.getpid()).isdigit()
    assert sound_server.started(2**30) == ""


@pytest.mark.parametrize(
    ("late_s", "length"), [(0.0, 960), (0.0001, 957), (-0.0001, 963), (0.0005, 957), (-0.014, 963)]
)
def test_a_small_lateness_is_made_up_by_pace(late_s: float, length: int) -> None:
    tone = np.round(10_000 * np.sin(np.arange(PIECE) * 2 * np.pi * 200 / 48_000)).astype(np.int16)
    out = paced(tone, late_s)
    assert len(out) == length
    assert abs(int(out[-1]) - int(tone[-1])) <= 1
    assert np.abs(np.diff(out.astype(int))).max() < 270, "no crack"
