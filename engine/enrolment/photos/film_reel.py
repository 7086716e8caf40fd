"""The pictures of a film, as they are meant to be seen: at times, with square pixels, all of one size."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from engine.audio.sound_files import TITLES
from engine.contracts import ByteArray
from engine.enrolment.photos.high_range import HLG, PQ, to_sdr
from engine.errors import VivifyError

MOST_PIXELS = 36_000_000  # of a picture: 8K has 33
LEAST_STEP = 0.028  # seconds between two pictures that are looked at: 50 and 60 a second tell no more than 25 and 30
SQUARE, WIDEST = 0.01, 2.5  # of a pixel's height: what its width may differ by; and what no film's has
Picture = tuple[av.VideoFrame, int]  # and the quarter turns to the left that it wants


class Reel:
    """A film that stays open: who asks for later pictures goes on from the last one, for earlier ones begins anew.

    Films are decoded from their beginning; asking for one shot after another would do that for each of them.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._coming: Iterator[Picture] = iter(())
        self._here: Picture | None = None
        self._next: Picture | None = None
        self._first = True  # nothing was before what is here

    def at(self, seconds: float) -> Picture | None:
        """What is shown then, on the file's clock: a picture stands for the time until the next; None without any."""
        if self._here is None or (seconds < _time(self._here) and not self._first):
            self._coming = decoded(self._path)
            self._here, self._next = next(self._coming, None), next(self._coming, None)
            self._first = True
        while self._next is not None and _time(self._next) <= seconds:
            self._here, self._next, self._first = self._next, next(self._coming, None), False
        return self._here


def as_rgb(frame: av.VideoFrame, width: int = 0, height: int = 0, interpolation: str = "BILINEAR") -> ByteArray:
    """A picture in sRGB, as large as it is [H, W, 3] or [``height``, ``width``, 3], whatever its own colours."""
    curve = int(frame.color_trc or 0)
    kind = "rgb48le" if curve in (PQ, HLG) else "rgb24"
    width, height = width or frame.width, height or frame.height
    picture = frame.to_ndarray(format=kind, width=width, height=height, interpolation=interpolation)
    return to_sdr(picture, curve) if kind == "rgb48le" else np.asarray(picture, np.uint8)


def _time(picture: Picture) -> float:
    return float(picture[0].time or 0.0)


def decoded(path: Path) -> Iterator[Picture]:
    """The pictures of a film that have a time, at most some 35 a second, and the quarter turns to the left due.

    Their pixels are square. What is of another size than the first is left out: a telephone was turned meanwhile.
    """
    with av.open(str(path), **TITLES) as container:
        if not container.streams.video:
            raise VivifyError(f"'{path}' was expected to be a film, but has no pictures: choose another file.")
        stream = container.streams.video[0]
        if stream.width * stream.height > MOST_PIXELS:
            raise VivifyError(
                f"A film has at most {MOST_PIXELS // 1_000_000} megapixels, but '{path}' has {stream.width} x "
                f"{stream.height}: export it smaller."
            )
        stream.thread_type = "AUTO"
        wide = float(stream.sample_aspect_ratio or 1)
        wide = 1.0 if abs(wide - 1) < SQUARE or not 1 / WIDEST < wide < WIDEST else wide
        last, size = -np.inf, None
        for frame in container.decode(video=0):
            size = size or (frame.width, frame.height)
            if frame.time is None or frame.time - last < LEAST_STEP or (frame.width, frame.height) != size:
                continue
            last, turn = frame.time, round(frame.rotation / 90)
            yield (frame if wide == 1 else frame.reformat(width=2 * round(wide * frame.width / 2))), turn
