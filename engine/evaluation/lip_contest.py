"""Lips of different makers on one speech: their openings against phone times, chance taken away (docs/lip_contest.md).

An opening is sampled at the middles of frames of 40 ms, as somebody sees it then who hears the sound undelayed. A lag
of d looks for every phone d later: what is merely late is not worse for it. Only phones that every lag sees count.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, FloatArray
from engine.errors import VivifyError
from engine.motion.facial.phones import BILABIAL, LABIODENTAL, SILENCE, normalise
from engine.training.lips.lip_score import CLOSED, OPEN_VOWELS, OPENED
from engine.training.lips.teacher import Phone
from engine.training.speech.speech_recording import DOUBT

FRAME_S = 1.0 / FRAMES_PER_SECOND
LAGS_S = np.arange(-20, 41) / 100  # at which a best one is looked for
EARLIEST_S, LATEST_S = 0.2, 0.4  # after a recording's begin and before its end: phones that every lag sees
SHIFTS = np.linspace(0.15, 0.85, 15)  # of a recording: where chance is read
GRID_S, SOFT_S = 0.005, 0.025  # of the target
WANTED = {  # how far lips open, roughly, for each kind of phone
    **dict.fromkeys(("AA", "AE", "AO", "AW", "AY"), 1.0),
    **dict.fromkeys(("EH", "AH", "ER", "EY", "OW", "OY"), 0.7),
    **dict.fromkeys(("IY", "IH", "UH", "UW"), 0.4),
    **dict.fromkeys((*BILABIAL, SILENCE), 0.0),
    **dict.fromkeys(LABIODENTAL, 0.1),
}
OTHERS = 0.3
# What each maker's mouth shapes open the lips: one table for all, fixed before anything was measured.
OCULUS = {
    **{"sil": 0.0, "PP": 0.0, "FF": 0.1, "aa": 1.0, "E": 0.6, "I": 0.35, "O": 0.7, "U": 0.25},
    **{"TH": 0.3, "DD": 0.3, "kk": 0.35, "CH": 0.25, "SS": 0.2, "nn": 0.3, "RR": 0.3},
}
VOWELS_ALONE = {"A": 1.0, "E": 0.6, "I": 0.35, "O": 0.7, "U": 0.25, "S": 0.0}
PYLIPSYNC = {"aa": 1.0, "ee": 0.6, "ih": 0.35, "oh": 0.7, "ou": 0.25, "silence": 0.0}
RHUBARB = {"X": 0.0, "A": 0.0, "B": 0.3, "C": 0.6, "D": 1.0, "E": 0.6, "F": 0.25, "G": 0.1, "H": 0.7}


@dataclass(frozen=True)
class Counts:
    """Of one recording at one lag."""

    labials: int
    closed: int
    closed_by_chance: float
    open: int
    opened: int
    opened_by_chance: float
    false: int
    speech_s: float
    r: float
    seconds: float


def opening(names: list[str], values: FloatArray, table: dict[str, float]) -> FloatArray:
    """The lips' opening [T]: each shape's share [T, N] times what it opens, summed.

    Raises VivifyError for shapes that the table does not have: another release's.
    """
    unknown = sorted(set(names) - set(table))
    if unknown:
        raise VivifyError(
            f"The mouth shapes {', '.join(table)} were expected, but {', '.join(unknown)} came: another release?"
        )
    return (np.asarray(values, np.float32) @ np.array([table[name] for name in names], np.float32)).astype(np.float32)


def count(said: FloatArray, phones: list[Phone], lag_s: float) -> Counts:
    """What one mouth's opening [T] did of what the phones ask for."""
    level = float(np.percentile(said, 95)) + 1e-6
    shut, wide = said <= CLOSED * level, said >= OPENED * level
    end = len(said) * FRAME_S
    seen = [(normalise(p), s, e) for p, s, e in phones if not p.startswith(DOUBT)]
    seen = [(p, s + lag_s, e + lag_s) for p, s, e in seen if s >= EARLIEST_S and e <= end - LATEST_S]
    doubtful = [(s + lag_s, e + lag_s) for p, s, e in phones if p.startswith(DOUBT)]
    labials = [(s, e) for p, s, e in seen if p in BILABIAL]
    opens = [(s, e) for p, s, e in seen if p in OPEN_VOWELS]
    busy = [(s, e) for p, s, e in seen if p in (*BILABIAL, *LABIODENTAL, SILENCE)] + doubtful
    plain = _inside(len(said), [(s, e) for p, s, e in seen if p != SILENCE])
    plain &= ~_inside(len(said), [(s - 0.06, e + 0.06) for s, e in busy])
    events = shut & plain
    return Counts(
        labials=len(labials),
        closed=_met(shut, labials, 1),
        closed_by_chance=_chance(shut, labials, 1),
        open=len(opens),
        opened=_met(wide, opens, 0),
        opened_by_chance=_chance(wide, opens, 0),
        false=int((events & ~np.r_[False, events[:-1]]).sum()),
        speech_s=float(plain.sum()) * FRAME_S,
        r=agreement(said, phones, lag_s),
        seconds=end,
    )


