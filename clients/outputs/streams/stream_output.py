"""`--rtmp` and `--srt`: pictures and voice as a stream to one receiver, which may come late, be slow, go and come back.

Each connection is a process of its own (`stream_publisher.py`). Between two of them all that comes is left out, and
the stream goes on at the time at which it would be.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import threading
import time
from typing import ClassVar

from clients.outputs.output import Facts, Output, OutputError, Picture, Sound
from clients.outputs.streams.backing_off import BackingOff
from clients.outputs.streams.piece_pipe import StreamSettings, write_piece, write_settings
from clients.url_parts import parts_of

LEAD = 1920  # the stream's time at its first piece: AAC begins 1,024 samples earlier, and no time may be negative
STOP_S = 1.5  # for the end of a stream to be written


class Connection:
    """A publisher's process. It never waits for the receiver but in `send`, and there for seconds at most."""

    def __init__(self, settings: StreamSettings) -> None:
        self.live_since: float | None = None
        self.rate = 0.0  # bits a second
        self.sent = 0  # bytes
        self.error = ""
        process: subprocess.Popen[bytes] = subprocess.Popen(
            [sys.executable, "-m", __package__ + ".stream_publisher"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the command, which then ends the stream in order
        )
        assert process.stdin
        assert process.stdout
        self._process, self._stdin, self._stdout = process, process.stdin, process.stdout
        self._listener = threading.Thread(target=self._listen, name="stream", daemon=True)
        self._listener.start()
        with contextlib.suppress(BrokenPipeError):
            write_settings(self._stdin, settings)

    @property
    def over(self) -> bool:
        return self._process.poll() is not None

    def send(self, piece: Picture | Sound, position: int) -> None:
        """Hand it over; what comes too late is known by `over`."""
        with contextlib.suppress(BrokenPipeError):
            write_piece(self._stdin, piece, position)

    def close(self) -> None:
        """End the stream in order, or else at once."""
        with contextlib.suppress(BrokenPipeError):
            self._stdin.close()
        if self.live_since is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(STOP_S)
        self._process.kill()
        self._process.wait()
        self._listener.join()
        self._stdout.close()

    def _listen(self) -> None:
        for line in self._stdout:
            said = json.loads(line)
            if said.get("state") == "live":
                self.live_since = time.monotonic()
            self.rate, self.sent = said.get("rate", self.rate), said.get("sent", self.sent)
            self.error = said.get("error", self.error)


class Stream(Output):
    """What both have in common."""

    wants: ClassVar[frozenset[type]] = frozenset({Picture, Sound})
    schemes: ClassVar[tuple[str, ...]]
    example: ClassVar[str]

    def __init__(self, url: str) -> None:
        """Raises OutputError for what is no such URL."""
        parts = parts_of(url, self.schemes)
        if parts is None:
            raise OutputError(f"--{self.name} was expected to be a URL such as {self.example}, but '{url}' came.")
        self._url = url
        self._where = f"{parts.scheme}://{parts.hostname}"  # the rest is a key
        self._backing_off = BackingOff()
        self._connection: Connection | None = None
        self._begin: int | None = None
        self._again_at = 0.0
        self._trouble = f"connecting to {self._where}"
        self._sent = 0  # by connections that are over

    def start(self, facts: Facts) -> None:
        self._settings = StreamSettings(self.name, self._url, facts.size)
        self._connection = Connection(self._settings)

    def picture(self, piece: Picture) -> None:
        self._send(piece)

    def sound(self, piece: Sound) -> None:
        self._send(piece)

    @property
    def up(self) -> bool:
        connection = self._connection
        return connection is not None and connection.live_since is not None and not connection.over

    @property
    def sent(self) -> int:
        connection = self._connection
        return self._sent + (0 if connection is None else connection.sent)

    @property
    def figures(self) -> str:
        connection = self._connection
        return f"{connection.rate / 1e6:.1f} Mbit/s" if connection is not None and self.up else ""

    @property
    def state(self) -> str:
        if self.up:
            return f"live at {self._where}"
        return f"connecting to {self._where}" if self._connection is not None else self._trouble

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._sent += self._connection.sent
            self._connection, self._trouble = None, f"ended at {self._where}"

    def _send(self, piece: Picture | Sound) -> None:
        """Hand it on where somebody takes it, else leave it out."""
        if self._begin is None:
            self._begin = piece.position
        connection, now = self._connection, time.monotonic()
        if connection is None:
            if now >= self._again_at:
                self._connection = Connection(self._settings)
        elif connection.over:
            self._lost(connection, now)
        elif connection.live_since is not None:
            connection.send(piece, piece.position - self._begin + LEAD)
            return
        self.left_out += 1

    def _lost(self, connection: Connection, now: float) -> None:
        connection.close()
        self._connection = None
        self._sent += connection.sent
        lived = 0.0 if connection.live_since is None else now - connection.live_since
        wait = self._backing_off.wait(lived)
        self._again_at = now + wait
        reason = connection.error or "it takes nothing"
        self._trouble = f"{self._where}: {reason}; again in {wait:.0f} s"


class Rtmp(Stream):
    """A media server, Twitch, YouTube: FLV over RTMP, by PyAV."""

    name = "rtmp"
    schemes = ("rtmp", "rtmps")
    example = "rtmp://a.rtmp.youtube.com/live2/KEY"


class Srt(Stream):
    """MPEG-TS over SRT, by the system's FFmpeg: PyAV's wheels have no SRT."""

    name = "srt"
    schemes = ("srt",)
    example = "srt://127.0.0.1:9000?latency=120000"

    def __init__(self, url: str) -> None:
        """Raises OutputError also where there is no FFmpeg with SRT."""
        super().__init__(url)
        if not ffmpeg_has_srt():
            raise OutputError(
                "--srt was expected to find the program ffmpeg with SRT in it, but there is none: on Debian, "
                "apt install ffmpeg; or use --rtmp or --whip, which need no program."
            )


def ffmpeg_has_srt() -> bool:
    """Whether the system's FFmpeg speaks SRT."""
    if shutil.which("ffmpeg") is None:
        return False
    done = subprocess.run(["ffmpeg", "-hide_banner", "-protocols"], capture_output=True, text=True, timeout=10)
    return "srt" in done.stdout.split()
