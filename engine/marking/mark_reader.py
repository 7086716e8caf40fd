"""Finds the mark in the mean of some seconds of film: at what scale, in which place, and whose it is.

The picture stands still beneath the mark for no longer than the person does, and the mark always: a mean over frames
keeps it. What a photograph has of its own at the chips' size is taken down by looking only at differences from the
surroundings, divided by their variance, and by making every frequency equally loud. The pilot's correlation over all
scales and places says where to look; a finer look follows there, and the decoder. A mark counts as found when its
check is right and the score of the chips that are not the pilot's is above `LEAST`: docs/marks.md derives why nothing
else gets there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from PIL import Image

from engine.contracts import FloatArray
from engine.marking.mark_code import SIDE, MarkIds, agreement, decoded, layout
from engine.marking.mark_pattern import grid

LEAST = 10.4  # how many standard deviations a mark stands above chance, at least
HYPOTHESES = 8 + 48  # log2 of how many places, weighings and ids are decoded in a film, at most
RATIO = 1.016  # between neighbouring scales
SMALLEST, LARGEST = 1.25, 16.5  # pixels a chip: of 256 pixels at half their size, of 1080 at 140 %
LEAST_SEEN = 0.6  # of the pattern's side, inside the film
LEAST_SHARE = 0.35  # of the film's shorter side, that the marked picture takes up
LEAST_PILOT = 4.0  # standard deviations: a third as many chips have 0.58 of the others' score
FINE = 2  # pixels a chip where scale and place are searched
CLOSE = 4  # pixels a chip, at most, where chips are read
AROUND = 4  # chips around the marked picture that are looked at as well
LOUD = 0.4  # turns a chip: up to about there frequencies are made equally loud where scale and place are searched
OWN, CANDIDATES = 2, 6  # places looked at more closely: of the picture's own scale, of all
MOST_PIXELS = 1280  # a larger mean is made smaller


@dataclass(frozen=True, slots=True)
class FoundMark:
    """A mark in a film. ``score`` is in standard deviations of chance, ``chance`` a bound for finding it by chance.

    The marked picture's upper left corner lies at ``left``, ``top``, and it is ``side`` pixels wide.
    """

    ids: MarkIds
    score: float
    chance: float
    left: float
    top: float
    side: float


@dataclass(frozen=True, slots=True)
class _Weighing:
    """What counts how much. ``reach``, ``around``: how many chips away surroundings end, and what tells their variance.

    ``floor`` is variance that is always there; ``smooth``: how far frequencies are made equally loud, see `_balanced`.
    """

    reach: float
    floor: float
    around: float
    smooth: float


WEIGHINGS = (
    _Weighing(1.0, 1.0, 1.5, 0.4),
    _Weighing(1.0, 1.0, 1.0, 0.0),
    _Weighing(0.6, 1.0, 1.0, 0.4),
    _Weighing(1.0, 3.0, 1.5, 0.4),
    _Weighing(2.0, 1.0, 2.0, 0.0),
    _Weighing(2.0, 1.0, 2.0, 0.25),
)


@dataclass(frozen=True, slots=True)
class _Place:
    peak: float
    pitch: float  # pixels a chip
    left: float
    top: float


@dataclass(frozen=True, slots=True)
class _Piece:
    """A piece of a picture, resized: ``across`` and ``down`` pixels of it are one of the picture's."""

    pixels: FloatArray
    across: float
    down: float
    left: float
    top: float

    def chips(self, place: _Place) -> FloatArray:
        """What lies on the chips [96, 96] of a mark at ``place`` in the picture."""
        rows, columns = self.rows(place), self.columns(place)
        return np.asarray(rows.T @ self.pixels @ columns, np.float32)

    def rows(self, place: _Place) -> FloatArray:
        return grid(self.pixels.shape[0], place.pitch * self.down, (place.top - self.top) * self.down)

    def columns(self, place: _Place) -> FloatArray:
        return grid(self.pixels.shape[1], place.pitch * self.across, (place.left - self.left) * self.across)


