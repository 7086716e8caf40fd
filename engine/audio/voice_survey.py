"""What is on a sound track: how loud each channel is, whether they cancel, and which of them make the voice."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.audio.track_reader import TrackReader
from engine.contracts import FloatArray

SILENT = 2e-4  # a track that never gets louder, -74 dB full scale, is taken for silent
CENTRE_HOLDS = 1e-3  # of the loudest channel's energy: a centre channel with so much holds the voice
UNUSED = 1e-6  # a channel with less of the loudest one's energy is left out of the mixture
CANCELS = 0.5  # channels whose mixture has less than so much of the energy that strangers' would, cancel
BLOCK_S = 0.02
LOUD_SHARE, LOUD_S = 0.05, 1.0  # the voice's level is the one that a twentieth of it exceeds, or a second
FLOOR_SHARE = 0.15  # and the background's, the one that so much of it stays below
LEVELS = np.arange(-120, 7)  # decibels of full scale, a bin each


@dataclass(frozen=True)
class Survey:
    """A track as heard from its beginning to its end, at its own rate."""

    rate: int
    layout: str
    samples: int
    weights: FloatArray  # [C] of the channels in the voice
    cancels: bool  # the channels cancel one another: one of them is the voice
    peak: float  # of any channel
    level_db: float  # of the voice's loud part, full scale
    floor_db: float  # of its quiet part
    faulty: int  # samples that are not numbers
    damaged: int  # packets that could not be decoded

    @property
    def silent(self) -> bool:
        return self.peak < SILENT

    @property
    def scale(self) -> float:
        """What brings the track within full scale."""
        return 1 / self.peak if self.peak > 1 else 1.0


def survey(track: TrackReader, most_samples: float) -> Survey:
    """Listen to all of a track, in memory that does not grow with it; no further than ``most_samples``."""
    channels = track.channels
    products = np.zeros((channels, channels))
    peaks = np.zeros(channels)
    levels = [_Levels(max(round(BLOCK_S * track.rate), 1)) for _ in range(channels)]
    samples = faulty = 0
    for piece in track:
        numbers = np.isfinite(piece)
        if not numbers.all():
            faulty += int(np.count_nonzero(~numbers))
            piece = np.where(numbers, piece, np.float32(0))
        wide = piece.astype(np.float64)
        products += wide.T @ wide
        peaks = np.maximum(peaks, np.abs(piece).max(0))
        for k, one in enumerate(levels):
            one.push(wide[:, k])
        samples += len(piece)
        if samples > most_samples:
            break
    weights, cancels = _voice(products, track.centre)
    voice = levels[int(np.argmax(weights * np.diag(products)))] if samples else levels[0]
    loud = voice.exceeded_by(LOUD_SHARE, round(LOUD_S / BLOCK_S))
    quiet = voice.exceeded_by(1 - FLOOR_SHARE)
    peak = float(peaks.max())
    return Survey(track.rate, track.layout, samples, weights, cancels, peak, loud, quiet, faulty, track.damaged)


def _voice(products: FloatArray, centre: int | None) -> tuple[FloatArray, bool]:
    """The weights of the channels [C] in the voice, from their products [C, C]; and whether they cancel."""
    energy = np.diag(products)
    most = energy.max()
    if len(energy) > 2 and centre is not None and energy[centre] > CENTRE_HOLDS * most:
        return np.eye(len(energy), dtype=np.float32)[centre], False  # films for many loudspeakers speak from the middle
    used = energy >= UNUSED * most
    weights = used / used.sum()
    strangers = float(weights**2 @ energy)  # what channels that have nothing in common would add up to
    if weights @ products @ weights < CANCELS * strangers:
        return np.eye(len(energy), dtype=np.float32)[int(np.argmax(energy))], True
    return weights.astype(np.float32), False


class _Levels:
    """How often a sound had which level, block by block."""

    def __init__(self, block: int) -> None:
        self._block = block
        self._rest = np.zeros(0)
        self._counts = np.zeros(len(LEVELS), np.int64)

    def push(self, samples: FloatArray) -> None:
        waiting = np.concatenate([self._rest, samples])
        whole = len(waiting) // self._block * self._block
        power = np.square(waiting[:whole]).reshape(-1, self._block).mean(1)
        decibels = np.clip(np.round(10 * np.log10(power + 1e-12)), LEVELS[0], LEVELS[-1]).astype(int)
        self._counts += np.bincount(decibels - LEVELS[0], minlength=len(LEVELS))
        self._rest = waiting[whole:]

    def exceeded_by(self, share: float, most: float = np.inf) -> float:
        """The level that so much of the sound exceeds, ``most`` blocks at the most; digital silence does not count."""
        counts = self._counts[1:]
        if not counts.sum():
            return float(LEVELS[0])
        above = np.cumsum(counts[::-1])[::-1]  # blocks at each level or louder
        return float(LEVELS[1:][int(np.flatnonzero(above > min(share * counts.sum(), most, above[0] - 1))[-1])])
