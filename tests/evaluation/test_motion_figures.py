"""Each figure of movement on a case whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from engine.contracts import SAMPLE_RATE
from engine.evaluation import motion_figures as figures
from engine.face import topology as top

pytestmark = pytest.mark.cpu


def test_beats_that_coincide_score_one_and_those_apart_as_the_formula_says() -> None:
    beats = np.array([10.0, 35.0, 60.0])
    assert figures.beat_align(beats, beats) == 1.0
    assert figures.beat_align(beats, beats + 3) == pytest.approx(np.exp(-0.5))
    assert figures.beat_align(beats, np.array([35.0])) == pytest.approx((1 + 2 * np.exp(-(25**2) / 18)) / 3)
    assert figures.beat_align(beats, np.zeros(0)) == 0.0


def test_clicks_are_heard_where_they_are() -> None:
    pytest.importorskip("torch", reason="hears a voice's beats by torch")
    samples = np.zeros(4 * SAMPLE_RATE, np.float32)
    for second in (0.8, 1.6, 2.4, 3.2):
        at = int(second * SAMPLE_RATE)
        samples[at : at + 1600] = 0.3 * np.sin(2 * np.pi * 440 * np.arange(1600) / SAMPLE_RATE)
    found = figures.sound_beats(samples)
    assert len(found) == 4
    np.testing.assert_allclose(found, [20, 40, 60, 80], atol=1.5)


def test_a_head_s_beats_are_where_it_turns_back() -> None:
    yaw = np.cos(2 * np.pi * np.arange(100) / 40)  # still at 0, 20, 40...
    found = figures.head_beats(np.stack([yaw, 0 * yaw, 0 * yaw], 1))
    np.testing.assert_allclose(found, [20, 40, 60, 80], atol=1)


def test_diversity_is_the_spread_over_time() -> None:
    still = np.ones((50, 4))
    moving = np.stack([np.tile([0.0, 2.0], 25), np.tile([1.0, 1.0], 25)], 1)
    assert figures.diversity(still) == 0.0
    assert figures.diversity(moving) == pytest.approx(0.5)


def landmarks(opening: np.ndarray) -> np.ndarray:
    """Faces whose eyes are 1 wide and so high."""
    out = np.zeros((len(opening), top.LANDMARKS, 3), np.float32)
    for upper, lower in ((top.EYE_RIGHT_UPPER, top.EYE_RIGHT_LOWER), (top.EYE_LEFT_UPPER, top.EYE_LEFT_LOWER)):
        for k, (up, low) in enumerate(zip(upper, lower, strict=True)):
            out[:, up, 0] = out[:, low, 0] = k / (len(upper) - 1)
            inside = 0 < k < len(upper) - 1
            out[:, up, 1], out[:, low, 1] = -0.5 * inside * opening, 0.5 * inside * opening
    return out


def test_three_blinks_in_ten_seconds_are_eighteen_a_minute() -> None:
    opening = np.full(250, 0.3)
    for at in (50, 120, 200):
        opening[at : at + 4] = [0.12, 0.03, 0.03, 0.14]
    seen = figures.eye_opening(landmarks(opening))
    np.testing.assert_allclose(seen, opening, atol=1e-6)
    assert figures.blink_rate(seen) == pytest.approx(18.0)
    assert figures.blink_rate(np.full(250, 0.3)) == 0.0


def test_eyes_shut_for_a_second_are_no_blink() -> None:
    opening = np.full(250, 0.3)
    opening[100:125] = 0.02
    assert figures.blink_rate(opening) == 0.0