def find_mark(mean: FloatArray) -> FoundMark | None:
    """The mark in ``mean`` [H, W], the mean luma of some seconds (or one picture), or None."""
    shrunk = min(1.0, MOST_PIXELS / max(mean.shape))
    grey = _resized(mean, round(mean.shape[1] * shrunk), round(mean.shape[0] * shrunk))
    if min(grey.shape) < SMALLEST * SIDE * LEAST_SEEN:
        return None
    places: list[_Place] = []
    for pitches in _pitches(grey.shape):
        places += [place for pitch in pitches for place in _peaks(grey, _searched(grey, pitch), pitch)]
        places.sort(key=lambda place: -place.peak)
        for place in places[: OWN if len(pitches) == 1 else CANDIDATES]:
            if found := _read(grey, place):
                return FoundMark(
                    found.ids,
                    round(found.score, 2),
                    chance(found.score),
                    *(round(v / shrunk, 1) for v in (found.left, found.top, found.side)),
                )
    return None


def chance(score: float) -> float:
    """An upper bound of the chance that anything in a film without a mark scores so high (docs/marks.md)."""
    return min(1.0, math.exp(HYPOTHESES * math.log(2) - score * score / 2))


def _pitches(shape: tuple[int, ...]) -> Iterator[list[float]]:
    """The scales to look at: the whole picture's own first, then all others."""
    own = min(shape) / SIDE
    yield [own]
    smallest, largest = max(SMALLEST, LEAST_SHARE * own), min(LARGEST, own / LEAST_SEEN)
    count = math.ceil(math.log(largest / smallest) / math.log(RATIO)) + 1
    yield [smallest * RATIO**k for k in range(count)]


@dataclass(frozen=True, slots=True)
class _Search:
    """A picture at `FINE` pixels a chip, every frequency equally loud, and how well the pilot agrees with it where."""

    piece: _Piece
    products: FloatArray


def _searched(grey: FloatArray, pitch: float) -> _Search:
    height, width = (round(n * FINE / pitch) for n in grey.shape)
    seen = _whitened(_resized(grey, width, height), FINE, 1.0, 1.0)
    margin = FINE * SIDE // 2
    size = _quick(height + margin), _quick(width + margin)
    spectrum = np.fft.rfft2(seen, size)
    power = _boxed(spectrum.real**2 + spectrum.imag**2, 4)
    turns = [FINE * f for f in (np.fft.fftfreq(size[0])[:, None], np.fft.rfftfreq(size[1])[None])]
    loudness = np.exp(-(turns[0] ** 2 + turns[1] ** 2) / LOUD**2) / (power + 1e-9 * power.max() + 1e-30)
    spectrum *= np.asarray(loudness, np.float32)
    pixels = np.fft.irfft2(spectrum, size)[:height, :width]
    piece = _Piece(np.asarray(pixels, np.float32), width / grey.shape[1], height / grey.shape[0], 0.0, 0.0)
    return _Search(piece, np.fft.irfft2(spectrum * _pilot_spectrum(size), size))


