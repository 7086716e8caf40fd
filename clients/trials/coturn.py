"""A coturn of one's own on this machine, for the tests and the benchmark of relayed connections (Debian: coturn)."""

from __future__ import annotations

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clients.trials.measuring import free_port
from engine.errors import VivifyError
from webrtc.server_config import IceServer

STARTS_WITHIN_S = 5.0


def installed() -> bool:
    return shutil.which("turnserver") is not None


@contextmanager
def coturn(secret: str) -> Iterator[IceServer]:
    """Runs as long as the block, relaying between this machine's own addresses.

    Raises VivifyError where it is not installed or does not start.
    """
    program = shutil.which("turnserver")
    if program is None:
        raise VivifyError("A TURN server was expected on this machine, but there is none: install coturn.")
    port = free_port()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # nothing is sent: which of our addresses would be used
        host = probe.getsockname()[0]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        options = (
            f"listening-ip={host}",
            f"relay-ip={host}",
            f"listening-port={port}",
            "realm=vivify.test",
            "use-auth-secret",
            f"static-auth-secret={secret}",
            *("no-tls", "no-dtls", "no-cli", "min-port=50000", "max-port=51000", "simple-log"),
            *(f"pidfile={folder}/pid", f"userdb={folder}/db", f"log-file={folder}/log"),
        )
        settings = folder / "turnserver.conf"
        settings.write_text("\n".join(options))
        process = subprocess.Popen([program, "-c", str(settings)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        try:
            _await(host, port)
            yield IceServer(f"turn:{host}:{port}?transport=udp", secret=secret)
        finally:
            process.terminate()
            process.wait()


def _await(host: str, port: int) -> None:
    until = time.monotonic() + STARTS_WITHIN_S
    while time.monotonic() < until:
        with socket.socket() as probe:
            if probe.connect_ex((host, port)) == 0:
                return
        time.sleep(0.05)
    raise VivifyError("The TURN server was expected to start, but did not: see what turnserver prints.")
