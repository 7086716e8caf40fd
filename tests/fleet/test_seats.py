"""Seats: one node each, whoever asks, given back however a process ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from webrtc.fleet import seats
from webrtc.fleet.seats import Seat, cores_of, seats_here

pytestmark = [pytest.mark.cpu, pytest.mark.skipif(sys.platform == "win32", reason="no such locks there")]


def test_a_seat_is_nobody_elses_until_it_is_left(tmp_path: Path) -> None:
    first, second = Seat.take(2, tmp_path), Seat.take(2, tmp_path)
    assert first is not None
    assert second is not None
    assert (first.number, second.number) == (0, 1)
    assert Seat.take(2, tmp_path) is None
    first.leave()
    again = Seat.take(2, tmp_path)
    assert again is not None
    assert again.number == 0
    again.leave()
    second.leave()


def test_a_seat_is_held_by_what_it_was_passed_on_to_and_free_when_that_is_killed(tmp_path: Path) -> None:
    seat = Seat.take(1, tmp_path)
    assert seat is not None
    with subprocess.Popen(["sleep", "60"], pass_fds=seat.passed_on) as holder:
        seat.leave()
        assert Seat.take(1, tmp_path) is None
        holder.send_signal(signal.SIGKILL)
    free = Seat.take(1, tmp_path)
    assert free is not None
    free.leave()


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="only Linux pins processes")
def test_a_seat_has_cores_of_its_own(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 2, 3, 5})
    monkeypatch.setattr(seats, "CGROUPS", tmp_path)
    assert [cores_of(seat, 1) for seat in range(5)] == [[0], [2], [3], [5], [0]]
    assert [cores_of(seat, 2) for seat in range(2)] == [[0, 2], [3, 5]]
    assert [cores_of(seat, 0.5) for seat in range(4)] == [[0], [0], [2], [2]]
    assert (seats_here(1), seats_here(3), seats_here(0.5), seats_here(9)) == (4, 1, 8, 1)
    (tmp_path / "cpu.max").write_text("max 100000\n")
    assert cores_of(0, 1) == [0]
    (tmp_path / "cpu.max").write_text("200000 100000\n")
    assert cores_of(0, 1) is None, "its neighbours see the same cores"
