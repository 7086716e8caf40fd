"""The contest of lips gives mouths what they deserve where that is known: told, late, shut and random ones."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.evaluation.lip_contest import (
    FRAME_S,
    GRID_S,
    OCULUS,
    RHUBARB,
    best_lag,
    count,
    intervals,
    opening,
    rates,
    target,
)
from engine.training.lips.teacher import Phone

pytestmark = pytest.mark.cpu


def speech(seed: int = 0, words: int = 40) -> list[Phone]:
    """Syllables such as "pah" and "see" with pauses among them."""
    rng, at, phones = np.random.default_rng(seed), 0.5, []
    for _ in range(words):
        for name in (rng.choice(["P", "M", "S", "T", "K"]), rng.choice(["AA", "EH", "IY", "AE"])):
            seconds = float(rng.uniform(0.09, 0.18))
            phones.append((str(name), at, at + seconds))
            at += seconds
        if rng.random() < 0.3:
            phones.append(("SIL", at, at + 0.2))
            at += 0.2
    return phones


def told(phones: list[Phone], late: int = 0) -> FloatArray:
    """A mouth that was told the phones, and shows them so many frames late."""
    seconds = phones[-1][2] + 1.0
    frames = int(seconds / FRAME_S)
    wanted = target(phones, frames * FRAME_S)
    at = np.maximum((np.arange(frames) + 0.5) * FRAME_S - late * FRAME_S, 0)
    return np.maximum(0, wanted[(at / GRID_S).astype(int)] - 0.12).astype(np.float32)


def test_a_mouth_that_was_told_wins_everything() -> None:
    phones = speech()
    figures = rates([count(told(phones), phones, 0.0)])
    assert figures["closed"] > 0.95
    assert figures["chance"] < 0.75
    assert figures["corrected"] > 0.9
    assert figures["open_corrected"] > 0.9
    assert figures["r"] > 0.98
    assert figures["false_per_s"] < 0.3  # consonants beside the unlabelled ends


def test_a_late_mouth_is_found_out_and_forgiven() -> None:
    spoken = [speech(k) for k in range(3)]
    openings = [told(phones, late=3) for phones in spoken]
    assert best_lag(openings, spoken) == pytest.approx(0.12, abs=0.011)
    live, then = (
        rates([count(said, phones, lag) for said, phones in zip(openings, spoken, strict=True)]) for lag in (0.0, 0.12)
    )
    assert live["r"] < 0.5 < 0.98 < then["r"]
    assert live["corrected"] + 0.3 < then["corrected"]


def test_mouths_that_do_not_listen_are_worth_nothing() -> None:
    phones = speech()
    frames = len(told(phones))
    shut = rates([count(np.zeros(frames, np.float32), phones, 0.0)])
    assert (shut["closed"], shut["chance"], shut["corrected"], shut["r"]) == (1, 1, 0, 0)
    flutter = (np.arange(frames) % 2).astype(np.float32)
    figures = rates([count(flutter, phones, 0.0)])
    assert figures["closed"] == 1
    assert figures["corrected"] == pytest.approx(0, abs=0.05)
    assert figures["false_per_s"] > 5
    chance = np.random.default_rng(0).random(frames).astype(np.float32)
    low, high = intervals([count(chance, phones, 0.0) for phones in map(speech, range(6))], draws=200)["corrected"]
    assert low - 0.1 < 0 < high + 0.1


def test_phones_near_the_ends_count_at_no_lag() -> None:
    said = np.ones(25, np.float32)
    inside, before, after = ("P", 0.3, 0.4), ("P", 0.1, 0.3), ("P", 0.5, 0.7)
    assert count(said, [before, inside, after], 0.0).labials == 1
    assert count(said, [("?P", 0.3, 0.4)], 0.0).labials == 0  # in doubt


def test_shapes_become_openings_by_one_table() -> None:
    said = opening(["A", "D", "X"], np.array([[1, 0, 0], [0, 1, 0], [0, 0.5, 0.5]], np.float32), RHUBARB)
    assert said.tolist() == [0, 1, 0.5]
    with pytest.raises(VivifyError, match="but jaw came: another release"):
        opening(["aa", "jaw"], np.zeros((1, 2), np.float32), OCULUS)
