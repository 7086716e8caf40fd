"""Looks for the mark in somebody's film, in bounded time whatever the file is."""

from __future__ import annotations

import contextlib
import tempfile
import threading
import time
import urllib.request
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path

import av
import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.marking.mark_reader import FoundMark, find_mark

WINDOW_S = 5.0  # of film whose pictures are averaged
MOST_WINDOWS = 4  # spread over the film
MOST_FRAMES = 400  # of a window
MOST_PIXELS = 8192 * 4320
FORMATS = (  # as FFmpeg calls them: files that hold pictures themselves, no lists of other files and addresses
    "mov,mp4,m4a,3gp,3g2,mj2,matroska,webm,avi,flv,mpeg,mpegts,mpegvideo,ogg,asf,ivf,h264,hevc,gif,apng,"
    "png_pipe,jpeg_pipe,webp_pipe,bmp_pipe,tiff_pipe"
)
MOST_SECONDS = 60.0  # after which no further window is begun, and no more of one is read
MOST_BYTES = 500 << 20  # of what is fetched from an address
FETCH_S = 20.0  # for which an address may stay silent


@dataclass(frozen=True)
class FilmSearch:
    """What was looked at, and what was found. ``problem`` says in words why no picture could be read."""

    mark: FoundMark | None
    windows: int
    frames: int
    problem: str = ""

    def told(self) -> dict[str, int | str]:
        return {"windows": self.windows, "frames": self.frames, "problem": self.problem}


def search_film(path: Path) -> FilmSearch:
    """The mark in a film or picture; never raises for what is in the file."""
    deadline = time.monotonic() + MOST_SECONDS
    windows = frames = 0
    try:
        with contextlib.closing(_means(path, deadline)) as means:
            for mean, count in means:
                windows, frames = windows + 1, frames + count
                if mark := find_mark(mean):
                    return FilmSearch(mark, windows, frames)
    except (OSError, ValueError, LookupError, MemoryError, VivifyError) as problem:
        return FilmSearch(None, windows, frames, f"its pictures cannot be read ({type(problem).__name__})")
    return FilmSearch(None, windows, frames, "" if frames else "it holds no picture")


def _means(path: Path, deadline: float) -> Generator[tuple[FloatArray, int], None, None]:
    """Mean luma of windows, the first first, and how many frames are in each."""
    with av.open(str(path), options={"format_whitelist": FORMATS, "protocol_whitelist": "file"}) as file:
        if not file.streams.video:
            return
        stream = file.streams.video[0]
        stream.thread_type = "AUTO"
        if stream.width * stream.height > MOST_PIXELS:
            raise VivifyError("too many pixels")
        length = (file.duration or 0) / av.time_base
        count = int(min(MOST_WINDOWS, max(1, length // WINDOW_S)))
        for k in range(count):
            if k and time.monotonic() > deadline:
                return
            if k:
                file.seek(int(k * (length - WINDOW_S) / (count - 1) * av.time_base))
            mean, frames = _mean(file, stream, deadline)
            if mean is not None:
                yield mean, frames


def _mean(file: av.container.InputContainer, stream: av.VideoStream, deadline: float) -> tuple[FloatArray | None, int]:
    total: np.ndarray | None = None
    first: float | None = None
    frames = 0
    with contextlib.suppress(av.error.FFmpegError):  # what was read until it broke is looked at
        for frame in _frames(file, stream, deadline):
            if frame.width * frame.height > MOST_PIXELS:
                break
            at = frame.time or 0.0
            first = at if first is None else first
            if not 0 <= at - first < WINDOW_S or frames >= MOST_FRAMES or time.monotonic() > deadline:
                break
            luma = frame.to_ndarray(format="gray")
            if total is None:
                total = np.zeros(luma.shape, np.float32)
            if luma.shape != total.shape:
                break
            total += luma
            frames += 1
    return (None if total is None else total / np.float32(frames)), frames


def _frames(file: av.container.InputContainer, stream: av.VideoStream, deadline: float) -> Iterator[av.VideoFrame]:
    """What is decoded until the deadline, in a file whose packets may hold no pictures at all."""
    for packet in file.demux(stream):
        if time.monotonic() > deadline:
            return
        yield from packet.decode()


@contextlib.contextmanager
def local_copy(film: str) -> Iterator[Path]:
    """The file that ``film`` names, fetched first where it is an address. Raises VivifyError if it cannot be had."""
    if not film.startswith(("http://", "https://")):
        path = Path(film)
        if not path.is_file():
            raise VivifyError(f"A film was expected at '{film}', but no file is there: check the path.")
        yield path
        return
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "film"
        told: list[str] = []
        fetching = threading.Thread(target=_fetch, args=(film, path, told), daemon=True)
        fetching.start()
        fetching.join(MOST_SECONDS)
        if fetching.is_alive():  # whoever answers a byte at a time is not waited for
            told.append(f"it did not come within {MOST_SECONDS:.0f} s")
        if told:
            raise VivifyError(f"A film was expected at '{film}', but {told[0]}: fetch it first, or check the address.")
        yield path


def _fetch(film: str, path: Path, told: list[str]) -> None:
    """Into ``path``; why it cannot be had goes into ``told``."""
    try:
        with urllib.request.urlopen(film, timeout=FETCH_S) as answer, path.open("wb") as file:
            while piece := answer.read(1 << 16):
                file.write(piece)
                if file.tell() > MOST_BYTES:
                    told.append(f"it is longer than {MOST_BYTES >> 20} MB")
                    return
            if answer.length:
                told.append("it broke off before its end")
    except (OSError, ValueError, HTTPException) as problem:
        told.append(f"it cannot be had ({str(problem) or type(problem).__name__})")
