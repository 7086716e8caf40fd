"""Find where recognised phone times are probably wrong, so that nothing is learned from those stretches.

Recognition without a transcript gets words wrong, for a while, and then right again. A model trained for a short time
on clean synthetic speech and on the labels as they are hears well enough to disagree where they are worst.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from engine.motion.facial import read_lips
from engine.motion.facial_motion import FacialMotion
from engine.motion.phones import PHONES, VOWELS
from engine.motion.teacher import phone_indices
from engine.training.recording import DOUBT, load_recording, save_recording
from engine.types import SAMPLES_PER_FRAME

LOOK_AHEAD = 3
_STRETCH = 15  # frames over which agreement is averaged: about a word and its neighbours


def agreement(model: FacialMotion, samples: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How well the model agrees with ``labels`` [n] around each frame, a mean log probability [n].

    Vowels count as agreed with when any vowel is heard, at half the weight: accents differ in them.
    """
    padded = np.concatenate([samples, np.zeros(LOOK_AHEAD * SAMPLES_PER_FRAME)])
    padded = padded[: len(padded) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME].astype(np.float32)
    with torch.inference_mode():
        features = model.encode(torch.from_numpy(padded)[None])
        past = torch.zeros(1, features.shape[1], model.generator.lips.motion)
        raw = model.generator.lips(features, past, torch.tensor([LOOK_AHEAD]), torch.zeros_like(features[:, 0]))
        heard = torch.softmax(read_lips(raw).phones, -1)[0, LOOK_AHEAD:].numpy()
    n = min(len(heard), len(labels))
    vowels = np.array([phone in VOWELS for phone in PHONES])
    exact = np.log(heard[np.arange(n), labels[:n]] + 1e-3)
    kind = np.log(np.where(vowels[labels[:n]], heard[:n][:, vowels].sum(1), heard[np.arange(n), labels[:n]]) + 1e-3)
    return np.convolve(np.pad(0.5 * (exact + kind), _STRETCH // 2, "edge"), np.ones(_STRETCH) / _STRETCH, "valid")


def doubt_folder(model: FacialMotion, source: Path, target: Path, share: float = 0.15) -> float:
    """Copy the recordings of ``source`` to ``target`` with the worst ``share`` of their phones marked as doubtful.

    Returns the agreement below which a phone was doubted.
    """
    target.mkdir(parents=True, exist_ok=True)
    found = []
    for path in sorted(source.glob("*.json")):
        samples, phones = load_recording(path.with_suffix(""))
        frames = len(samples) // SAMPLES_PER_FRAME
        found.append((path.stem, samples, phones, agreement(model, samples, phone_indices(phones, frames))))
    limit = float(np.quantile(np.concatenate([score for *_, score in found]), share))
    for stem, samples, phones, score in found:
        middle = [min(len(score) - 1, int((start + end) / 2 * 25)) for _, start, end in phones]
        marked = [
            ((DOUBT if score[k] < limit else "") + name, start, end)
            for (name, start, end), k in zip(phones, middle, strict=True)
        ]
        save_recording(target / stem, samples, marked, {"source": stem})
    return limit
