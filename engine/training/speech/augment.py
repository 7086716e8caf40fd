"""Make clean speech sound like microphones, rooms and lines: everything a student must learn to hear through."""

from __future__ import annotations

import numpy as np
from scipy.signal import fftconvolve, resample_poly

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.training.speech.speech_recording import Phone

Generator = np.random.Generator


def change_speed(rng: Generator, samples: np.ndarray, phones: list[Phone]) -> tuple[np.ndarray, list[Phone]]:
    """Play faster or slower (pitch and formants move along); phone times follow."""
    rate = float(np.clip(rng.normal(1.0, 0.12), 0.75, 1.35))
    down = round(40 * rate)
    scale = 40 / down
    return resample_poly(samples, 40, down), [(p, s * scale, e * scale) for p, s, e in phones]


def colour(rng: Generator, samples: np.ndarray) -> np.ndarray:
    """A random-walk equaliser over 0-8 kHz, and sometimes the narrow band of a line or a small microphone."""
    n = len(samples)
    hertz = np.fft.rfftfreq(n, 1 / SAMPLE_RATE)
    knots = np.cumsum(rng.normal(0, 1, 9) * rng.uniform(0, 4))
    gain = 10 ** (np.interp(hertz, np.linspace(0, 8000, 9), knots - knots.mean()) / 20)
    if rng.random() < 0.3:
        gain = gain / np.sqrt(1 + (hertz / rng.uniform(3000, 7000)) ** 8)
    if rng.random() < 0.3:
        gain = gain / np.sqrt(1 + (rng.uniform(80, 350) / np.maximum(hertz, 1)) ** 6)
    return np.fft.irfft(np.fft.rfft(samples) * gain, n)


def reverberate(rng: Generator, samples: np.ndarray) -> np.ndarray:
    """A room: the direct sound, then exponentially dying noise."""
    decay = rng.uniform(0.15, 0.8)
    t = np.arange(int(decay * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(0, 1, len(t)) * np.exp(-6.9 * t / decay)
    tail[: int(rng.uniform(0.002, 0.012) * SAMPLE_RATE)] = 0
    tail *= 10 ** (-rng.uniform(2, 16) / 20) / np.sqrt((tail**2).sum() + 1e-9)
    tail[0] = 1
    return fftconvolve(samples, tail)[: len(samples)]


def noise(rng: Generator, n: int, babble: list[np.ndarray]) -> np.ndarray:
    """White, pink, brown or hum noise, or several people talking at once; unit power [n]."""
    kind = int(rng.integers(5 if babble else 4))
    if kind == 4:
        out = np.zeros(n)
        for _ in range(int(rng.integers(3, 7))):
            voice = babble[int(rng.integers(len(babble)))]
            out += np.resize(np.roll(voice, int(rng.integers(len(voice)))), n)
    elif kind == 3:
        t = np.arange(n) / SAMPLE_RATE
        base = rng.uniform(48, 125)
        hums = [rng.uniform(0, 1) / k * np.sin(2 * np.pi * (k * base * t + rng.random())) for k in range(1, 9)]
        out = np.sum(hums, axis=0) + 0.2 * rng.normal(0, 1, n)
    else:
        spectrum = np.fft.rfft(rng.normal(0, 1, n))
        out = np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 40 * n / SAMPLE_RATE) ** (kind / 2), n)
    return out / np.sqrt((out**2).mean() + 1e-12)


