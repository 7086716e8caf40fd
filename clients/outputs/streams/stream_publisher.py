"""One connection to one receiver, as a process: pieces come by standard input, what happens is told by standard output.

PyAV holds the interpreter's lock while it connects, and a receiver may take nothing for minutes: here it holds up
nobody. A call that takes too long is ended by the system's alarm, which asks no lock. With this process ends the
connection; another one is another process.
"""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.container import OutputContainer

from clients.films.muxer import SOUND_RATE, Muxer
from clients.outputs.output import Picture, Sound
from clients.outputs.streams.piece_pipe import StreamSettings, read_pieces, read_settings
from clients.outputs.streams.stream_formats import KEYFRAME_S, stream_format
from engine.contracts import ByteArray
from webrtc.media.voice_line import PcmArray

CONNECT_S = 10.0
WRITE_S = 5.0  # for one picture or piece of sound; longer, and the receiver is taken for gone
LONGEST_HOLE = 10 * SOUND_RATE  # of sound that was left out, and is made silence
TICK = Fraction(1, 1000)  # FLV's; MPEG-TS counts finer
# Null packets of MPEG-TS: FFmpeg opens no output before it has seen some of its input.
NULL_PACKETS = 7 * (b"\x47\x1f\xff\x10" + 184 * b"\xff")
FFMPEG = "ffmpeg -nostdin -hide_banner -loglevel info -nostats -f data -probesize 32 -i pipe:0 -map 0 -c copy"
TO_SRT = "-flush_packets 0 -f data"  # packets of 1,316 bytes, seven of MPEG-TS, as SRT's live mode sends them


class Gone(Exception):
    """The receiver, or the program that speaks to it."""


class Published:
    """The stream behind `Muxer`: it begins with a picture, and holes in its sound are silence."""

    def __init__(self, file: OutputContainer, settings: StreamSettings) -> None:
        container = "flv" if settings.kind == "rtmp" else "mpegts"
        self.muxer = Muxer(file, stream_format(container, settings.size), settings.size, tick=TICK)
        self._began: int | None = None
        self._shown = -1
        self._span = -1

    def add(self, piece: Picture | Sound) -> None:
        """The next piece, at its position."""
        if isinstance(piece, Picture):
            self._picture(piece.position, piece.planes)
        elif self._began is not None and piece.position + len(piece.pcm) > self._began:
            self._sound(piece.position, piece.pcm)

    def _picture(self, position: int, planes: ByteArray) -> None:
        if position <= self._shown:
            return
        if self._began is None:
            self._began = self.muxer.samples = position
        span = position // (KEYFRAME_S * SOUND_RATE)
        self.muxer.picture(planes, position, whole=span > self._span)
        self._shown, self._span = position, span

    def _sound(self, position: int, pcm: PcmArray) -> None:
        hole = position - self.muxer.samples
        if hole > LONGEST_HOLE:
            raise Gone("the sound stood still")
        samples = pcm[max(-hole, 0) :].astype(np.float32) / 32768
        self.muxer.sound(np.concatenate([np.zeros(max(hole, 0), np.float32), samples]))


@contextlib.contextmanager
def within(seconds: float) -> Iterator[None]:
    """End this process where the block takes longer, whatever it waits for."""
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def publish(settings: StreamSettings, pieces: Iterator[Picture | Sound], out: IO[str]) -> None:
    """Connect, and send until the pieces end. Raises av's errors, OSError and Gone."""
    with contextlib.ExitStack() as stack:
        with within(CONNECT_S):
            target = settings.url if settings.kind == "rtmp" else f"pipe:{stack.enter_context(srt(settings.url))}"
            container = "flv" if settings.kind == "rtmp" else "mpegts"
            options = stream_format(container, settings.size).options
            file = av.open(target, "w", format=container, options=options)
            published = Published(file, settings)
            file.start_encoding()
        say(out, state="live")
        told, octets = time.monotonic(), 0
        for piece in pieces:
            with within(WRITE_S):
                published.add(piece)
            now = time.monotonic()
            if now - told >= 1:
                say(out, sent=published.muxer.octets, rate=8 * (published.muxer.octets - octets) / (now - told))
                told, octets = now, published.muxer.octets
        with within(WRITE_S):
            published.muxer.finish()


@contextlib.contextmanager
def srt(url: str) -> Iterator[int]:
    """A pipe for MPEG-TS that leads to ``url``, once FFmpeg has connected. Raises Gone with its words."""
    command = [*FFMPEG.split(), *TO_SRT.split(), url]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE) as ffmpeg:
        assert ffmpeg.stdin
        assert ffmpeg.stderr
        try:
            ffmpeg.stdin.write(NULL_PACKETS)
            ffmpeg.stdin.flush()
            last = ""
            for line in ffmpeg.stderr:
                if line.startswith(b"Output #0"):
                    break
                last = line.decode(errors="replace").strip() or last
            else:
                raise Gone(last.replace(url, "").strip(" :") or "FFmpeg ended")
            yield ffmpeg.stdin.fileno()
        finally:
            with contextlib.suppress(OSError):
                ffmpeg.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                ffmpeg.wait(1)
            ffmpeg.kill()


def say(out: IO[str], **what: object) -> None:
    print(json.dumps(what), file=out, flush=True)


def main() -> None:
    av.logging.set_level(av.logging.PANIC)  # its errors come as exceptions
    settings = read_settings(sys.stdin.buffer)
    try:
        publish(settings, read_pieces(sys.stdin.buffer, settings.size), sys.stdout)
    except BrokenPipeError:
        _leave("the receiver has gone")
    except (av.FFmpegError, OSError, Gone) as error:
        _leave(getattr(error, "strerror", None) or str(error))


def _leave(reason: str) -> None:
    """Say why, and be gone: an end in order would close the file, which waits for the receiver once more."""
    say(sys.stdout, error=reason)
    signal.raise_signal(signal.SIGKILL)


if __name__ == "__main__":
    main()
