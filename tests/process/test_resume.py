"""A session that goes on in a new engine: the head begins where it stood, and comes back to its own movement."""

from __future__ import annotations

import numpy as np
import pytest

from engine import avatars
from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import FRAMES_PER_SECOND
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.pipeline import Pipeline, Request

pytestmark = pytest.mark.cpu

STOOD = (0.15, -0.08, 0.05, 0.03, -0.02, 0.01)
SLOW = 0.012  # radians, and outer-eye-corner distances, from frame to frame


def heads(pipeline: Pipeline, held: tuple[float, ...] = ()) -> np.ndarray:
    """The head over two seconds of speech: [50, 6]."""
    row = pipeline.join(Avatar.load(avatars.resolve("astronaut")[1]), 0, seed=3)
    if held:
        pipeline.hold_head(row, held)
    shown = []
    for sound in read_speech(assets() / "speech.wav")[32_000 : 32_000 + 640 * 2 * FRAMES_PER_SECOND].reshape(-1, 640):
        pipeline.step([Request(row, sound, 0.5, True, draw=False)])
        shown.append(pipeline.head(row))
    pipeline.leave(row)
    return np.array(shown)


def test_the_head_goes_on_where_it_stood() -> None:
    pipeline = Pipeline(EngineConfig(size=256))
    own, resumed = heads(pipeline), heads(pipeline, STOOD)
    assert np.abs(own[0]).max() < SLOW, "without it the head would jump"
    assert np.abs(resumed[0] - STOOD).max() < SLOW
    assert np.abs(np.diff(resumed - own, axis=0)).max() < SLOW, "it lets go gently"
    np.testing.assert_array_equal(resumed[FRAMES_PER_SECOND:], own[FRAMES_PER_SECOND:])
    np.testing.assert_array_equal(heads(pipeline), own)
