"""Exact arithmetic of the sample clock, and settings that refuse in sentences."""

from __future__ import annotations

import pytest

from engine import clock
from engine.config import EngineConfig
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu


def test_frames_cover_every_sample_once() -> None:
    assert [clock.frame_count(n) for n in (0, 1, 639, 640, 641)] == [0, 1, 1, 1, 2]
    assert clock.FRAME_MS == 40


@pytest.mark.parametrize(("ms", "frames"), [(0, 0), (40, 1), (80, 2), (120, 3)])
def test_look_ahead_is_whole_frames_and_adds_one_frame_of_delay(ms: int, frames: int) -> None:
    assert clock.look_ahead_frames(ms) == frames
    assert clock.structural_delay_ms(ms) == ms + 40


def test_a_look_ahead_that_is_not_offered_is_refused() -> None:
    with pytest.raises(VivifyError, match="one of 0, 40, 80, 120 ms, but 60 ms"):
        clock.look_ahead_frames(60)


@pytest.mark.parametrize(("size", "sessions", "says"), [(500, 1, "500 was given"), (512, 0, "0 was given")])
def test_settings_out_of_range_are_refused(size: int, sessions: int, says: str) -> None:
    with pytest.raises(VivifyError, match=says):
        EngineConfig(size=size, max_sessions=sessions)
