"""Finds the mark in the mean of some seconds of film: at what scale, in which place, and whose it is.

The picture stands still beneath the mark for no longer than the person does, and the mark always: a mean over frames
keeps it. What a photograph has of its own at the chips' size is taken down by looking only at differences from the
surroundings, divided by their variance. The pilot's correlation over all scales and places says where to look; a
finer look follows there, and the decoder. A mark counts as found when its check is right and its score is above
`LEAST`: docs/marks.md derives why nothing else gets there.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from PIL import Image

from engine.contracts import FloatArray
from engine.marking.mark_code import SIDE, MarkIds, chips, decoded, layout
from engine.marking.mark_pattern import grid

LEAST = 12.6  # how many standard deviations a mark stands above chance, at least
HYPOTHESES = 45 + 48  # log2 of how many scales, places, filters and ids are looked at in a film, at most
RATIO = 1.016  # between neighbouring scales
SMALLEST, LARGEST = 1.25, 16.5  # pixels a chip: of 256 pixels at half their size, of 1080 at 140 %
LEAST_SEEN = 0.6  # of the pattern's side, inside the film
LEAST_SHARE = 0.35  # of the film's shorter side, that the marked picture takes up
LEAST_PILOT = 3.5  # standard deviations: a quarter of the chips has half of a mark's score
FINE = 2  # pixels a chip where scale and place are searched
CANDIDATES = 6  # places looked at more closely
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
)


@dataclass(frozen=True, slots=True)
class _Place:
    peak: float
    pitch: float  # pixels a chip
    left: float
    top: float


def find_mark(mean: FloatArray) -> FoundMark | None:
    """The mark in ``mean`` [H, W], the mean luma of some seconds (or one picture), or None."""
    shrunk = min(1.0, MOST_PIXELS / max(mean.shape))
    grey = _resized(mean, round(mean.shape[1] * shrunk), round(mean.shape[0] * shrunk))
    if min(grey.shape) < SMALLEST * SIDE * LEAST_SEEN:
        return None
    places: list[_Place] = []
    for pitches in _pitches(grey.shape):
        places += [place for pitch in pitches for place in _peaks(grey, pitch)]
        places.sort(key=lambda place: -place.peak)
        for place in places[:CANDIDATES]:
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


def _peaks(grey: FloatArray, pitch: float) -> list[_Place]:
    """Where the pilot agrees best at this scale."""
    height, width = (round(n * FINE / pitch) for n in grey.shape)
    seen = _whitened(_resized(grey, width, height), FINE, 1.0, 1.0)
    margin = FINE * SIDE // 2
    size = _quick(height + margin), _quick(width + margin)
    products = np.fft.irfft2(np.fft.rfft2(seen, size) * _pilot_spectrum(size), size)
    spread = float(products.std()) or 1.0
    out = []
    for _ in range(2):
        at = int(np.argmax(products))
        y, x = divmod(at, size[1])
        out.append(
            _Place(
                float(products[y, x]) / spread,
                pitch,
                (x - size[1] if x > width else x) * pitch / FINE,
                (y - size[0] if y > height else y) * pitch / FINE,
            )
        )
        products[max(y - 3, 0) : y + 4, max(x - 3, 0) : x + 4] = 0
    return out


def _read(grey: FloatArray, place: _Place) -> FoundMark | None:
    """The mark at about this place, if it is one."""
    place = _refined(grey, place)
    if place.peak < LEAST_PILOT:
        return None
    for weighing in WEIGHINGS:
        seen = _whitened(grey, place.pitch, weighing.reach, weighing.floor, weighing.around)
        values = _chips_at(seen, place)
        values = _balanced(values, weighing.smooth) if weighing.smooth else values
        if (ids := decoded(values, LEAST)) is None:
            continue
        score = float((values * chips(ids)).sum() / max(float(np.linalg.norm(values)), 1e-9))
        if score >= LEAST:
            return FoundMark(ids, score, 0.0, place.left, place.top, place.pitch * SIDE)
    return None


def _refined(grey: FloatArray, place: _Place) -> _Place:
    """The best of the scales and places around: a pilot that agrees is sharper than the search's steps."""
    seen = _whitened(grey, place.pitch, 1.0, 1.0)
    for step in (1.0, 0.4):
        best = _Place(-np.inf, place.pitch, place.left, place.top)
        half = place.pitch * SIDE / 2
        for share in (-0.008, -0.004, 0.0, 0.004, 0.008):
            pitch = place.pitch * (1 + step * share)
            corner = place.left + half - pitch * SIDE / 2, place.top + half - pitch * SIDE / 2
            around = [step * pitch * k for k in (-0.7, -0.35, 0.0, 0.35, 0.7)]
            rows = [grid(grey.shape[0], pitch, corner[1] + dy).T for dy in around]
            for dx in around:
                columns = seen @ grid(grey.shape[1], pitch, corner[0] + dx)
                for dy, row in zip(around, rows, strict=True):
                    values = row @ columns
                    score = float((values * _pilot()).sum() / max(float(np.linalg.norm(values)), 1e-9))
                    if score > best.peak:
                        best = _Place(score, pitch, corner[0] + dx, corner[1] + dy)
        place = best
    return place


def _chips_at(seen: FloatArray, place: _Place) -> FloatArray:
    rows = grid(seen.shape[0], place.pitch, place.top)
    return np.asarray(rows.T @ seen @ grid(seen.shape[1], place.pitch, place.left), np.float32)


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


def _boxed(values: np.ndarray, radius: int) -> np.ndarray:
    """Means over squares of 2 * radius + 1 pixels; edges are repeated."""
    side = 2 * radius + 1
    for _ in range(2):
        sums = np.cumsum(np.pad(values, [(radius + 1, radius), (0, 0)], mode="edge"), axis=0, dtype=np.float64)
        values = ((sums[side:] - sums[:-side]) / side).T
    return values


def _resized(grey: FloatArray, width: int, height: int) -> FloatArray:
    if grey.shape == (height, width):
        return np.asarray(grey, np.float32)
    picture = Image.fromarray(np.asarray(grey, np.float32))
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
