"""Sessions are drawn side by side on several cores: each looks as it does alone."""

from __future__ import annotations

import numpy as np
import pytest

from engine import avatars
from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import AudioChunk
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler

pytestmark = pytest.mark.cpu

FRAMES = 12


def pictures(scheduler: Scheduler, seeds: list[int]) -> list[np.ndarray]:
    """What each of so many sessions shows of the same speech: [frames, H, W, 3] each."""
    speech = read_speech(assets() / "speech.wav")
    begin = int(np.flatnonzero(np.abs(speech) > 0.05)[0])
    avatar = Avatar.load(avatars.resolve("astronaut")[1])
    sessions = [scheduler.open(avatar, 0, seed, live=False) for seed in seeds]
    for k, session in enumerate(sessions):
        heard = speech[begin + 4000 * k : begin + 4000 * k + FRAMES * 640]
        session.push_audio(AudioChunk(0, heard))
    while scheduler.tick():
        pass
    shown = [np.stack([frame.picture for frame in session.frames()]) for session in sessions]
    for session in sessions:
        scheduler.close(session)
    return shown


def test_together_they_look_as_they_do_alone() -> None:
    scheduler = Scheduler(Pipeline(EngineConfig(size=256, max_sessions=3, quality="geometry")))
    alone = pictures(scheduler, [5])[0]
    first, second, third = pictures(scheduler, [5, 6, 7])
    assert len(first) == FRAMES
    np.testing.assert_array_equal(first, alone)
    assert np.abs(first.astype(int) - second).max() > 20, "others say and do other things"
    assert np.abs(second.astype(int) - third).max() > 20