def _peaks(grey: FloatArray, search: _Search, pitch: float) -> list[_Place]:
    """Where the pilot agrees best at this scale."""
    piece, products = search.piece, search.products.copy()
    height, width = piece.pixels.shape
    down, across = products.shape
    spread = float(products.std()) or 1.0
    out = []
    for _ in range(2):
        y, x = divmod(int(np.argmax(products)), across)
        left, top = (x - across if x > width else x) / piece.across, (y - down if y > height else y) / piece.down
        out.append(_Place(float(products[y, x]) / spread, pitch, left, top))
        products[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = 0
    return out


def _read(grey: FloatArray, place: _Place) -> FoundMark | None:
    """The mark at about this place, if it is one."""
    place = _refined(_searched(grey, place.pitch).piece, place)
    if place.peak < LEAST_PILOT:
        return None
    close = _cut(grey, place)
    for weighing in WEIGHINGS:
        pitch = place.pitch * close.across
        seen = _whitened(close.pixels, pitch, weighing.reach, weighing.floor, weighing.around)
        values = replace(close, pixels=seen).chips(place)
        values = _balanced(values, weighing.smooth) if weighing.smooth else values
        if (ids := decoded(values, LEAST)) is None:
            continue
        if (score := agreement(values, ids)) >= LEAST:
            return FoundMark(ids, score, 0.0, place.left, place.top, place.pitch * SIDE)
    return None


def _refined(piece: _Piece, place: _Place) -> _Place:
    """The best of the scales and places around: a pilot that agrees is sharper than the search's steps."""
    pilot = _pilot()
    for step in (1.0, 0.4):
        best = _Place(-np.inf, place.pitch, place.left, place.top)
        half = place.pitch * SIDE / 2
        for share in (-0.008, -0.004, 0.0, 0.004, 0.008):
            pitch = place.pitch * (1 + step * share)
            corner = place.left + half - pitch * SIDE / 2, place.top + half - pitch * SIDE / 2
            around = [step * pitch * k for k in (-0.35, 0.0, 0.35)]
            rows = [piece.rows(_Place(0.0, pitch, 0.0, corner[1] + dy)).T for dy in around]
            for dx in around:
                columns = piece.pixels @ piece.columns(_Place(0.0, pitch, corner[0] + dx, 0.0))
                for dy, row in zip(around, rows, strict=True):
                    values = row @ columns
                    length = float(np.linalg.norm(values[pilot != 0]))
                    score = float((values * pilot).sum() / max(length, 1e-9))
                    if score > best.peak:
                        best = _Place(score, pitch, corner[0] + dx, corner[1] + dy)
        place = best
    return place


def _cut(grey: FloatArray, place: _Place) -> _Piece:
    """The picture about ``place``, at `CLOSE` pixels a chip or its own if those are fewer."""
    edge = AROUND * place.pitch
    side = place.pitch * SIDE
    left, top = (max(math.floor(v - edge), 0) for v in (place.left, place.top))
    right = min(math.ceil(place.left + side + edge), grey.shape[1])
    low = min(math.ceil(place.top + side + edge), grey.shape[0])
    share = min(1.0, CLOSE / place.pitch)
    width, height = (max(round(n * share), 1) for n in (right - left, low - top))
    pixels = _resized(grey[top:low, left:right], width, height)
    return _Piece(pixels, width / (right - left), height / (low - top), left, top)


def _balanced(values: FloatArray, smooth: float) -> FloatArray:
    """Chips [96, 96] with every frequency made equally loud, fine ones softened: compression took more of those."""
    spectrum = np.fft.fft2(values)
    power = _boxed(np.pad(np.abs(spectrum) ** 2, 3, mode="wrap"), 3)[3:-3, 3:-3]
    turns = np.fft.fftfreq(SIDE)
    weight = np.exp(-(turns[:, None] ** 2 + turns[None] ** 2) / smooth**2)
    return np.asarray(np.fft.ifft2(spectrum * weight / (power + 1e-9)).real, np.float32)


def _whitened(grey: FloatArray, pitch: float, reach: float, floor: float, around: float = 1.0) -> FloatArray:
    """What differs from the surroundings, by how much things differ there."""
    high = grey - _boxed(grey, max(round(reach * pitch), 1))
    return np.asarray(high / (_boxed(high * high, max(round(around * pitch), 1)) + floor), np.float32)


def _boxed(values: FloatArray, radius: int) -> FloatArray:
    """Means over squares of 2 * radius + 1 pixels; edges are repeated. Whole rows are added: that is quick."""
    side, values = 2 * radius + 1, np.asarray(values, np.float32)
    for _ in range(2):
        count = len(values)
        wide = np.pad(values, [(radius, radius), (0, 0)], mode="edge")
        total = wide[:count].copy()
        for k in range(1, side):
            total += wide[k : k + count]
        values = np.ascontiguousarray(total.T) / np.float32(side)
    return values


def _resized(grey: FloatArray, width: int, height: int) -> FloatArray:
    if grey.shape == (height, width):
        return np.asarray(grey, np.float32)
    picture = Image.fromarray(np.ascontiguousarray(grey, np.float32))
    return np.asarray(picture.resize((width, height), Image.Resampling.BILINEAR), np.float32)


@lru_cache(maxsize=1)
def _pilot() -> FloatArray:
    """The pilot's signs [96, 96], 0 on other chips."""
    pilot, _, scramble = layout()
    return (pilot * scramble).reshape(SIDE, SIDE)


@lru_cache(maxsize=4)
def _pilot_spectrum(size: tuple[int, int]) -> np.ndarray:
    smooth = grid(FINE * SIDE, FINE, 0.0)
    return np.conj(np.fft.rfft2(smooth @ _pilot() @ smooth.T, size))


def _quick(n: int) -> int:
    """The next size that a Fourier transform likes."""
    n += n % 2
    while True:
        rest = n
        for prime in (2, 3, 5):
            while rest % prime == 0:
                rest //= prime
        if rest == 1:
            return n
        n += 2
