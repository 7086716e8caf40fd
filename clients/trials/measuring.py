"""What the benchmarks share: a server of their own, the machine's name, processor time, and where figures are kept."""

from __future__ import annotations

import json
import os
import platform
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from engine.audio.sound_files import read_speech
from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.paths import assets

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 120


@dataclass(frozen=True, slots=True)
class Server:
    """A server in a process of its own, as users run it."""

    url: str
    pid: int

    def engine_pid(self) -> int:
        """The engine's process. Raises VivifyError where /proc is missing."""
        for child in _children(self.pid):
            if b"engine.process.engine_worker" in Path(f"/proc/{child}/cmdline").read_bytes():
                return child
        raise VivifyError("The engine's process was expected among the server's children, but is not there.")


@contextmanager
def server(*options: str, home: Path = ROOT, command: str = "serve") -> Iterator[Server]:
    """``vivify serve`` on a free port; it ends with the block. Raises VivifyError if it does not start.

    ``home`` is the checkout it is of: an older one, to compare with; ``command`` may be another one that serves.
    """
    port = free_port()
    words = [sys.executable, "-m", "clients.cli", command, "--port", str(port), *options]
    more = os.environ.get("PYTHONPATH", "") if home == ROOT else ""
    python_path = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, (str(home), more)))}
    process = subprocess.Popen(words, cwd=home, stderr=subprocess.DEVNULL, env=python_path)
    try:
        url = f"http://127.0.0.1:{port}"
        _await_health(url, process)
        yield Server(url, process.pid)
    finally:
        process.terminate()
        process.wait()


def _await_health(url: str, process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + START_LIMIT_S
    while time.monotonic() < until and process.poll() is None:
        try:
            with urllib.request.urlopen(f"{url}/healthz", timeout=1):
                return
        except OSError:
            time.sleep(0.2)
    raise VivifyError("The server was expected to start, but did not: run 'vivify doctor'.")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def spoken(rate: int) -> FloatArray:
    """The bundled speech without the silence around it: [n] float32 at ``rate``."""
    samples = read_speech(assets() / "speech.wav", rate)
    loud = np.flatnonzero(np.abs(samples) > 0.05)
    return samples[loud[0] : loud[-1]]


def cpu_seconds(pid: int) -> float:
    """Processor time of a process and all it started, seconds; 0 where /proc is missing."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    own = (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
    return own + sum(cpu_seconds(child) for child in _children(pid))


def processes_below(pid: int) -> Iterator[int]:
    """All that a process started, and they started; none where /proc is missing."""
    for child in _children(pid):
        yield child
        yield from processes_below(child)


def memory_mb(pid: int) -> float:
    """Memory that a process has written and has to itself, MB; 0 where /proc is missing.

    Not the pages of libraries that it alone has mapped: whether it alone has depends on what else runs just then.
    """
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0
    own = (line for line in lines if line.startswith("Private_Dirty"))
    return sum(int(line.split()[1]) for line in own) / 1024


def _children(pid: int) -> list[int]:
    found: list[int] = []
    with suppress(OSError):
        for task in Path(f"/proc/{pid}/task").iterdir():
            with suppress(OSError):  # a thread that has just ended
                found += map(int, (task / "children").read_text().split())
    return found


def circumstances(bench: str, command: str, commit: str = "") -> dict[str, Any]:
    """What every record begins with: when, which commit, on which machine, how."""
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    model = next((line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), "")
    done = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    return {
        "bench": bench,
        "date": time.strftime("%Y-%m-%d"),
        "commit": commit or done.stdout.strip(),
        "machine": {
            "cpu": model or platform.processor(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "load": round(os.getloadavg()[0], 2),  # a busy machine's figures are worth less
        },
        "command": command,
    }


def publish(record: dict[str, Any], save: bool) -> None:
    """Print a record as the last line; with ``save``, append it to benchmarks/NAME.jsonl."""
    text = json.dumps(record)
    if save:
        with open(ROOT / "benchmarks" / f"{record['bench']}.jsonl", "a") as file:
            file.write(text + "\n")
    print(text)
