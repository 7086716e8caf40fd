"""Do the lips do what the phones say? Counts per recording, rates over many, and how sure the rates are.

Closure: for each p, b, m, whether the lips' gap falls to a tenth of its 95th percentile within a frame of the phone.
A mouth that flutters scores well on that alone, so the same figure with the truth shifted in time (chance) and the
closures where there was no labial (false) always stand beside it. Phones in doubt are not counted.
"""

from __future__ import annotations

import numpy as np
import torch

from engine.contracts import FRAMES_PER_SECOND, FloatArray
from engine.motion.facial.articulators import FUNNEL, PUCKER, ROLL, aperture
from engine.motion.facial.phones import BILABIAL, LABIODENTAL, ROUNDED, SILENCE, VOWELS, normalise
from engine.training.lips.teacher import LEAD, Phone, articulators
from engine.training.speech.speech_recording import DOUBT

CLOSED = 0.10  # of the 95th percentile of the gap
OPEN_VOWELS = ("AA", "AE", "AO", "AY", "AW")
OPENED = 0.45  # of the 95th percentile
ROUND = 0.25  # pucker + funnel / 2
UNROUND = ("IY", "IH", "EH", "AE", "EY", "AY", "S", "Z")
TUCKED, NARROW = 0.3, 0.35  # f and v: the lower lip rolled in this far, the gap at most this part of its percentile
_FRAME = 1.0 / FRAMES_PER_SECOND
_SHIFTS = np.linspace(0.15, 0.85, 15)  # of a recording: where chance is read

Span = tuple[float, float]
Counts = dict[str, float]


def gap(articulated: FloatArray) -> FloatArray:
    """The lips' gap [n] of articulators [n, 9]."""
    return np.asarray(aperture(torch.from_numpy(articulated)).numpy(), np.float32)


def correlation(a: np.ndarray, b: np.ndarray, lag: int = 0) -> float:
    """Pearson r of ``a`` shown ``lag`` frames later with ``b``; 0 where one of them stands still."""
    n = min(len(a), len(b))
    a, b = a[max(0, lag) : n + min(0, lag)], b[max(0, -lag) : n - max(0, lag)]
    return float(np.corrcoef(a, b)[0, 1]) if a.std() > 1e-9 and b.std() > 1e-9 else 0.0


def count(said: FloatArray, phones: list[Phone]) -> Counts:
    """What there was to do in one recording and what was done: articulators [n, 9] against phone times."""
    g = gap(said)
    p95 = float(np.percentile(g, 95)) + 1e-6
    known = [(normalise(p), s, e) for p, s, e in phones if not p.startswith(DOUBT)]
    shut, wide = g <= CLOSED * p95, g >= OPENED * p95
    rounding = said[:, PUCKER] + 0.5 * said[:, FUNNEL] >= ROUND
    tucked = (said[:, ROLL] >= TUCKED) & (g <= NARROW * p95)

    def spans(names: tuple[str, ...]) -> list[Span]:
        return [(s, e) for p, s, e in known if p in names]

    labials, opens, rounds, labiodentals = map(spans, (BILABIAL, OPEN_VOWELS, ROUNDED, LABIODENTAL))
    vowels = _inside(len(g), spans(VOWELS))
    doubts = [(s, e) for p, s, e in phones if p.startswith(DOUBT)]
    busy = [(s - 0.06, e + 0.06) for s, e in spans((*BILABIAL, *LABIODENTAL, SILENCE)) + doubts]
    plain = _inside(len(g), [(s, e) for p, s, e in known if p != SILENCE]) & ~_inside(len(g), busy)
    events = shut & plain
    whole = [(p.removeprefix(DOUBT), s, e) for p, s, e in phones]
    return {
        "labials": len(labials),
        "closed": _any(shut, labials, 1),
        "closed_by_chance": _chance(shut, labials, 1),
        "labiodentals": len(labiodentals),
        "tucked": _any(tucked, labiodentals, 1),
        "tucked_by_chance": _chance(tucked, labiodentals, 1),
        "open": len(opens),
        "opened": _any(wide, opens, 0),
        "opened_by_chance": _chance(wide, opens, 0),
        "round": len(rounds),
        "rounded": _any(rounding, rounds, 0),
        "unround": len(spans(UNROUND)),
        "rounded_wrongly": _mostly(rounding, spans(UNROUND)),
        "vowels": int(vowels.sum()),
        "vowels_closed": int((vowels & shut).sum()),
        "false": int((events & ~np.r_[False, events[:-1]]).sum()),
        "speech_s": plain.sum() * _FRAME,
        "r": correlation(g, gap(articulators(whole, len(g)))),
        "recordings": 1,
    }


def rates(rows: list[Counts]) -> dict[str, float]:
    """Rates over recordings; ``corrected`` is closure above chance, as a part of what chance leaves."""
    total = {name: sum(row[name] for row in rows) for name in rows[0]} if rows else {}

    def part(done: str, of: str) -> float:
        return total.get(done, 0.0) / max(1e-6, total.get(of, 0.0))

    closure, chance = part("closed", "labials"), part("closed_by_chance", "labials")
    figures = {
        "closure": closure,
        "chance": chance,
        "corrected": (closure - chance) / max(1e-6, 1 - chance),
        "false_per_s": part("false", "speech_s"),
        "vowels_closed": part("vowels_closed", "vowels"),
        "open": part("opened", "open"),
        "open_chance": part("opened_by_chance", "open"),
        "round": part("rounded", "round"),
        "round_false": part("rounded_wrongly", "unround"),
        "tucked": part("tucked", "labiodentals"),
        "tucked_chance": part("tucked_by_chance", "labiodentals"),
        "r_teacher": part("r", "recordings"),
    }
    return {name: round(value, 3) for name, value in figures.items()} | {"labials": total.get("labials", 0)}


def interval(rows: list[Counts], name: str = "closure", draws: int = 500) -> tuple[float, float]:
    """The 95 % interval of a rate, by drawing recordings with replacement."""
    rng = np.random.default_rng(0)
    drawn = [rates([rows[int(k)] for k in rng.integers(len(rows), size=len(rows))])[name] for _ in range(draws)]
    low, high = np.percentile(drawn, (2.5, 97.5))
    return round(float(low), 3), round(float(high), 3)


def _frames(start: float, end: float, frames: int, margin: int) -> slice:
    """Frames whose shown instant lies in [start, end), at least the nearest one, and ``margin`` more on each side."""
    first = int(np.ceil((start - LEAD) / _FRAME - 0.5))
    last = max(first, int(np.ceil((end - LEAD) / _FRAME - 0.5)) - 1)
    return slice(max(0, first - margin), min(frames, last + 1 + margin))


def _any(marks: np.ndarray, spans: list[Span], margin: int) -> int:
    return sum(bool(marks[_frames(s, e, len(marks), margin)].any()) for s, e in spans)


def _chance(marks: np.ndarray, spans: list[Span], margin: int) -> float:
    return float(np.mean([_any(np.roll(marks, int(k * len(marks))), spans, margin) for k in _SHIFTS]))


def _mostly(marks: np.ndarray, spans: list[Span]) -> int:
    return sum(bool(marks[_frames(s, e, len(marks), 0)].sum() * 2 > max(1, round((e - s) / _FRAME))) for s, e in spans)


def _inside(frames: int, spans: list[Span]) -> np.ndarray:
    shown = (np.arange(frames) + 0.5) * _FRAME + LEAD
    out = np.zeros(frames, bool)
    for start, end in spans:
        out |= (shown >= start) & (shown < end)
    return out
