"""When there is more to draw than time: who comes first, and whose pictures are left out."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk
from engine.face.avatar import Avatar
from engine.pipeline import Pipeline
from engine.scheduler import LATE_S, LATER_S, Scheduler
from engine.session import Session

pytestmark = pytest.mark.cpu
NOW = 100.0
FRAME_S = 0.040


@pytest.fixture(scope="module")
def pipeline() -> Pipeline:
    return Pipeline(EngineConfig(max_sessions=3, size=256, mover="codebook"))


@pytest.fixture
def scheduler(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Scheduler:
    monkeypatch.setattr("engine.scheduler.time", SimpleNamespace(monotonic=lambda: NOW))
    return Scheduler(pipeline)


def push(session: Session, frame: int, came: float, frames: int = 1) -> None:
    session.push_audio(AudioChunk(frame * SAMPLES_PER_FRAME, np.zeros(frames * SAMPLES_PER_FRAME, np.float32)), came)


def test_sessions_that_all_fall_behind_leave_out_alike(scheduler: Scheduler, astronaut: Avatar) -> None:
    sessions = [scheduler.open(astronaut, 0, seed) for seed in range(3)]
    shown: list[list[int]] = [[], [], []]
    for k in range(9):
        for session in sessions:
            push(session, k, NOW - 5 + FRAME_S * k)
        while scheduler.tick():
            for got, session in zip(shown, sessions, strict=True):
                got += [frame.position // SAMPLES_PER_FRAME for frame in session.frames()]
    assert shown == [[0, 4, 8]] * 3, "never none at all"
    for session in sessions:
        assert session.dropped == 6
        scheduler.close(session)


@pytest.mark.parametrize(
    ("late", "shown"), [(LATE_S - 0.01, 16), (LATE_S + LATER_S / 4, 12), (LATE_S + LATER_S / 2, 8)]
)
def test_the_later_the_more_are_left_out(
    scheduler: Scheduler, astronaut: Avatar, monkeypatch: pytest.MonkeyPatch, late: float, shown: int
) -> None:
    session, came = scheduler.open(astronaut, 0), 0
    for k in range(16):
        push(session, k, NOW + k / 16)
        monkeypatch.setattr("engine.scheduler.time", SimpleNamespace(monotonic=lambda k=k: NOW + k / 16 + late))
        assert scheduler.tick() == 1
        came += len(session.frames())
    scheduler.close(session)
    assert came == pytest.approx(shown, abs=1)


def test_what_comes_in_one_go_is_drawn(scheduler: Scheduler, astronaut: Avatar) -> None:
    session = scheduler.open(astronaut, 0)
    push(session, 0, NOW - 0.15, frames=4)  # the last of them is hardly late
    positions = []
    while scheduler.tick():
        positions += [frame.position // SAMPLES_PER_FRAME for frame in session.frames()]
    scheduler.close(session)
    assert positions == [0, 1, 2, 3]


def test_who_came_first_is_drawn_first(
    scheduler: Scheduler, pipeline: Pipeline, astronaut: Avatar, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "at_once", 1)
    sessions = [scheduler.open(astronaut, 0, seed) for seed in range(3)]
    for session, came in zip(sessions, (0.03, 0.01, 0.02), strict=True):
        push(session, 0, NOW - 0.04 + came)
    order = []
    while scheduler.tick():
        order.append([k for k, session in enumerate(sessions) if session.frames()])
    for session in sessions:
        scheduler.close(session)
    assert order == [[1, 2], [0]]  # three wait where one is drawn at once: two share a step
