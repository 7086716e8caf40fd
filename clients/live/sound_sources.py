"""Where the voice comes from: a microphone by PortAudio or PulseAudio, or a file as if it were one.

Each hands 48 kHz mono int16 to ``on_sound(pts, pcm, now)``, from a thread of its own, as soon as it has been captured.
"""

from __future__ import annotations

import shutil
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np

from engine.audio.sound_files import read_speech
from engine.errors import VivifyError
from webrtc.media.voice_line import PIECE, VOICE_RATE, PcmArray

OnSound = Callable[[int, PcmArray, float], None]
OnEnd = Callable[[str], None]  # with a sentence if it was not meant to end
PULSE = "pulse:"
NO_PORTAUDIO = (
    "A microphone needs sounddevice and PortAudio, which are not here: pip install 'vivify[call]' and, on Debian, "
    "apt install libportaudio2; or name one as pulse:NAME, or give --sound FILE."
)


class SoundSource(Protocol):
    """A voice. ``latency_s`` is what it holds back before it hands sound over."""

    latency_s: float

    def start(self, on_sound: OnSound, on_end: OnEnd) -> None: ...

    @property
    def state(self) -> str: ...

    def close(self) -> None: ...


class FileSource:
    """A sound file in real time, once or ``again`` and again."""

    latency_s = 0.0

    def __init__(self, path: Path, again: bool = False) -> None:
        """Raises VivifyError for a file that cannot be read."""
        self.state = path.name
        self._again = again
        self._pcm: PcmArray = np.round(32767 * np.clip(read_speech(path, VOICE_RATE), -1, 1)).astype(np.int16)
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="sound file", daemon=True)

    def start(self, on_sound: OnSound, on_end: OnEnd) -> None:
        self._on_sound, self._on_end = on_sound, on_end
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._thread.ident is not None:
            self._thread.join()

    def _run(self) -> None:
        began, sent = time.monotonic(), 0
        while self._again or sent < len(self._pcm):
            due = began + (sent + PIECE) / VOICE_RATE  # a real one hands over what has been captured
            if self._closing.wait(max(due - time.monotonic(), 0.0)):
                return
            at = np.arange(sent, sent + PIECE)
            piece = self._pcm.take(at, mode="wrap") if self._again else np.resize(self._pcm[at[0] : at[-1] + 1], PIECE)
            if not self._again and sent + PIECE > len(self._pcm):
                piece[len(self._pcm) - sent :] = 0
            self._on_sound(sent, piece, time.monotonic())
            sent += PIECE
        self._on_end("")


class PortAudioSource:
    """A microphone by PortAudio: ``device`` is a number or a part of its name, None the system's own choice."""

    def __init__(self, device: str | None) -> None:
        """Raises VivifyError where there is no PortAudio, or no such device."""
        try:
            import sounddevice
        except (ImportError, OSError):
            raise VivifyError(NO_PORTAUDIO) from None
        self._audio: Any = sounddevice
        self._device = int(device) if device is not None and device.isdigit() else device
        try:
            found = sounddevice.query_devices(self._device, "input")
        except (ValueError, sounddevice.PortAudioError):
            raise VivifyError(f"{_named(device)}: try --list-inputs, pulse:NAME, or --sound FILE.") from None
        self.state = str(found["name"])
        self.latency_s = 0.0
        self._stream: Any = None
        self._came = 0

    def start(self, on_sound: OnSound, on_end: OnEnd) -> None:
        def callback(data: Any, frames: int, times: Any, status: Any) -> None:
            on_sound(self._came, np.frombuffer(data, np.int16).copy(), time.monotonic())
            self._came += frames

        def finished() -> None:
            on_end(f"The microphone '{self.state}' is gone: plug it in again, or choose another with --input.")

        settings = {"samplerate": VOICE_RATE, "blocksize": PIECE, "channels": 1, "dtype": "int16", "latency": "low"}
        try:
            self._stream = self._audio.RawInputStream(
                device=self._device, callback=callback, finished_callback=finished, **settings
            )
            self._stream.start()
        except self._audio.PortAudioError as error:
            raise VivifyError(
                f"The microphone '{self.state}' was expected to give one channel at {VOICE_RATE} Hz, but {error}: "
                "choose another with --input, such as pulse:NAME, which converts."
            ) from None
        self.latency_s = float(self._stream.latency)

    def close(self) -> None:
        if self._stream is not None:
            self._stream.close()


