"""SadTalker behind the engine's sessions: positions, rows, barge-in, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command import vivify
from sadtalker.released_folder import SMALL, our_tensors

from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, Frame
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.paths import assets
from engine.sadtalker.talking import sadtalker_pipeline
from engine.sadtalker.talking.sadtalker_pipeline import LOOK_AHEAD_MS, SadTalkerPipeline
from engine.sadtalker.weights.standard_points import own_standard_points
from engine.sadtalker.weights.weight_file import write_weights
from engine.scheduler import Scheduler
from engine.session import Session

pytestmark = pytest.mark.cpu

PHOTO = assets() / "avatars" / "astronaut" / "portrait.png"


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> EngineConfig:
    path = tmp_path_factory.mktemp("weights") / "random.safetensors"
    write_weights(path, our_tensors(), SMALL, 256, own_standard_points(), {})
    return EngineConfig(size=256, max_sessions=2, method="sadtalker", weights=str(path), photo=str(PHOTO))


@pytest.fixture(scope="module")
def pipeline(config: EngineConfig) -> SadTalkerPipeline:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sadtalker_pipeline, "FILLED", 1e3)  # whatever else this machine does meanwhile
        return SadTalkerPipeline(config)


def spoken(scheduler: Scheduler, session: Session, voice: np.ndarray) -> list[Frame]:
    frames: list[Frame] = []
    for piece in voice.reshape(-1, SAMPLES_PER_FRAME):
        session.push_audio(AudioChunk(session_end(session), piece))
        scheduler.tick()
        frames += session.frames()
    return frames


ENDS: dict[int, int] = {}


def session_end(session: Session) -> int:
    ENDS[id(session)] = ENDS.get(id(session), -SAMPLES_PER_FRAME) + SAMPLES_PER_FRAME
    return ENDS[id(session)]


def voice(frames: int, seed: int) -> np.ndarray:
    return (0.1 * np.random.default_rng(seed).standard_normal(frames * SAMPLES_PER_FRAME)).astype(np.float32)


def test_sessions_are_independent_and_keep_the_clock(pipeline: SadTalkerPipeline, astronaut: Avatar) -> None:
    scheduler = Scheduler(pipeline)
    alone = scheduler.open(astronaut, 0, seed=4, live=False)
    frames = spoken(scheduler, alone, voice(12, 1))
    scheduler.close(alone)
    behind = LOOK_AHEAD_MS // 40
    assert [frame.position for frame in frames] == [SAMPLES_PER_FRAME * k for k in range(12 - behind)]
    assert frames[0].picture.shape == (256, 256, 3)
    assert not np.array_equal(frames[0].picture, frames[-1].picture), "it moves"
    other = scheduler.open(astronaut, 80, seed=9, live=False)
    again = scheduler.open(astronaut, 120, seed=4, live=False, matte=True)
    theirs, mine = [], []
    for a, b in zip(voice(12, 2).reshape(12, -1), voice(12, 1).reshape(12, -1), strict=True):
        other.push_audio(AudioChunk(session_end(other), a))
        again.push_audio(AudioChunk(session_end(again), b))
        scheduler.tick()
        theirs += other.frames()
        mine += again.frames()
    for frame, before in zip(mine, frames, strict=True):
        np.testing.assert_allclose(frame.picture[..., :3].astype(int), before.picture, atol=1)
        assert (frame.picture[..., 3] == 255).all()
    assert not np.array_equal(theirs[-1].picture, frames[-1].picture)
    scheduler.close(other)
    scheduler.close(again)


def test_barge_in_is_heard_at_once(pipeline: SadTalkerPipeline, astronaut: Avatar) -> None:
    scheduler = Scheduler(pipeline)
    session = scheduler.open(astronaut, 120, seed=1, live=False)
    before = spoken(scheduler, session, voice(8, 3))
    assert scheduler.clear(session) == 1
    after = spoken(scheduler, session, np.zeros(6 * SAMPLES_PER_FRAME, np.float32))
    assert [frame.epoch for frame in after] == [1] * 6
    assert after[0].position == before[-1].position + SAMPLES_PER_FRAME
    scheduler.close(session)


def test_there_is_one_look_ahead(config: EngineConfig) -> None:
    """What the server's clock counts with is what the pipeline waits for."""
    assert {config.heard_ahead(wished) for wished in (0, 40, 80, 120)} == {LOOK_AHEAD_MS}
    assert EngineConfig().heard_ahead(40) == 40


def test_a_machine_too_slow_says_which_rate_it_holds(config: EngineConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sadtalker_pipeline, "FILLED", 1e-9)
    with pytest.raises(VivifyError, match=r"this machine draws \d+\.\d of SadTalker's with 256 pixels"):
        SadTalkerPipeline(config)


def test_serving_says_what_is_missing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], config: EngineConfig
) -> None:
    for options, told in (
        ((), "vivify sadtalker import OFFICIAL_FOLDER"),
        (("--weights", config.weights), "--photo"),
        (("--weights", tmp_path / "none", "--photo", PHOTO), "vivify sadtalker import"),
        (("--weights", config.weights, "--photo", PHOTO, "--size", "768"), "draws 256 pixels"),
    ):
        assert vivify(monkeypatch, "serve", "--method", "sadtalker", *options) == 1
        assert told in " ".join(capsys.readouterr().err.split())
