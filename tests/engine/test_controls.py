"""Controls and the look-ahead of a session that runs, through the real engine process."""

from __future__ import annotations

import queue
from collections.abc import Iterator

import numpy as np
import pytest

from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, Frame
from engine.errors import VivifyError
from engine.process.engine_process import EngineProcess
from engine.process.engine_session import EngineSession

pytestmark = pytest.mark.cpu


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess(EngineConfig(max_sessions=1, size=256))
    process.start()
    yield process
    process.stop()


@pytest.fixture
def stream(engine: EngineProcess) -> Iterator[tuple[EngineSession, queue.Queue[Frame]]]:
    frames: queue.Queue[Frame] = queue.Queue()
    session = engine.open(None, 0, 0, frames.put)
    yield session, frames
    session.close()


def silence(frame: int) -> AudioChunk:
    return AudioChunk(frame * SAMPLES_PER_FRAME, np.zeros(SAMPLES_PER_FRAME, np.float32))


def test_wishes_reach_the_picture_and_odd_ones_are_refused(
    stream: tuple[EngineSession, queue.Queue[Frame]],
) -> None:
    session, frames = stream
    session.push_audio(silence(0))
    eyes = np.s_[85:115, 95:160]  # of the bundled avatar at 256 pixels, luma
    opened = frames.get(timeout=20).picture[eyes].astype(int)
    with pytest.raises(VivifyError, match="blink"):
        session.set_controls({"blink": 3})
    assert session.set_controls({"blink": 1.0, "expressiveness": 0.0}).blink == 1.0
    for frame in range(1, 26):
        session.push_audio(silence(frame))
        closed = frames.get(timeout=20).picture[eyes].astype(int)
    assert np.percentile(closed, 2) > np.percentile(opened, 2) + 20, "lids hide the dark of the eyes"


def test_a_look_ahead_switched_on_the_way_never_shows_a_frame_twice(
    stream: tuple[EngineSession, queue.Queue[Frame]],
) -> None:
    session, frames = stream
    for frame in range(40):
        if frame == 10:
            session.set_look_ahead(120)
        if frame == 25:
            session.set_look_ahead(40)
        session.push_audio(silence(frame))
        if not 10 <= frame < 13:
            assert frames.get(timeout=20).position == (
                SAMPLES_PER_FRAME * (frame - (0 if frame < 10 else 3 if frame < 25 else 1))
            )
    with pytest.raises(VivifyError, match="one of 0, 40, 80, 120"):
        session.set_look_ahead(50)