def target(phones: list[Phone], seconds: float) -> FloatArray:
    """How far lips should be open, on a grid of 5 ms, softened by 25 ms."""
    wanted = np.full(round(seconds / GRID_S), 0.0)
    for name, start, end in phones:
        wanted[round(start / GRID_S) : round(end / GRID_S)] = WANTED.get(normalise(name.removeprefix(DOUBT)), OTHERS)
    reach = round(4 * SOFT_S / GRID_S)
    window = np.exp(-0.5 * (np.arange(-reach, reach + 1) * GRID_S / SOFT_S) ** 2)
    padded = np.pad(wanted, reach, mode="edge")
    return np.convolve(padded, window / window.sum(), "valid").astype(np.float32)


def agreement(said: FloatArray, phones: list[Phone], lag_s: float) -> float:
    """Pearson r of an opening with `target` as it was ``lag_s`` before; 0 where one of them stands still."""
    seconds = len(said) * FRAME_S
    wanted = target(phones, seconds)
    at = (np.arange(len(said)) + 0.5) * FRAME_S - lag_s
    within = (at >= EARLIEST_S) & (at <= seconds - LATEST_S)
    then = wanted[np.minimum((at[within] / GRID_S).astype(int), len(wanted) - 1)]
    now = said[within]
    return float(np.corrcoef(now, then)[0, 1]) if min(now.std(), then.std(), len(now)) > 1e-6 else 0.0


def rates(rows: list[Counts]) -> dict[str, float]:
    """Over recordings; corrected figures are what is above chance, as a part of what chance leaves."""

    def total(name: str) -> float:
        return float(sum(getattr(row, name) for row in rows))

    def part(done: str, of: str) -> float:
        return total(done) / max(1e-6, total(of))

    closure, by_chance = part("closed", "labials"), part("closed_by_chance", "labials")
    opened, wide_by_chance = part("opened", "open"), part("opened_by_chance", "open")
    return {
        "closed": closure,
        "chance": by_chance,
        "corrected": (closure - by_chance) / max(1e-6, 1 - by_chance),
        "open_corrected": (opened - wide_by_chance) / max(1e-6, 1 - wide_by_chance),
        "false_per_s": part("false", "speech_s"),
        "r": sum(row.r * row.seconds for row in rows) / max(1e-6, total("seconds")),
    }


def intervals(rows: list[Counts], draws: int = 2000) -> dict[str, tuple[float, float]]:
    """The 95 % interval of each rate, by drawing recordings with replacement."""
    rng = np.random.default_rng(0)
    drawn = [rates([rows[int(k)] for k in rng.integers(len(rows), size=len(rows))]) for _ in range(draws)]
    both = {name: np.percentile([one[name] for one in drawn], (2.5, 97.5)) for name in drawn[0]}
    return {name: (float(low), float(high)) for name, (low, high) in both.items()}


def best_lag(openings: list[FloatArray], spoken: list[list[Phone]]) -> float:
    """The lag in seconds with the highest r over all recordings."""
    weights, both = [len(said) for said in openings], list(zip(openings, spoken, strict=True))
    scores = [np.average([agreement(said, phones, lag) for said, phones in both], weights=weights) for lag in LAGS_S]
    return float(LAGS_S[int(np.argmax(scores))])


def _frames(start: float, end: float, frames: int, margin: int) -> slice:
    """Frames whose middle lies in [start, end), at least the nearest one, and ``margin`` more on each side."""
    first = int(np.ceil(start / FRAME_S - 0.5))
    last = max(first, int(np.ceil(end / FRAME_S - 0.5)) - 1)
    return slice(max(0, first - margin), min(frames, last + 1 + margin))


def _met(marks: np.ndarray, spans: list[tuple[float, float]], margin: int) -> int:
    return sum(bool(marks[_frames(s, e, len(marks), margin)].any()) for s, e in spans)


def _chance(marks: np.ndarray, spans: list[tuple[float, float]], margin: int) -> float:
    return float(np.mean([_met(np.roll(marks, int(k * len(marks))), spans, margin) for k in SHIFTS]))


def _inside(frames: int, spans: list[tuple[float, float]]) -> np.ndarray:
    middles = (np.arange(frames) + 0.5) * FRAME_S
    out = np.zeros(frames, bool)
    for start, end in spans:
        out |= (middles >= start) & (middles < end)
    return out
