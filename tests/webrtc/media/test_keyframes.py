"""When a viewer gets a whole picture: by a clock that is handed in."""

from __future__ import annotations

import numpy as np
import pytest

from webrtc.media.keyframes import ASKED_S, LOSING_S, REPAIRED_S, REPORT_S, Keyframes

pytestmark = pytest.mark.cpu
FRAME_S = 0.04


def made(keys: Keyframes, begin: float, end: float, reports: dict[float, int] | None = None) -> list[float]:
    """Times of whole pictures between ``begin`` and ``end``; ``reports``: packets lost so far, by when that is told."""
    waiting, out = sorted((reports or {}).items()), []
    for now in np.arange(begin, end, FRAME_S):
        while waiting and waiting[0][0] <= now:
            keys.reported(waiting.pop(0)[1], now)
        if keys.due(now):
            out.append(round(float(now), 2))
    return out


def every_second(end: float, lost: float = 0) -> dict[float, int]:
    return {t: int(lost * t) for t in np.arange(0.5, end)}


def test_nobody_who_loses_nothing_gets_more_than_the_first() -> None:
    assert made(Keyframes(), 0, 60, every_second(60)) == []


def test_one_who_asks_gets_one_at_once_and_a_flood_of_requests_no_flood_of_pictures() -> None:
    keys = Keyframes()
    made(keys, 0, 5, every_second(5))
    keys.asked(5.0)
    assert keys.due(5.0)
    for k in range(100):
        keys.asked(5.0 + k / 100)
    keys.reported(0, 5.5)
    times = made(keys, 5.04, 6.1)
    assert times[0] == pytest.approx(5.0 + ASKED_S, abs=FRAME_S), "the first one may have been lost as well"
    assert len(times) == 1


def test_losses_that_are_reported_are_mended_though_nobody_asks() -> None:
    reports = every_second(30)
    reports.update({t: 7 for t in reports if t > 20})
    times = made(Keyframes(), 0, 30, reports)
    assert times == [pytest.approx(20.5 + REPAIRED_S, abs=2 * FRAME_S)], "once, for losses of once"


def test_while_losses_go_on_there_is_one_every_two_seconds() -> None:
    times = made(Keyframes(), 0, 60, every_second(60, lost=5))
    assert max(np.diff(times)) <= LOSING_S + 1 + FRAME_S
    assert len(times) <= 60 / LOSING_S + 1


def test_one_whose_reports_are_lost_counts_as_one_who_loses() -> None:
    keys = Keyframes()
    made(keys, 0, 20, every_second(20))
    times = made(keys, 20, 30)
    assert times[0] - 19.5 <= REPORT_S + 2 * FRAME_S
    assert max(np.diff(times)) <= LOSING_S + 2 * FRAME_S
    assert len(made(keys, 30, 60, every_second(60))) <= 1, "back to normal"
