"""Do the lips do what the sound says? Figures against exact phone times, and against sounds that are not speech.

Closure: for each p, b, m, whether the lips' gap falls to a tenth of its 95th percentile within a frame of the phone.
A mouth that flutters scores well on that alone, so the same figure with the truth shifted in time (chance) and the
closures where there was no labial (false) always stand beside it.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from engine.motion.articulators import FUNNEL, PUCKER, aperture
from engine.motion.facial_motion import FacialMotion
from engine.motion.phones import BILABIAL, LABIODENTAL, ROUNDED, SILENCE, VOWELS, normalise
from engine.motion.teacher import LEAD, Phone, articulators
from engine.types import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray

CLOSED = 0.10  # of the 95th percentile of the gap
OPEN_VOWELS = ("AA", "AE", "AO", "AY", "AW")
OPENED = 0.45  # of the 95th percentile
ROUND = 0.25  # pucker + funnel / 2
UNROUND = ("IY", "IH", "EH", "AE", "EY", "AY", "S", "Z")
_FRAME = 1.0 / FRAMES_PER_SECOND

Mouth = Callable[[FloatArray], FloatArray]  # samples [n] -> articulators [n // 640, 9], aligned with the sound


def mouth_of(model: FacialMotion, look_ahead: int, use_past: bool = True) -> Mouth:
    """The model running freely, its output moved to the frames it belongs to."""

    def run(samples: FloatArray) -> FloatArray:
        frames = len(samples) // SAMPLES_PER_FRAME
        padded = np.concatenate([samples[: frames * SAMPLES_PER_FRAME], np.zeros(look_ahead * SAMPLES_PER_FRAME)])
        with torch.inference_mode():
            features = model.encode(torch.from_numpy(padded.astype(np.float32))[None])
            ahead = torch.tensor([look_ahead])
            y = model.generator.articulate(features, ahead, use_past=use_past)[0, look_ahead:]
        return np.asarray(y.clamp(0, 1).numpy(), np.float32)

    return run


def loud_jaw(samples: FloatArray) -> FloatArray:
    """The baseline to beat: a jaw that opens as far as the sound is loud."""
    frames = len(samples) // SAMPLES_PER_FRAME
    level = np.sqrt((samples[: frames * SAMPLES_PER_FRAME].reshape(frames, -1) ** 2).mean(1) + 1e-10)
    out = np.zeros((frames, 9), np.float32)
    out[:, 0] = np.clip(level / (np.percentile(level, 95) + 1e-6), 0, 1.2) * 0.6
    return out


def gap(articulated: FloatArray) -> FloatArray:
    """The lips' gap [n] of articulators [n, 9]."""
    return np.asarray(aperture(torch.from_numpy(articulated)).numpy(), np.float32)


def correlation(a: np.ndarray, b: np.ndarray, lag: int = 0) -> float:
    """Pearson r of ``a`` shown ``lag`` frames later with ``b``."""
    n = min(len(a), len(b))
    a, b = a[max(0, lag) : n + min(0, lag)], b[max(0, -lag) : n - max(0, lag)]
    return float(np.corrcoef(a, b)[0, 1])


