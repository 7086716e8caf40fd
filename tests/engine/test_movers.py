"""Movers in the pipeline: the lips stay the voice's, seeds, rows and keys do what they say, interruptions no harm."""

from __future__ import annotations

import queue
from math import degrees, radians
from pathlib import Path

import numpy as np
import pytest

from clients.options import chosen_mover
from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, FloatArray, Frame, Motion
from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, LIP
from engine.motion.prior.keys import MOST_FRAMES, Key, live_key, read_keys
from engine.motion.rotation import euler_angles
from engine.paths import assets
from engine.pipeline import Pipeline
from engine.process.engine_process import EngineProcess
from engine.scheduler import Scheduler

pytestmark = pytest.mark.cpu

LIPS = [INDEX[name] for name in LIP]
BROWS = [INDEX[name] for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight")]
FRAMES = 100


@pytest.fixture(scope="module")
def voice() -> FloatArray:
    return read_speech(assets() / "speech.wav")[: FRAMES * SAMPLES_PER_FRAME]


@pytest.fixture(scope="module")
def prior() -> Pipeline:
    return Pipeline(EngineConfig(max_sessions=3, mover="prior"))


@pytest.fixture(scope="module")
def posevae() -> Pipeline:
    return Pipeline(EngineConfig(max_sessions=3, mover="posevae"))


def moved(pipeline: Pipeline, voice: FloatArray, seed: int = 1, keys: list[Key] | None = None) -> list[Motion]:
    """The motions of a session that hears the voice."""
    scheduler = Scheduler(pipeline)
    session = scheduler.open(None, 80, seed, live=False)
    for key in keys or []:
        scheduler.set_key(session, key)
    out = []
    for n in range(len(voice) // SAMPLES_PER_FRAME):
        session.push_audio(AudioChunk(SAMPLES_PER_FRAME * n, voice[SAMPLES_PER_FRAME * n :][:SAMPLES_PER_FRAME]))
        scheduler.tick()
        out += session.motions()
    scheduler.close(session)
    return out


def heads(motions: list[Motion]) -> FloatArray:
    return euler_angles(np.array([m.rotation for m in motions]))


def test_the_mouth_stays_the_voices_and_the_rest_is_the_movers(
    prior: Pipeline, posevae: Pipeline, voice: FloatArray
) -> None:
    ours, usual = moved(prior, voice), moved(Pipeline(EngineConfig(max_sessions=1, mover="codebook")), voice)
    head_alone = moved(posevae, voice)
    for a, b in zip(head_alone, usual, strict=True):
        np.testing.assert_allclose(a.blendshapes[LIPS + BROWS], b.blendshapes[LIPS + BROWS], atol=1e-5)
    assert np.abs(heads(head_alone) - heads(usual)).max() > radians(0.5)
    for a, b in zip(ours, usual, strict=True):
        np.testing.assert_allclose(a.blendshapes[LIPS], b.blendshapes[LIPS], atol=1e-5)
    assert np.abs(heads(ours) - heads(usual)).max() > radians(0.5)
    assert np.degrees(heads(ours)).std(0).max() > 0.2
    steps = np.degrees(np.abs(np.diff(heads(ours), axis=0)))
    assert steps.max() < 4, "no jumps"


@pytest.mark.parametrize("mover", ["prior", "posevae"])
def test_a_seed_moves_the_same_whoever_else_is_there(
    mover: str, request: pytest.FixtureRequest, voice: FloatArray
) -> None:
    pipeline: Pipeline = request.getfixturevalue(mover)
    alone, other = heads(moved(pipeline, voice)), heads(moved(pipeline, voice, seed=2))
    np.testing.assert_array_equal(alone, heads(moved(pipeline, voice)))
    assert np.abs(alone - other).max() > radians(0.3)
    row = pipeline.join(None, 0, 9)  # somebody else, in the first row
    np.testing.assert_allclose(alone, heads(moved(pipeline, voice)), atol=1e-4)
    pipeline.leave(row)


@pytest.mark.parametrize("mover", ["prior", "posevae"])
def test_sound_beyond_the_look_ahead_moves_nobody(
    mover: str, request: pytest.FixtureRequest, voice: FloatArray
) -> None:
    pipeline: Pipeline = request.getfixturevalue(mover)
    other = voice.copy()
    other[60 * SAMPLES_PER_FRAME :] = 0
    a, b = heads(moved(pipeline, voice)), heads(moved(pipeline, other))
    np.testing.assert_array_equal(a[:58], b[:58])  # frame 57 has heard frame 59
    assert np.abs(a[58:] - b[58:]).max() > 1e-4


def test_keys_are_met_at_their_frames(prior: Pipeline, voice: FloatArray, tmp_path: Path) -> None:
    path = tmp_path / "keys.json"
    path.write_text(
        '[{"at": 1.2, "hold": 0.2, "yaw": 8, "browInnerUp": 0.6}, {"at": 2.4, "eyeBlinkLeft": 1, "roll": -4}]'
    )
    motions = moved(prior, voice, keys=read_keys(path))
    for frame in range(30, 35):
        assert degrees(heads(motions)[frame, 0]) == pytest.approx(8, abs=0.1)
        assert motions[frame].blendshapes[INDEX["browInnerUp"]] == pytest.approx(0.6, abs=0.01)
    assert motions[60].blendshapes[INDEX["eyeBlinkLeft"]] == pytest.approx(1, abs=0.01)
    assert degrees(heads(motions)[60, 2]) == pytest.approx(-4, abs=0.1)
    fastest = np.abs(np.diff(heads(motions), axis=0)).max(0)
    assert fastest[0] < 1.3 * 0.034, "as fast as films, and a little more"
    assert fastest[2] < 1.3 * 0.023


@pytest.mark.parametrize("mover", ["prior", "posevae"])
def test_a_barge_in_does_not_move_the_head(mover: str, request: pytest.FixtureRequest, voice: FloatArray) -> None:
    scheduler = Scheduler(request.getfixturevalue(mover))
    session = scheduler.open(None, 80, 1, live=False)
    out = []
    for n in range(60):
        if n == 40:
            scheduler.clear(session)
        session.push_audio(AudioChunk(SAMPLES_PER_FRAME * n, voice[SAMPLES_PER_FRAME * n :][:SAMPLES_PER_FRAME]))
        scheduler.tick()
        out += session.motions()
    scheduler.close(session)
    assert np.degrees(np.abs(np.diff(heads(out), axis=0))).max() < 4


def test_head_is_another_word_for_a_mover() -> None:
    assert chosen_mover(None, None) is None
    assert EngineConfig().moved_by == "prior"
    assert EngineConfig(device="cuda").moved_by == EngineConfig(method="sadtalker").moved_by == "codebook"
    assert chosen_mover("ar", None) == "ar"
    assert chosen_mover(None, "posevae") == chosen_mover("posevae", "posevae") == "posevae"
    with pytest.raises(VivifyError, match="The mover prior moves the head itself"):
        chosen_mover("prior", "posevae")
    with pytest.raises(VivifyError, match="The head must be one of codebook, posevae"):
        chosen_mover(None, "ar")


def test_what_cannot_be_is_refused_in_a_sentence(voice: FloatArray, tmp_path: Path) -> None:
    with pytest.raises(VivifyError, match="use the mover prior"):
        moved(Pipeline(EngineConfig(max_sessions=1, mover="codebook")), voice, keys=[Key(10, 1, {0: 0.1})])
    with pytest.raises(VivifyError, match="The mover must be one of codebook, prior, ar, posevae"):
        EngineConfig(mover="dance")
    with pytest.raises(VivifyError, match="start it with --mover prior"):
        live_key({"yaw": 3}, "codebook")
    with pytest.raises(VivifyError, match="in_ms was expected to be from 480"):
        live_key({"yaw": 3, "in_ms": 20}, "prior")
    assert live_key({"yaw": 3, "in_ms": 600, "hold_ms": 400}, "prior") == Key(15, 10, {0: pytest.approx(radians(3))})
    path = tmp_path / "keys.json"
    for text in ("{", "7", "[1]", '[{"yaw": 3}]', '[{"at": -1, "yaw": 3}]', '[{"at": 1}]', '[{"at": 1, "jawOpen": 1}]'):
        path.write_text(text)
        with pytest.raises(VivifyError, match="was expected"):
            read_keys(path)
    path.write_text("[" + ",".join(['{"at": 1, "hold": 10, "yaw": 3}'] * (MOST_FRAMES // 250 + 1)) + "]")
    with pytest.raises(VivifyError, match="at most 4096 frames"):
        read_keys(path)


def test_a_live_key_is_met_within_the_second(voice: FloatArray) -> None:
    frames: queue.Queue[Frame] = queue.Queue()
    engine = EngineProcess(EngineConfig(max_sessions=1, size=256, mover="prior"))
    engine.start(lambda text: None)
    try:
        session = engine.open(None, 0, 3, frames.put, None, moves_only=True)
        session.set_key(live_key({"yaw": 8, "in_ms": 800, "hold_ms": 200}, "prior"))
        session.set_controls({"style": -0.5, "guidance": 1})
        session.push_audio(AudioChunk(0, voice[: 40 * SAMPLES_PER_FRAME]))
        motions = [frames.get(timeout=20).motion for _ in range(40)]
    finally:
        engine.stop()
    yaw = np.degrees(heads([m for m in motions if m is not None])[:, 0])
    np.testing.assert_allclose(yaw[20:25], 8, atol=0.1)
    assert abs(yaw[5]) < 5
