"""PulseAudio and PipeWire of one's own, away from the machine's, for a test and a benchmark."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from engine.errors import VivifyError

START_LIMIT_S = 15.0
PULSEAUDIO = ("pulseaudio", "pactl", "parec")
PIPEWIRE = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-run-session", "pactl", "parec", "gst-launch-1.0")
# wireplumber ends without a session bus; each ends with the shell that waits for all of them
ALL_OF_PIPEWIRE = "pipewire & sleep 0.3; wireplumber & pipewire-pulse & wait"


@contextmanager
def pulseaudio() -> Iterator[dict[str, str]]:
    """What to set in the environment to use it. Raises VivifyError where it is not installed or does not start."""
    _need(PULSEAUDIO)
    with tempfile.TemporaryDirectory(prefix="vivify-sound-") as folder:
        socket = Path(folder, "native")
        modules = [
            f"module-native-protocol-unix auth-anonymous=1 socket={socket}",
            "module-null-sink sink_name=nowhere",
        ]
        options = ["-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disallow-exit"]
        command = ["pulseaudio", *options, *(part for module in modules for part in ("-L", module))]
        with _running(command, folder) as environment:
            environment["PULSE_SERVER"] = f"unix:{socket}"
            _await(environment)
            yield environment


@contextmanager
def pipewire() -> Iterator[dict[str, str]]:
    """The same of PipeWire, which carries pictures too, with its layer for PulseAudio's clients."""
    _need(PIPEWIRE)
    with (
        tempfile.TemporaryDirectory(prefix="vivify-sound-") as folder,
        _running(["dbus-run-session", "--", "sh", "-c", ALL_OF_PIPEWIRE], folder) as environment,
    ):
        environment["PULSE_SERVER"] = f"unix:{folder}/pulse/native"
        _await(environment)
        yield environment


def _need(programs: tuple[str, ...]) -> None:
    absent = [program for program in programs if shutil.which(program) is None]
    if absent:
        raise VivifyError(f"A sound server of its own needs {', '.join(absent)}, which is not installed.")


@contextmanager
def _running(command: list[str], folder: str) -> Iterator[dict[str, str]]:
    own = {"XDG_RUNTIME_DIR": folder, "PIPEWIRE_RUNTIME_DIR": folder, "PULSE_RUNTIME_PATH": f"{folder}/pulse"}
    home = {"HOME": folder, "XDG_CONFIG_HOME": folder, "XDG_STATE_HOME": folder}
    process = subprocess.Popen(
        command,
        env={**os.environ, **own, **home},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        yield own
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        process.wait()


def _await(environment: dict[str, str]) -> None:
    """Until it answers, and has somewhere to play to."""
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until:
        done = subprocess.run(
            ["pactl", "list", "short", "sinks"], env={**os.environ, **environment}, capture_output=True, timeout=10
        )
        if done.returncode == 0 and done.stdout.strip():
            return
        time.sleep(0.1)
    raise VivifyError(f"A sound server of its own was expected to answer within {START_LIMIT_S:.0f} s, but does not.")
