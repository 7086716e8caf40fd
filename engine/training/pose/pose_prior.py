"""How heads move beneath a voice: a generative prior, because filmed heads that may be learned from are few.

A head's pose is the sum of four things, each with its own time scale:

posture    goes from one place to the next in a smooth movement, more often where a phrase begins than within one, and
           comes home every other time;
unrest     smooth noise whose spectrum and whose coupling of the six axes are those of the filmed heads: their own
           Fourier amplitudes and relative phases under common random phases (surrogates; Prichard & Theiler 1994);
beats      a nod on many of the stressed syllables: the head rises a little and is lowest 300 ms after the stress.
           Filmed heads are lowest 160 to 240 ms after it; but a head that hears causally needs a moment, and the
           engine's look-ahead, usually 80 ms, gives it back;
listening  in silence posture and unrest calm down to a third, and now and then the head nods twice or thrice.

Heads move nearly all the time in speech and seldom in listening (Hadar et al. 1983), along with the voice's pitch and
loudness (Munhall et al. 2004). Poses are [T, 6] as in `engine.motion.head.pose_codebook`, but in degrees here.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d
from scipy.signal import find_peaks

from engine.contracts import FRAMES_PER_SECOND, FloatArray

POSTURE = np.array([3.6, 1.8, 2.6, 0.05, 0.03, 0.06])  # degrees and outer-eye-corner distances
UNREST = np.array([5.0, 4.4, 3.0])  # degrees a second, root mean square, of a lively speaker
CALM = 0.33  # of a speaker's movement, in listening
NOD = 1.8  # degrees
BEATS = 0.8  # of the stressed syllables get one
RISE, LOWEST = 0.08, 0.30  # seconds after the stress


@dataclass(frozen=True)
class Temper:
    """How one person moves: factors around 1."""

    amount: float
    beats: float
    haste: float

    @classmethod
    def draw(cls, rng: np.random.Generator) -> Temper:
        amount, beats, haste = np.exp(rng.normal(0, [0.35, 0.4, 0.2]))
        return cls(float(amount), float(beats), float(haste))


def move_under(
    rng: np.random.Generator, level: FloatArray, speaking: np.ndarray, filmed: list[FloatArray]
) -> FloatArray:
    """A pose sequence [T, 6] in degrees for a voice: its ``level`` [T] and whether it speaks [T].

    ``filmed`` are pose sequences of real heads [t, 6] in degrees, from which unrest takes its spectrum.
    """
    temper = Temper.draw(rng)
    lively = CALM + (1 - CALM) * gaussian_filter1d(speaking.astype(float), 8)
    pose = _posture(rng, speaking, temper) + lively[:, None] * _unrest(rng, len(level), filmed, temper)
    pose[:, 1] += _beats(rng, level, speaking, temper) + _listening(rng, speaking, temper)
    pose[:, :3] = gaussian_filter1d(pose[:, :3], 0.8, axis=0)
    return pose.astype(np.float32)


def _posture(rng: np.random.Generator, speaking: np.ndarray, temper: Temper) -> np.ndarray:
    """Smooth movements from place to place [T, 6]."""
    starts = np.flatnonzero(speaking & ~np.r_[False, speaking[:-1]])
    out = np.zeros((len(speaking), 6))
    here, k = np.zeros(6), int(rng.integers(0, 30))
    while k < len(out):
        talks = bool(speaking[k])
        goal = np.zeros(6)
        if rng.random() < 0.55:
            goal = rng.normal(0, 1, 6) * POSTURE * temper.amount * (1.0 if talks else 0.6)
        length = int(FRAMES_PER_SECOND * rng.uniform(0.5, 1.3) / temper.haste)
        end = min(len(out), k + length)
        t = (np.arange(end - k) / length)[:, None]
        out[k:end] = here + (goal - here) * t**3 * (10 - 15 * t + 6 * t**2)  # the least jerk
        out[end:] = here = goal if end == k + length else out[end - 1]
        wait = FRAMES_PER_SECOND * rng.uniform(0.6, 2.6) / temper.haste if talks else rng.uniform(40, 130)
        k = end + int(wait)
        following = starts[(starts > end) & (starts < k + 12)]
        if len(following) and rng.random() < 0.6:
            k = int(following[0]) - int(rng.integers(0, 4))
            k = max(k, end)
        k = max(k, end + 1)
    return out


def _unrest(rng: np.random.Generator, frames: int, filmed: list[FloatArray], temper: Temper) -> np.ndarray:
    """Surrogates of filmed heads, cross-faded into each other [T, 6]."""
    out, filled = np.zeros((frames, 6)), 0
    fade = FRAMES_PER_SECOND
    while filled < frames:
        piece = surrogate(rng, filmed[int(rng.integers(len(filmed)))])
        begin = max(0, filled - fade)
        end = min(frames, begin + len(piece))
        window = np.ones(len(piece))
        if filled:
            window[:fade] = np.sin(0.5 * np.pi * np.arange(fade) / fade)
            out[begin:filled] *= np.cos(0.5 * np.pi * np.arange(filled - begin) / fade)[:, None]
        out[begin:end] += (window[:, None] * piece)[: end - begin]
        filled = end
    return temper.amount * out


def surrogate(rng: np.random.Generator, filmed: FloatArray) -> np.ndarray:
    """Noise [t, 6] with the spectrum and the coupling of a filmed head, at the speed of `UNREST`, without drift."""
    t = np.linspace(-1, 1, len(filmed))[:, None]
    ends = np.concatenate([np.ones_like(t), t], 1)
    plain = filmed - ends @ np.linalg.lstsq(ends, filmed, rcond=None)[0]
    plain = np.concatenate([plain, plain[::-1]])  # no jump where the end meets the beginning
    spectrum = np.fft.rfft(plain, axis=0)
    hertz = np.fft.rfftfreq(len(plain), 1 / FRAMES_PER_SECOND)
    keep = (np.clip(hertz / 0.3, 0, 1) / (1 + (hertz / 4.5) ** 6))[
        :, None
    ]  # slow drift is posture, fast is the tracker
    noise = np.fft.irfft(spectrum * keep * np.exp(2j * np.pi * rng.random((len(spectrum), 1))), len(plain), axis=0)
    noise = noise[: len(filmed)]
    speed = np.sqrt((np.diff(noise[:, :3], axis=0) ** 2).mean(0)) * FRAMES_PER_SECOND + 1e-6
    factor = UNREST / speed
    noise[:, :3] *= factor
    noise[:, 3:] *= min(1.0, float(factor.mean()))
    return noise


def stresses(level: FloatArray, speaking: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Frames of the peaks of loudness [n], and how far each stands out of the second around it [n], 0 to 1."""
    smooth = gaussian_filter1d(level.astype(float), 1.0)
    peaks, _ = find_peaks(smooth, prominence=0.12, distance=4)
    peaks = peaks[speaking[peaks]]
    around = gaussian_filter1d(smooth, 18.0)
    return peaks, np.clip((smooth[peaks] - around[peaks]) / 0.6, 0, 1)