@dataclass
class Score:
    """Counts over several recordings."""

    labials: int = 0
    closed: int = 0
    chance: float = 0.0
    speech_s: float = 0.0
    false: int = 0
    vowels: int = 0
    vowels_closed: int = 0
    open: int = 0
    opened: int = 0
    opened_by_chance: float = 0.0
    round: int = 0
    rounded: int = 0
    unround: int = 0
    rounded_wrongly: int = 0
    r: float = 0.0
    recordings: int = 0

    def add(self, said: FloatArray, phones: list[Phone]) -> None:
        """Count one recording: articulators [n, 9] against phone times."""
        g = gap(said)
        p95 = float(np.percentile(g, 95)) + 1e-6
        times = [(normalise(p), s, e) for p, s, e in phones]
        shut, rounding = g <= CLOSED * p95, said[:, PUCKER] + 0.5 * said[:, FUNNEL]
        labials = [(s, e) for p, s, e in times if p in BILABIAL]
        opens = [(s, e) for p, s, e in times if p in OPEN_VOWELS]
        shifts = [np.roll(g, k) for k in np.linspace(0.15, 0.85, 15) * len(g) // 1 for k in [int(k)]]
        self.labials += len(labials)
        self.closed += _any(shut, labials, 1)
        self.chance += float(np.mean([_any(s <= CLOSED * p95, labials, 1) for s in shifts]))
        self.open += len(opens)
        self.opened += _any(g >= OPENED * p95, opens, 0)
        self.opened_by_chance += float(np.mean([_any(s >= OPENED * p95, opens, 0) for s in shifts]))
        self.round += sum(p in ROUNDED for p, _, _ in times)
        self.rounded += _any(rounding >= ROUND, [(s, e) for p, s, e in times if p in ROUNDED], 0)
        self.unround += sum(p in UNROUND for p, _, _ in times)
        self.rounded_wrongly += _mostly(rounding >= ROUND, [(s, e) for p, s, e in times if p in UNROUND])
        vowels = _inside(len(g), [(s, e) for p, s, e in times if p in VOWELS])
        self.vowels += int(vowels.sum())
        self.vowels_closed += int((vowels & shut).sum())
        quiet = [(s - 0.06, e + 0.06) for p, s, e in times if p in (*BILABIAL, *LABIODENTAL, SILENCE)]
        plain = _inside(len(g), [(s, e) for p, s, e in times if p != SILENCE]) & ~_inside(len(g), quiet)
        events = shut & plain
        self.false += int((events & ~np.r_[False, events[:-1]]).sum())
        self.speech_s += plain.sum() * _FRAME
        self.r += correlation(g, gap(articulators(phones, len(g))))
        self.recordings += 1

    def summary(self) -> dict[str, float]:
        """Rates; ``corrected`` is closure above chance, as a part of what chance leaves."""
        closure, chance = self.closed / max(1, self.labials), self.chance / max(1, self.labials)
        figures = {
            "closure": closure,
            "chance": chance,
            "corrected": (closure - chance) / (1 - chance),
            "false_per_s": self.false / max(1e-6, self.speech_s),
            "vowels_closed": self.vowels_closed / max(1, self.vowels),
            "open": self.opened / max(1, self.open),
            "open_chance": self.opened_by_chance / max(1, self.open),
            "round": self.rounded / max(1, self.round),
            "round_false": self.rounded_wrongly / max(1, self.unround),
            "r_teacher": self.r / max(1, self.recordings),
        }
        return {name: round(value, 3) for name, value in figures.items()} | {"labials": self.labials}


def _frames(start: float, end: float, count: int, margin: int) -> slice:
    """Frames whose shown instant lies in [start, end), at least the nearest one, and ``margin`` more on each side."""
    first = int(np.ceil((start - LEAD) / _FRAME - 0.5))
    last = max(first, int(np.ceil((end - LEAD) / _FRAME - 0.5)) - 1)
    return slice(max(0, first - margin), min(count, last + 1 + margin))


def _any(marks: np.ndarray, spans: list[tuple[float, float]], margin: int) -> int:
    return sum(bool(marks[_frames(s, e, len(marks), margin)].any()) for s, e in spans)


def _mostly(marks: np.ndarray, spans: list[tuple[float, float]]) -> int:
    return sum(bool(marks[_frames(s, e, len(marks), 0)].sum() * 2 > max(1, round((e - s) / _FRAME))) for s, e in spans)


def _inside(count: int, spans: list[tuple[float, float]]) -> np.ndarray:
    shown = (np.arange(count) + 0.5) * _FRAME + LEAD
    out = np.zeros(count, bool)
    for start, end in spans:
        out |= (shown >= start) & (shown < end)
    return out


def read_textgrid(path: Path) -> list[Phone]:
    """The first phone tier of a Praat TextGrid, long or short form; empty when it has none."""
    text = path.read_text(encoding="utf-8-sig")
    tokens = re.findall(r'"([^"]*)"|(?<![\w.])(-?\d+(?:\.\d+)?)(?![\w.\]])', text)
    values: list[str | float] = [float(number) if number else word for word, number in tokens]
    tiers: dict[str, list[Phone]] = {}
    at = 0
    while at < len(values):
        if values[at] == "IntervalTier" and at + 4 < len(values):
            name, count = str(values[at + 1]), int(float(values[at + 4]))
            rows = values[at + 5 : at + 5 + 3 * count]
            tiers[name] = [(str(rows[k + 2]), float(rows[k]), float(rows[k + 1])) for k in range(0, len(rows) - 2, 3)]
            at += 5 + 3 * count
        else:
            at += 1
    return next((tier for name, tier in tiers.items() if "phone" in name.lower()), [])
