"""What tests of streams share: pictures that flash while sound beeps, in real time, and receivers."""

from __future__ import annotations

import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from clients.outputs.output import Facts, Output, Picture, Sound
from clients.outputs.output_line import OutputLine
from clients.trials.receiving.flashes import beeping_sound, flashing_picture

PIECE = 960
SIZE = 128


class Playing:
    """Gives an output what a live face would, piece by piece, and knows how far it is."""

    def __init__(self, output: Output) -> None:
        self.output = output
        self.line = OutputLine(output)
        self.line.start(Facts("astronaut", SIZE, 0.2))
        self._begun, self._pieces = time.monotonic(), 0
        self.longest_offer_s = 0.0

    def play(self, seconds: float, until: Callable[[], bool] = lambda: False) -> None:
        """For so long, or until something is so."""
        for _ in range(round(seconds * 50)):
            position = PIECE * self._pieces
            due = self._begun + position / 48_000
            time.sleep(max(due - time.monotonic(), 0.0))
            offered = time.monotonic()
            if position % (2 * PIECE) == 0:
                self.line.offer(Picture(position, flashing_picture(position, SIZE), due))
            self.line.offer(Sound(position, beeping_sound(position, PIECE), due))
            self.longest_offer_s = max(self.longest_offer_s, time.monotonic() - offered)
            self._pieces += 1
            if until():
                return

    def play_until(self, is_so: Callable[[], bool]) -> None:
        """Raises AssertionError where it is not so in twenty seconds."""
        self.play(20, is_so)
        assert is_so(), self.line.state

    @property
    def seconds(self) -> float:
        return self._pieces * PIECE / 48_000

    def end(self) -> float:
        """End it; seconds that took."""
        begun = time.monotonic()
        self.line.end()
        self.line.join()
        return time.monotonic() - begun


def free_port(kind: socket.SocketKind = socket.SOCK_STREAM) -> int:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def listening(url: str, path: Path) -> subprocess.Popen[bytes]:
    """FFmpeg, which waits for one stream and writes it down as it comes, with its own times."""
    server = ["-listen", "1"] if url.startswith("rtmp") else []
    command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-y", "-copyts", *server, "-i", url, "-c", "copy"]
    process = subprocess.Popen([*command, "-flush_packets", "1", str(path)])
    if server:
        await_listener(int(url.split(":")[2].split("/")[0]))
    else:
        time.sleep(0.3)
    return process


def await_listener(port: int) -> None:
    """Until somebody listens, found without connecting: FFmpeg takes the first one who comes."""
    row = f":{port:04X} "
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        for line in Path("/proc/net/tcp").read_text().splitlines()[1:]:
            if row in line[:30] and line.split()[3] == "0A":
                return
        time.sleep(0.02)
    raise AssertionError("no receiver listens")