class PulseSource:
    """A source of PulseAudio's or PipeWire's by its name, through ``parec``; "" is the default one."""

    LATENCY_MS = 20
    AGAIN_S = 1.0  # after the sound server went away

    def __init__(self, name: str) -> None:
        """Raises VivifyError where there is no ``parec``."""
        if shutil.which("parec") is None:
            raise VivifyError("A pulse: input needs the program parec: on Debian, apt install pulseaudio-utils.")
        self.state = self._name = name or "default"
        self.latency_s = 0.0  # a fragment comes as its last sample does, from which the clock counts
        self._closing = threading.Event()
        self._process: subprocess.Popen[bytes] | None = None
        self._thread = threading.Thread(target=self._run, name="pulse", daemon=True)

    def start(self, on_sound: OnSound, on_end: OnEnd) -> None:
        self._on_sound = on_sound
        first = self._open()
        self._process = first
        assert first.stdout
        head = first.stdout.read(2 * PIECE)
        if len(head) < 2 * PIECE:
            assert first.stderr
            said = first.stderr.read().decode(errors="replace").strip()
            raise VivifyError(f"No sound comes from 'pulse:{self._name}' ({said}): try --list-inputs.")
        self._thread.start()

    def close(self) -> None:
        self._closing.set()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
        if self._thread.ident is not None:
            self._thread.join()
        if self._process is not None and self._process.stdout and self._process.stderr:
            self._process.stdout.close()
            self._process.stderr.close()

    def _open(self) -> subprocess.Popen[bytes]:
        device = [f"--device={self._name}"] if self._name != "default" else []
        form = ["--raw", "--format=s16le", f"--rate={VOICE_RATE}", "--channels=1", f"--latency-msec={self.LATENCY_MS}"]
        return subprocess.Popen(
            ["parec", *device, *form, "--client-name=vivify"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )

    def _run(self) -> None:
        came = 0
        while not self._closing.is_set():
            assert self._process
            assert self._process.stdout
            data = self._process.stdout.read(2 * PIECE)
            if len(data) == 2 * PIECE:
                self.state = self._name
                self._on_sound(came, np.frombuffer(data, "<i2").astype(np.int16), time.monotonic())
                came += PIECE
            elif not self._closing.wait(self.AGAIN_S):
                self.state = f"{self._name}: gone, trying again"
                self._process.kill()
                self._process.wait()
                self._process = self._open()


def open_source(name: str | None, sound: Path | None, again: bool = False) -> SoundSource:
    """The voice asked for. Raises VivifyError where it cannot be had."""
    if sound is not None:
        return FileSource(sound, again)
    if name is not None and name.startswith(PULSE):
        return PulseSource(name.removeprefix(PULSE))
    return PortAudioSource(name)


def inputs() -> list[tuple[str, str]]:
    """What ``--input`` may be, and what it is."""
    found: list[tuple[str, str]] = []
    try:
        import sounddevice

        devices = enumerate(sounddevice.query_devices())
        found += [(str(i), str(d["name"])) for i, d in devices if d["max_input_channels"] > 0]
    except (ImportError, OSError):
        pass
    if shutil.which("pactl"):
        done = subprocess.run(["pactl", "list", "short", "sources"], capture_output=True, text=True, timeout=5)
        lines = [line.split("\t") for line in done.stdout.splitlines()]
        found += [(PULSE + words[1], "a source of the sound server") for words in lines if len(words) > 1]
    return found


def _named(device: str | None) -> str:
    return "There is no microphone here" if device is None else f"There is no microphone named '{device}'"
