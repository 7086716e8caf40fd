"""A session without an avatar moves as one with an avatar does, from Python, and draws nothing."""

from __future__ import annotations

import numpy as np
import pytest

from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, Motion
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler

pytestmark = pytest.mark.cpu


def test_motions_are_the_same_with_a_face_and_without(astronaut: Avatar) -> None:
    scheduler = Scheduler(Pipeline(EngineConfig(max_sessions=2, size=256)))
    voice = read_speech(assets() / "speech.wav")[: 20 * SAMPLES_PER_FRAME]
    sessions = [scheduler.open(avatar, 80, seed=3, live=False) for avatar in (astronaut, None)]
    for session in sessions:
        session.push_audio(AudioChunk(0, voice))
    motions: list[list[Motion]] = [[], []]
    while scheduler.tick():
        for got, session in zip(motions, sessions, strict=True):
            got += session.motions()
    drawn, moving = motions
    assert [m.position for m in drawn] == [m.position for m in moving] == list(range(0, 18 * 640, 640))
    for one, other in zip(drawn, moving, strict=True):
        assert np.allclose(one.blendshapes, other.blendshapes, atol=1e-5)
        assert np.allclose(one.rotation, other.rotation, atol=1e-5)
    pictures = [[frame.picture.size for frame in session.frames()] for session in sessions]
    assert pictures == [[256 * 256 * 3] * 18, [0] * 18]
