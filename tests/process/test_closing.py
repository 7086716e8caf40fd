"""After a barge-in the mouth closes with the very next picture, and no more sound is needed for it."""

from __future__ import annotations

import numpy as np
import pytest

from engine import avatars
from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, AudioChunk, Frame
from engine.face.avatar import Avatar
from engine.face.measures import aperture
from engine.paths import assets
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler

pytestmark = pytest.mark.cpu

OPEN, CLOSED = 0.05, 0.025  # outer-eye-corner distances


@pytest.fixture(scope="module")
def scheduler() -> Scheduler:
    return Scheduler(Pipeline(EngineConfig()))


@pytest.mark.parametrize(("look_ahead_ms", "begin"), [(0, 2.0), (80, 4.0), (120, 5.0)])
def test_the_first_picture_after_a_barge_in_shows_a_closed_mouth(
    scheduler: Scheduler, look_ahead_ms: int, begin: float
) -> None:
    from engine.enrolment.landmarks import FaceMesh

    session = scheduler.open(Avatar.load(avatars.resolve("astronaut")[1]), look_ahead_ms)
    speech = read_speech(assets() / "speech.wav")[int(begin * SAMPLE_RATE) :]
    with FaceMesh(faces=1) as tracker:

        def gap(frame: Frame) -> float:
            return aperture(tracker.find(frame.picture)[0])

        for at in range(0, len(speech), SAMPLES_PER_FRAME):  # speak until the mouth is open
            session.push_audio(AudioChunk(at, speech[at : at + SAMPLES_PER_FRAME]))
            assert scheduler.tick() == 1
            if any(gap(last := frame) > OPEN for frame in session.frames()):
                break
        session.push_audio(AudioChunk(at + SAMPLES_PER_FRAME, speech[:200]))
        scheduler.clear(session)
        assert scheduler.tick() == 1, "a picture comes before any more sound does"
        (closed,) = session.frames()
        assert (closed.position, closed.epoch) == (last.position + SAMPLES_PER_FRAME, 1)
        assert gap(closed) <= CLOSED
        session.push_audio(AudioChunk(at + SAMPLES_PER_FRAME + 200, np.zeros(6 * SAMPLES_PER_FRAME, np.float32)))
        while scheduler.tick():
            assert all(gap(frame) <= CLOSED for frame in session.frames())
    scheduler.close(session)