def _beats(rng: np.random.Generator, level: FloatArray, speaking: np.ndarray, temper: Temper) -> np.ndarray:
    """Nods on stressed syllables [T], downwards positive."""
    out = np.zeros(len(level))
    peaks, strength = stresses(level, speaking)
    last = -20
    for peak, strong in zip(peaks, strength, strict=True):
        if peak - last < 9 or rng.random() > 2 * BEATS * temper.beats * strong:
            continue
        last = peak
        size = NOD * temper.beats * temper.amount**0.5 * (0.5 + strong) * rng.uniform(0.6, 1.4)
        _add_nod(out, peak / FRAMES_PER_SECOND + rng.normal(0, 0.03), -size if rng.random() < 0.12 else size)
    return out


def _add_nod(out: np.ndarray, stress: float, size: float) -> None:
    """A small rise at the stress (seconds), the lowest point after it, and the way back."""
    t = np.arange(len(out)) / FRAMES_PER_SECOND - stress
    out -= 0.35 * size * np.exp(-(((t - RISE) / 0.09) ** 2))
    out += size * np.exp(-(((t - LOWEST) / np.where(t < LOWEST, 0.11, 0.19)) ** 2))


def _listening(rng: np.random.Generator, speaking: np.ndarray, temper: Temper) -> np.ndarray:
    """Two or three small nods now and then while another may be speaking [T]."""
    out = np.zeros(len(speaking))
    k = int(rng.uniform(20, 120))
    while k < len(out) - 50:
        if not speaking[max(0, k - 15) : k + 40].any():
            t = (np.arange(len(out)) - k) / FRAMES_PER_SECOND
            wave = np.sin(2 * np.pi * rng.uniform(1.6, 2.3) * t) * np.exp(-t / rng.uniform(0.35, 0.6))
            out += np.where(t > 0, wave * np.clip(t / 0.15, 0, 1), 0) * rng.uniform(0.8, 2.2) * temper.amount**0.5
        k += int(rng.uniform(75, 260))
    return out


def plain_noise(rng: np.random.Generator, frames: int = 250) -> FloatArray:
    """A sequence [T, 6] to take the unrest's spectrum from where there are no films: low-pass noise."""
    hertz = np.fft.rfftfreq(frames, 1 / FRAMES_PER_SECOND)
    fall = 1 / (1 + (hertz / 1.2) ** 2)
    white = rng.normal(0, 1, (len(hertz), 6)) + 1j * rng.normal(0, 1, (len(hertz), 6))
    noise = np.fft.irfft(white * fall[:, None], frames, axis=0)
    return (noise / noise.std(0) * np.r_[POSTURE]).astype(np.float32)