def degrade(rng: Generator, samples: np.ndarray, babble: list[np.ndarray]) -> FloatArray:
    """One stream through a random room, microphone, background and line, at a random level; timing is untouched."""
    x = samples.astype(np.float64)
    if rng.random() < 0.8:
        x = colour(rng, x)
    if rng.random() < 0.5:
        x = reverberate(rng, x)
    if rng.random() < 0.3:  # someone moving nearer and farther
        drift = np.interp(np.linspace(0, 1, len(x)), np.linspace(0, 1, 6), rng.uniform(-5, 5, 6))
        x = x * 10 ** (drift / 20)
    x = x * 0.06 / np.sqrt((x**2).mean() + 1e-9)
    if rng.random() < 0.7:
        x = x + noise(rng, len(x), babble) * 0.06 * 10 ** (-rng.uniform(2, 40) / 20)
    x = x * 10 ** (rng.uniform(-16, 12) / 20)
    if rng.random() < 0.12:
        x = np.clip(x, -1, 1)
        x = np.sign(x) * np.round(np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
        x = np.sign(x) * (256 ** np.abs(x) - 1) / 255
    if rng.random() < 0.08:
        limit = np.quantile(np.abs(x), rng.uniform(0.97, 0.999)) + 1e-6
        x = np.clip(x, -limit, limit)
    return np.clip(x, -1, 1).astype(np.float32)


def music(rng: Generator, seconds: float) -> FloatArray:
    """Notes with random harmonics, one or several at a time."""
    n = int(seconds * SAMPLE_RATE)
    out = np.zeros(n)
    for _ in range(int(rng.integers(1, 4))):  # voices
        start = 0
        pitch = rng.uniform(80, 500)
        while start < n:
            length = int(rng.uniform(0.12, 1.5) * SAMPLE_RATE)
            pitch = float(np.clip(pitch * 2 ** (rng.integers(-5, 6) / 12), 60, 900))
            t = np.arange(min(length, n - start)) / SAMPLE_RATE
            vibrato = pitch * t + rng.uniform(0, 0.004) * pitch * np.sin(2 * np.pi * rng.uniform(4, 7) * t)
            tone = sum(rng.uniform(0, 1) / k**0.7 * np.sin(2 * np.pi * k * vibrato) for k in range(1, 14))
            envelope = np.minimum(1, t / 0.02) * np.exp(-t * rng.uniform(0, 4))
            out[start : start + len(t)] += tone * envelope * rng.uniform(0.2, 1)
            start += length
    return out.astype(np.float32)


def not_speech(rng: Generator, seconds: float) -> FloatArray:
    """Sound that should leave the mouth shut: silence, noise, hum, music, beeps, clicks and bursts."""
    n = int(seconds * SAMPLE_RATE)
    kind = int(rng.integers(7))
    t = np.arange(n) / SAMPLE_RATE
    if kind == 0:
        x = rng.normal(0, 1, n) * 10 ** (-rng.uniform(50, 100) / 20)
        return x.astype(np.float32)
    if kind in (1, 2):
        x = music(rng, seconds).astype(np.float64)
    elif kind == 3:
        x = noise(rng, n, [])
        x *= np.interp(t, np.linspace(0, seconds, 12), rng.uniform(0.1, 1, 12))
    elif kind == 6:  # mains, fans, engines
        base = rng.uniform(45, 130)
        slope = rng.uniform(0.3, 2)
        partials = int(rng.choice([2, 4, 10, 30]))
        x = np.zeros(n)
        for k in range(1, partials):
            x += rng.uniform(0, 1) / k**slope * np.sin(2 * np.pi * (k * base * t + rng.random()))
        x = x * np.interp(t, np.linspace(0, seconds, 8), rng.uniform(0.4, 1, 8))
    elif kind == 4:
        x = np.zeros(n)
        for start in np.sort(rng.uniform(0, seconds, int(rng.integers(2, 20)))):
            part = (t >= start) & (t < start + rng.uniform(0.05, 0.5))
            x[part] = np.sin(2 * np.pi * rng.uniform(200, 3500) * t[part])
    else:
        x = np.zeros(n)
        for start in rng.uniform(0, seconds, int(rng.integers(5, 60))):
            burst = int(rng.uniform(0.003, 0.25) * SAMPLE_RATE)
            first = int(start * SAMPLE_RATE)
            shape = rng.normal(0, 1, burst) * np.exp(-np.arange(burst) / (burst * rng.uniform(0.1, 1)))
            x[first : first + burst] += shape[: max(0, n - first)]
    x = colour(rng, x)
    if rng.random() < 0.5:
        x = reverberate(rng, x)
    x = x / (np.abs(x).max() + 1e-9) * 10 ** (-rng.uniform(3, 40) / 20)
    x = x + rng.normal(0, 1, n) * 10 ** (-rng.uniform(50, 90) / 20)
    return np.clip(x, -1, 1).astype(np.float32)
