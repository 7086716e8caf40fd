"""What a mouth does for given phone times: a dominance model of coarticulation.

Every phone pulls each articulator towards its target with a weight that falls off before and after the phone's core;
the articulator is the weighted mean. It teaches the lip branch, and tells tests how far a mouth should open when.
Time constants are those that agreed best with tracked video (halved for the jaw and the lips' edges), and so are the
jaws and widths of common phones: today's u hardly puckers as w does, and "now" ends laxly.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, FloatArray
from engine.motion.facial.articulators import ARTICULATORS, CLOSE, aperture
from engine.motion.facial.phones import BILABIAL, INDEX, LABIODENTAL, SILENCE, normalise

Phone = tuple[str, float, float]  # name, start and end in seconds

LEAD = 0.015  # seconds by which the mouth is ahead of its sound
RATE = 100  # Hz of the fine track that video frames are read from
_N = len(ARTICULATORS)

#                 before the core, s                           after it, s; order of ARTICULATORS
_RISE = np.array([0.032, 0.040, 0.068, 0.064, 0.056, 0.032, 0.032, 0.045, 0.050])
_FALL = np.array([0.028, 0.038, 0.075, 0.075, 0.069, 0.028, 0.028, 0.040, 0.045])

#                      jaw  close  puck  funn  stre  lowd  uppu  roll  tong
_TARGETS: dict[str, list[float]] = {
    "AA": [0.80, 0.00, 0.00, 0.00, 0.00, 0.30, 0.15, 0.00, 0.00],
    "AE": [0.72, 0.00, 0.00, 0.00, 0.35, 0.40, 0.25, 0.00, 0.00],
    "AH": [0.44, 0.00, 0.00, 0.00, 0.00, 0.22, 0.10, 0.00, 0.00],
    "AO": [0.62, 0.00, 0.20, 0.50, 0.00, 0.15, 0.00, 0.00, 0.00],
    "EH": [0.50, 0.00, 0.00, 0.00, 0.35, 0.33, 0.20, 0.00, 0.00],
    "ER": [0.30, 0.00, 0.20, 0.40, 0.00, 0.15, 0.00, 0.00, 0.00],
    "IH": [0.30, 0.00, 0.00, 0.00, 0.35, 0.25, 0.15, 0.00, 0.00],
    "IY": [0.30, 0.00, 0.00, 0.00, 0.45, 0.25, 0.20, 0.00, 0.00],
    "UH": [0.30, 0.00, 0.30, 0.20, 0.00, 0.10, 0.00, 0.00, 0.00],
    "UW": [0.20, 0.00, 0.60, 0.35, 0.00, 0.00, 0.00, 0.00, 0.00],
    "P": [0.12, 1.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.10, 0.00],
    "B": [0.12, 1.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.10, 0.00],
    "M": [0.12, 1.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00, 0.00],
    "F": [0.15, 0.70, 0.00, 0.00, 0.00, 0.00, 0.20, 0.90, 0.00],
    "V": [0.16, 0.65, 0.00, 0.00, 0.00, 0.00, 0.20, 0.80, 0.00],
    "TH": [0.20, 0.00, 0.00, 0.00, 0.00, 0.25, 0.10, 0.00, 0.90],
    "DH": [0.20, 0.00, 0.00, 0.00, 0.00, 0.25, 0.10, 0.00, 0.80],
    "T": [0.16, 0.00, 0.00, 0.00, 0.10, 0.25, 0.12, 0.00, 0.50],
    "D": [0.18, 0.00, 0.00, 0.00, 0.10, 0.25, 0.12, 0.00, 0.50],
    "N": [0.15, 0.00, 0.00, 0.00, 0.10, 0.22, 0.10, 0.00, 0.50],
    "S": [0.08, 0.00, 0.00, 0.00, 0.30, 0.35, 0.22, 0.00, 0.20],
    "Z": [0.09, 0.00, 0.00, 0.00, 0.30, 0.33, 0.20, 0.00, 0.20],
    "SH": [0.10, 0.00, 0.30, 0.65, 0.00, 0.30, 0.25, 0.00, 0.00],
    "ZH": [0.10, 0.00, 0.30, 0.60, 0.00, 0.28, 0.22, 0.00, 0.00],
    "CH": [0.10, 0.00, 0.30, 0.65, 0.00, 0.30, 0.25, 0.00, 0.00],
    "JH": [0.11, 0.00, 0.30, 0.60, 0.00, 0.28, 0.22, 0.00, 0.00],
    "K": [0.28, 0.00, 0.00, 0.00, 0.00, 0.20, 0.10, 0.00, 0.00],
    "G": [0.28, 0.00, 0.00, 0.00, 0.00, 0.20, 0.10, 0.00, 0.00],
    "NG": [0.28, 0.00, 0.00, 0.00, 0.00, 0.20, 0.10, 0.00, 0.00],
    "HH": [0.35, 0.00, 0.00, 0.00, 0.00, 0.20, 0.10, 0.00, 0.00],
    "L": [0.36, 0.00, 0.00, 0.00, 0.00, 0.20, 0.10, 0.00, 0.80],
    "R": [0.16, 0.00, 0.35, 0.40, 0.00, 0.10, 0.00, 0.00, 0.00],
    "W": [0.14, 0.00, 0.95, 0.35, 0.00, 0.00, 0.00, 0.00, 0.00],
    "Y": [0.20, 0.00, 0.00, 0.00, 0.45, 0.20, 0.15, 0.00, 0.00],
    SILENCE: [0.0] * _N,
}
_GLIDES = {"AW": ("AA", "UH"), "AY": ("AA", "IY"), "EY": ("EH", "IY"), "OW": ("AO", "UW"), "OY": ("AO", "IY")}
_GLIDE_TURN = 0.55  # how much of a diphthong is its first vowel

#                                    jaw  close  puck  funn  stre  lowd  uppu  roll  tong
_DOMINANCE: dict[str, tuple[float, ...]] = {
    **dict.fromkeys(BILABIAL, (0.50, 12.0, 0.25, 0.25, 0.25, 0.40, 0.40, 0.50, 0.30)),
    **dict.fromkeys(LABIODENTAL, (0.80, 6.0, 0.30, 0.30, 0.40, 0.80, 1.00, 4.00, 0.50)),
    **dict.fromkeys(("W", "UW", "OW"), (1.0, 1.0, 2.5, 2.5, 1.0, 1.0, 1.0, 1.0, 1.0)),
    **dict.fromkeys(("SH", "ZH", "CH", "JH"), (1.5, 1.0, 1.6, 1.6, 1.0, 1.0, 1.0, 1.0, 1.0)),
    **dict.fromkeys(("S", "Z"), (1.6, 1.0, 0.4, 0.4, 1.0, 1.0, 1.0, 1.0, 1.0)),
    **dict.fromkeys(("T", "D", "N", "TH", "DH", "L"), (0.6, 1.0, 0.25, 0.25, 0.25, 0.5, 0.5, 1.0, 2.0)),
    **dict.fromkeys(("K", "G", "NG"), (0.35, 0.5, 0.15, 0.15, 0.15, 0.25, 0.25, 0.5, 0.6)),
    "HH": (0.15, 0.3, 0.1, 0.1, 0.1, 0.1, 0.1, 0.3, 0.3),
    SILENCE: (0.8, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    **dict.fromkeys(("AA", "AE", "AO"), (1.5, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0)),
}


def _targets(phones: list[Phone]) -> list[Phone]:
    """Normalised phones with diphthongs split into their vowels and neighbouring silences joined."""
    out: list[Phone] = []
    for name, start, end in phones:
        phone = normalise(name)
        if phone in _GLIDES:
            turn = start + (end - start) * _GLIDE_TURN
            out += [(_GLIDES[phone][0], start, turn), (_GLIDES[phone][1], turn, end)]
        elif phone == SILENCE and out and out[-1][0] == SILENCE:
            out[-1] = (SILENCE, out[-1][1], end)
        else:
            out.append((phone, start, end))
    return out


def _core(phone: str, start: float, end: float) -> tuple[float, float]:
    """The stretch over which a phone pulls with full weight."""
    length = end - start
    if phone in BILABIAL or phone in LABIODENTAL:
        return start + min(0.01, 0.2 * length), end - min(0.015, 0.3 * length)
    if phone == SILENCE:
        return start + min(0.10, 0.4 * length), end - min(0.06, 0.3 * length)
    return start + 0.30 * length, end - 0.35 * length


def _weight(phone: str, length: float) -> np.ndarray:
    """Dominance per articulator [9]; short phones pull less, closures keep their strength."""
    weight = np.array(_DOMINANCE.get(phone, [1.0] * _N))
    if phone == SILENCE and length < 0.15:
        return weight * max(0.1, length / 0.15) * 0.6
    if phone != SILENCE and length < 0.05 and phone not in BILABIAL and phone not in LABIODENTAL:
        return weight * (0.35 + 0.65 * length / 0.05)
    return weight


def fine_track(phones: list[Phone], times: np.ndarray) -> np.ndarray:
    """Articulators [n, 9] at ``times`` [n] (seconds, rising, evenly spaced at `RATE`) for phone times."""
    total, weights = np.zeros((len(times), _N)), np.full((len(times), _N), 1e-4)
    for phone, start, end in _targets(phones):
        first, last = np.searchsorted(times, (start - 0.35, end + 0.35))
        if first == last:
            continue
        low, high = _core(phone, start, end)
        t = times[first:last, None]
        outside = np.where(t < low, np.maximum(low - t, 0) / _RISE, np.maximum(t - high, 0) / _FALL)
        weight = np.exp(-(outside**1.5)) * _weight(phone, end - start)
        total[first:last] += weight * np.array(_TARGETS[phone])
        weights[first:last] += weight
    track = total / weights
    kernel = np.exp(-0.5 * (np.arange(-4, 5) / (0.012 * RATE)) ** 2)
    padded = np.pad(track, ((4, 4), (0, 0)), "edge")
    return np.stack([np.convolve(padded[:, k], kernel / kernel.sum(), "valid") for k in range(_N)], 1)


def articulators(phones: list[Phone], frames: int) -> FloatArray:
    """The teacher's articulators [frames, 9] at 25 fps: frame k is what its middle, (k + .5) / 25 s, should show.

    Closure is the largest within 20 ms of that instant, else a short p would fall between two frames.
    """
    per_frame = RATE // FRAMES_PER_SECOND
    times = np.arange(frames * per_frame + 1) / RATE + LEAD
    track = fine_track(phones, times)
    middles = np.arange(frames) * per_frame + per_frame // 2
    out = track[middles]
    around = middles[:, None] + np.arange(-2, 3)
    out[:, CLOSE] = track[np.clip(around, 0, len(track) - 1), CLOSE].max(1)
    return out.astype(np.float32)


def phone_indices(phones: list[Phone], frames: int) -> np.ndarray:
    """The phone [frames] int64 (index into `PHONES`) in the instant that each frame of `articulators` shows."""
    instants = (np.arange(frames) + 0.5) / FRAMES_PER_SECOND + LEAD
    out = np.zeros(frames, np.int64)
    for name, start, end in phones:
        out[(instants >= start) & (instants < end)] = INDEX[normalise(name)]
    return out


def lip_opening(phones: list[Phone], frames: int) -> FloatArray:
    """The opening between the lips [frames] at 25 fps that phone times imply; 0 is closed."""
    return np.asarray(aperture(torch.from_numpy(articulators(phones, frames))).numpy(), np.float32)
