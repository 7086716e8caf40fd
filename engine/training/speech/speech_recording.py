"""One recording of the training set on disk: a 16 kHz mono wav and a JSON of its phone times beside it."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import av
import numpy as np

from engine.contracts import SAMPLE_RATE, FloatArray

Phone = tuple[str, float, float]  # ARPAbet or IPA name, start and end in seconds

DOUBT = "?"  # before the name of a phone whose time or name is not to be trusted


def read_mono_16k(path: Path) -> FloatArray:
    """Every sample of an audio file as mono float32 [n] at 16 kHz."""
    resampler = av.AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
    pieces: list[np.ndarray] = []
    with av.open(str(path)) as container:
        for frame in container.decode(audio=0):
            pieces += [piece.to_ndarray()[0] for piece in resampler.resample(frame)]
        pieces += [piece.to_ndarray()[0] for piece in resampler.resample(None)]
    if not pieces:
        return np.zeros(0, np.float32)
    return np.concatenate(pieces).astype(np.float32) / 32768


def save_recording(stem: Path, samples: np.ndarray, phones: list[Phone], notes: dict[str, Any]) -> None:
    """Write ``stem``.wav (16-bit) and ``stem``.json, the JSON last: its presence says that the pair is whole."""
    with wave.open(str(stem.with_suffix(".wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(SAMPLE_RATE)
        file.writeframes((np.clip(samples, -1, 1) * 32767).astype("<i2").tobytes())
    stem.with_suffix(".json").write_text(json.dumps(notes | {"phones": phones}))


def load_recording(stem: Path) -> tuple[FloatArray, list[Phone]]:
    """Samples [n] and phone times of one recording."""
    with wave.open(str(stem.with_suffix(".wav")), "rb") as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    phones = json.loads(stem.with_suffix(".json").read_text())["phones"]
    return samples, [(str(p), float(s), float(e)) for p, s, e in phones]
