"""What the lips are measured on: speech with phone times, by part, and the same speech through bad lines and rooms."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
from scipy.signal import butter, fftconvolve, sosfilt

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.training.lips.lip_dataset import Recording, join
from engine.training.speech.augment import degrade, music, noise
from engine.training.speech.espeak import Synthesiser
from engine.training.speech.flite import VOICES, speak
from engine.training.speech.speech_recording import DOUBT, Phone, load_recording, read_mono_16k
from engine.training.speech.texts import texts
from engine.training.splits import DEV_VOICES

DOUBTED = 0.25  # recordings with more than this share of doubtful phones are left out


def synthesised(part: str, number: int) -> list[Recording]:
    """Random words never trained on, clean and then through bad lines: training's voices, or for dev unheard ones."""
    rng = np.random.default_rng(7)
    words = texts(2 * number, seed=987_654 if part == "test" else 123_456)[::2]
    if part == "test":
        spoken = [speak(text, VOICES[i % len(VOICES)]) for i, text in enumerate(words)]
    else:
        espeak = Synthesiser()
        spoken = [espeak.speak(text, DEV_VOICES[i % len(DEV_VOICES)], 160, 45) for i, text in enumerate(words)]
    clean = [join(rng, [one], speed=False) for one in spoken]
    return clean + [(degrade(rng, samples, []), phones) for samples, phones in clean]


def human_sets(part: str, data: Path | None, labelled: Path | None) -> dict[str, list[Recording]]:
    """Human speech of ``part`` by corpus: hand-made phone times (``data``/speech/aligned), then aligned transcripts."""
    sets: dict[str, list[Recording]] = {}
    if data and part == "test":
        sets["aligned by hand"] = with_textgrids(data / "speech" / "aligned")
    for path in sorted((labelled / part).glob("*.json")) if labelled else []:
        samples, phones = load_recording(path.with_suffix(""))
        if sum(name.startswith(DOUBT) for name, _, _ in phones) <= DOUBTED * len(phones):
            corpus = "LJ Speech" if path.stem.startswith("LJ") else "LibriSpeech" if path.stem[0].isdigit() else "GRID"
            sets.setdefault(corpus, []).append((samples, phones))
    return {corpus: recordings for corpus, recordings in sets.items() if recordings}


def with_textgrids(folder: Path) -> list[Recording]:
    """Recordings in ``folder`` beside a Praat TextGrid that has a phone tier."""
    found = []
    for grid in sorted(folder.glob("*.TextGrid")):
        sound = next((path for ext in (".wav", ".flac") if (path := grid.with_suffix(ext)).exists()), None)
        phones = read_textgrid(grid)
        if sound and phones:
            found.append((read_mono_16k(sound), phones))
    return found


def read_textgrid(path: Path) -> list[Phone]:
    """The first phone tier of a Praat TextGrid, long or short form; empty when it has none."""
    text = path.read_text(encoding="utf-8-sig")
    tokens = re.findall(r'"([^"]*)"|(?<![\w.])(-?\d+(?:\.\d+)?)(?![\w.\]])', text)
    values: list[str | float] = [float(number) if number else word for word, number in tokens]
    tiers: dict[str, list[Phone]] = {}
    at = 0
    while at < len(values):
        if values[at] == "IntervalTier" and at + 4 < len(values):
            name, rows = str(values[at + 1]), int(float(values[at + 4]))
            cells = values[at + 5 : at + 5 + 3 * rows]
            tiers[name] = [
                (str(cells[k + 2]), float(cells[k]), float(cells[k + 1])) for k in range(0, len(cells) - 2, 3)
            ]
            at += 5 + 3 * rows
        else:
            at += 1
    return next((tier for name, tier in tiers.items() if "phone" in name.lower()), [])


def _telephone(samples: FloatArray) -> FloatArray:
    """300 to 3400 Hz, 8 bits of mu-law."""
    x = sosfilt(butter(4, (300, 3400), "bandpass", fs=SAMPLE_RATE, output="sos"), samples)
    x = np.sign(x) * np.round(np.log1p(255 * np.abs(x)) / np.log(256) * 127) / 127
    return (np.sign(x) * (256 ** np.abs(x) - 1) / 255).astype(np.float32)


def _pink_noise(samples: FloatArray) -> FloatArray:
    """10 dB below the speech."""
    level = np.sqrt((samples**2).mean())
    x = np.random.default_rng(3).normal(0, 1, len(samples))
    spectrum = np.fft.rfft(x)
    pink = np.fft.irfft(spectrum / np.sqrt(np.maximum(np.arange(len(spectrum)), 40)), len(samples))
    return (samples + pink / pink.std() * level * 10**-0.5).astype(np.float32)


def _room(samples: FloatArray) -> FloatArray:
    """A reverberation time of 0.4 s, the tail 6 dB below the direct sound."""
    rng = np.random.default_rng(4)
    t = np.arange(int(0.4 * SAMPLE_RATE)) / SAMPLE_RATE
    tail = rng.normal(0, 1, len(t)) * np.exp(-6.9 * t / 0.4)
    tail[: int(0.005 * SAMPLE_RATE)] = 0
    tail *= 0.5 / np.sqrt((tail**2).sum())
    tail[0] = 1
    return fftconvolve(samples, tail)[: len(samples)].astype(np.float32)


BAD_LINES: dict[str, Callable[[FloatArray], FloatArray]] = {
    "telephone": _telephone,
    "noise at 10 dB": _pink_noise,
    "reverberation of 0.4 s": _room,
}


def _pieces() -> np.ndarray:
    """Six pieces of music, each louder than the one before and after a second of silence: where they begin is hard."""
    rest = np.zeros(SAMPLE_RATE)
    levels = np.geomspace(0.05, 0.4, 6)
    each = [(rest, level * music(np.random.default_rng(60 + k), 4.0)) for k, level in enumerate(levels)]
    return np.concatenate([part for pair in each for part in pair])


def not_speech_sounds() -> dict[str, FloatArray]:
    """Ten seconds each, or more, of sounds that should leave the mouth shut."""
    rng = np.random.default_rng(11)
    n = SAMPLE_RATE * 10
    t = np.arange(n) / SAMPLE_RATE
    clicks = np.zeros(n)
    clicks[rng.integers(0, n, 60)] = rng.uniform(-0.5, 0.5, 60)
    chord = sum(np.sin(2 * np.pi * f * t) / 3 for f in (220.0, 277.2, 329.6))
    sounds = {
        "silence": np.zeros(n),
        "faint": rng.normal(0, 1e-4, n),
        "white": rng.normal(0, 0.02, n),
        "pink": 0.02 * noise(np.random.default_rng(15), n, []),
        "hum": 0.05 * sum(np.sin(2 * np.pi * 50 * k * t) / k for k in range(1, 6)),
        "clicks": clicks,
        "chord": 0.1 * chord * np.minimum(1, 4 * (t % 1)) * np.exp(-2 * (t % 1)),
        "music": 0.1 * music(np.random.default_rng(5), 10.0),
        "pieces": _pieces(),
    }
    return {kind: np.asarray(x, np.float32) for kind, x in sounds.items()}
