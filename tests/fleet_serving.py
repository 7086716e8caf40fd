"""`vivify serve --nodes` in a process of its own, as users run it: a door, two nodes, small pictures."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Fleet:
    url: str
    pid: int
    node_port: int  # the first node's; the second's is the next

    def node_pid(self, name: str) -> int:
        """The process of node ``n1`` or ``n2``: of the door's children, the one that listens at its port."""
        port = self.node_port + int(name.removeprefix("n")) - 1
        for child in Path(f"/proc/{self.pid}/task/{self.pid}/children").read_text().split():
            if port in _listening(int(child)):
                return int(child)
        raise AssertionError(f"{name} is not there")


@contextmanager
def fleet(*options: str) -> Iterator[Fleet]:
    port = _free(3)
    command = [sys.executable, "-m", "clients.cli", "serve", "--port", str(port), "--nodes", "2", "--size", "256"]
    command += ["--max-sessions", "2", "--node-port", str(port + 1), "--drain-seconds", "1", *options]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, stderr=subprocess.DEVNULL, env=environment)
    try:
        url, until = f"http://127.0.0.1:{port}", time.monotonic() + 90
        while not _answers(url):
            assert process.poll() is None, "the fleet did not start"
            assert time.monotonic() < until, "the fleet did not start in time"
            time.sleep(0.1)
        yield Fleet(url, process.pid, port + 1)
    finally:
        process.terminate()
        assert process.wait(30) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5):
            return True
    except OSError:
        return False


def _free(count: int) -> int:
    """The first of so many free ports in a row."""
    while True:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            first = int(probe.getsockname()[1])
        if first < 65_000 and not any(_taken(first + n) for n in range(count)):
            return first


def _taken(port: int) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def _listening(pid: int) -> set[int]:
    """Ports that a process listens at."""
    lines = [line.split() for line in Path(f"/proc/{pid}/net/tcp").read_text().splitlines()[1:]]
    ports = {fields[9]: int(fields[1].split(":")[1], 16) for fields in lines if fields[3] == "0A"}
    links = [os.readlink(link) for link in Path(f"/proc/{pid}/fd").iterdir() if link.is_symlink()]
    return {ports[inode] for link in links if (inode := link.removeprefix("socket:[").rstrip("]")) in ports}
