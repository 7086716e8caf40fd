"""Figures of movement: nothing between what is the same, blinks counted, seams seen."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import FloatArray
from engine.evaluation.movement_figures import LIDS, Clip, blinks, frechet, intervals, naturalness, pace, spread
from engine.motion.prior.nonlip import NONLIP

pytestmark = pytest.mark.cpu


def wandering(seed: int, frames: int = 400) -> FloatArray:
    white = np.random.default_rng(seed).normal(0, 0.05, (frames + 9, len(NONLIP)))
    return np.stack([np.convolve(column, np.ones(10) / 10, "valid") for column in white.T], 1).astype(np.float32)


def test_frechet_is_what_it_says() -> None:
    a = np.random.default_rng(0).normal(0, 1, (20000, 3))
    assert frechet(a, a) == pytest.approx(0, abs=1e-6)
    assert frechet(a + 2, a) == pytest.approx(12, rel=1e-3)
    assert frechet(2 * a, a) == pytest.approx(3, rel=0.05)


def test_other_movement_is_further_away_than_more_of_the_same() -> None:
    real, same, calm = ([factor * wandering(k) for k in range(s, s + 4)] for s, factor in ((0, 1), (9, 1), (9, 0.3)))
    assert naturalness(real, same)["snd"] < 0.3 * naturalness(real, calm)["snd"]


def test_variance_and_multimodality_are_one_for_draws_of_the_same() -> None:
    clips = [Clip(str(k), np.zeros(0), wandering(k), [wandering(50 + 9 * k + n) for n in range(6)]) for k in range(6)]
    figures = spread(clips)
    assert figures["variance"] == pytest.approx(1, abs=0.15)
    assert figures["multimodality"] == pytest.approx(1, abs=0.15)
    stuck = [Clip(c.name, c.samples, c.real, [c.made[0]] * 6) for c in clips]
    assert spread(stuck)["multimodality"] == pytest.approx(0, abs=1e-6)
    low, high = intervals(clips, ("snd",), rounds=10)["snd"]
    assert 0 < low < high


def test_blinks_are_counted_and_timed() -> None:
    values = np.zeros((1500, len(NONLIP)), np.float32)
    for begin in range(100, 1500, 150):
        values[begin : begin + 5, LIDS] = 0.8
    values[50:90, LIDS] = 0.9  # eyes shut for longer is no blink
    figures = blinks([values])
    assert figures["blinks_a_minute"] == 10
    assert figures["blink_s"] == pytest.approx(0.2)


def test_seams_are_seen() -> None:
    smooth = [wandering(k) for k in range(3)]
    torn = [w.copy() for w in smooth]
    for one in torn:
        one[::2] += 0.03
    assert pace(smooth, smooth, 2)["velocity"] == pytest.approx(1)
    assert pace(smooth, smooth, 4)["seams"] == pytest.approx(1, abs=0.05)
    jumping = [w + 0.2 * (np.arange(len(w)) // 4 % 2)[:, None] for w in smooth]
    assert pace(smooth, jumping, 4)["seams"] > 1.3
    assert pace(smooth, torn, 2)["jerk"] > 2
