"""The real engine process: frames through shared memory, refusals in sentences, death noticed at once."""

from __future__ import annotations

import os
import queue
import signal
from collections.abc import Iterator

import numpy as np
import pytest

from engine import avatars
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, Frame
from engine.errors import EngineFull, UnknownAvatar, VivifyError
from engine.face.avatar import Avatar
from engine.marking.badge import badge_of
from engine.process.engine_process import EngineProcess
from engine.process.engine_session import EngineSession

pytestmark = pytest.mark.cpu

WAIT = 20.0  # seconds until a missing frame is a failure


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcess]:
    process = EngineProcess(EngineConfig(max_sessions=2, size=256))
    told: list[str] = []
    process.start(told.append)
    assert told, "a start that takes seconds says what it does"
    yield process
    process.stop()


class Stream:
    """One session and what came out of it."""

    def __init__(self, engine: EngineProcess, look_ahead_ms: int = 0, moves_only: bool = False) -> None:
        self.frames: queue.Queue[Frame] = queue.Queue()
        self.lost: queue.Queue[str] = queue.Queue()
        self.position = 0
        self.session: EngineSession = engine.open(
            None, look_ahead_ms, 0, self.frames.put, self.lost.put, moves_only=moves_only
        )

    def push(self, frames: int) -> None:
        for _ in range(frames):
            self.session.push_audio(AudioChunk(self.position, np.zeros(SAMPLES_PER_FRAME, np.float32)))
            self.position += SAMPLES_PER_FRAME

    def take(self, n: int) -> list[Frame]:
        return [self.frames.get(timeout=WAIT) for _ in range(n)]


def test_a_badge_is_in_the_pictures_that_want_it_and_nowhere_else(engine: EngineProcess) -> None:
    pictures = []
    for badge in (False, True):
        stream = Stream.__new__(Stream)
        stream.frames, stream.position = queue.Queue(), 0
        stream.session = engine.open(None, 0, 0, stream.frames.put, mark=5, badge=badge)
        stream.push(1)
        pictures.append(stream.take(1)[0].picture)
        stream.session.close()
    plain, badged = pictures
    left, top, right, bottom = badge_of(Avatar.load(avatars.resolve("astronaut")[1]), 256).box
    away = np.abs(plain[:256].astype(int) - badged[:256])
    rows, columns = np.nonzero(away > 4)  # the mark beside it changes by a little, as the picture does
    assert (rows.min(), rows.max() + 1) == pytest.approx((top, bottom), abs=3)
    assert left <= columns.min() <= columns.max() < right


@pytest.mark.parametrize(("look_ahead_ms", "behind"), [(0, 0), (80, 2)])
def test_each_frame_of_sound_gives_a_picture_at_its_place(
    engine: EngineProcess, look_ahead_ms: int, behind: int
) -> None:
    stream = Stream(engine, look_ahead_ms)
    got: list[Frame] = []
    for k in range(8):
        stream.push(1)
        if k >= behind:
            got += stream.take(1)
    stream.session.close()
    assert [f.position for f in got] == [SAMPLES_PER_FRAME * k for k in range(8 - behind)]
    assert all(f.picture.shape == (384, 256) and f.picture.dtype == np.uint8 for f in got)
    assert got[0].picture[:256].std() > 10, "a portrait is not a flat grey"
    ledger = got[-1].ledger
    assert ledger.audio_in < ledger.done
    assert min(ledger.features_ms, ledger.motion_ms, ledger.render_ms) > 0


def test_one_that_only_moves_has_the_same_motions_and_no_pictures(engine: EngineProcess) -> None:
    drawn, moving = Stream(engine, 40), Stream(engine, 40, moves_only=True)
    voice = np.random.default_rng(0).normal(0, 0.1, 6 * SAMPLES_PER_FRAME).astype(np.float32)
    for stream in (drawn, moving):
        stream.session.push_audio(AudioChunk(0, voice))
    pairs = list(zip(drawn.take(5), moving.take(5), strict=True))
    for seen, moved in pairs:
        assert moved.picture.size == 0 < seen.picture.size
        assert seen.motion is not None
        assert moved.motion is not None
        assert moved.motion.position == moved.position == seen.position
        for name in ("blendshapes", "rotation", "translation", "lip_offsets"):
            assert np.allclose(getattr(seen.motion, name), getattr(moved.motion, name), atol=1e-5), name
        assert moved.motion.lip_offsets.shape == (40, 3)
    assert pairs[-1][0].motion is not None
    assert pairs[-1][0].motion.blendshapes.max() > 0
    drawn.session.close()
    moving.session.close()


def test_sessions_run_apart_and_one_too_many_is_refused(engine: EngineProcess) -> None:
    first, second = Stream(engine), Stream(engine, 40)
    with pytest.raises(EngineFull, match="2 sessions"):
        engine.open(None, 0, 0, lambda frame: None)
    first.push(3)
    assert [f.position for f in first.take(3)] == [0, 640, 1280]
    second.push(2)
    assert [f.position for f in second.take(1)] == [0]
    first.session.close()
    third = Stream(engine)
    third.push(1)
    assert third.take(1)[0].position == 0
    second.session.close()
    third.session.close()


def test_refusals_say_what_there_is(engine: EngineProcess) -> None:
    with pytest.raises(UnknownAvatar, match=r"no avatar named 'nobody'.*astronaut"):
        engine.open("nobody", 0, 0, lambda frame: None)
    with pytest.raises(UnknownAvatar, match="no avatar named"):
        engine.open("../../etc", 0, 0, lambda frame: None)
    with pytest.raises(VivifyError, match="one of 0, 40, 80, 120"):
        engine.open(None, 77, 0, lambda frame: None)


def test_after_clear_only_frames_of_the_new_epoch_come_and_the_clock_goes_on(engine: EngineProcess) -> None:
    stream = Stream(engine, 80)
    stream.push(20)
    stream.take(1)
    assert stream.session.clear() == 1
    while not stream.frames.empty():
        stream.frames.get()
    stream.push(4)
    after = stream.take(4)
    assert {f.epoch for f in after} == {1}
    positions = [f.position for f in after]
    assert positions == list(range(positions[0], positions[0] + 4 * 640, 640))
    assert positions[-1] == SAMPLES_PER_FRAME * (24 - 1 - 2)
    stream.session.close()


def test_sound_that_does_not_continue_the_clock_ends_that_session_only(engine: EngineProcess) -> None:
    stream, other = Stream(engine), Stream(engine)
    stream.session.push_audio(AudioChunk(5, np.zeros(640, np.float32)))
    assert "go on at sample 0" in stream.lost.get(timeout=WAIT)
    other.push(1)
    assert other.take(1)
    other.session.close()


def test_the_death_of_the_process_is_told_to_its_sessions() -> None:
    engine = EngineProcess(EngineConfig(max_sessions=1, size=256))
    try:
        engine.start()
        stream = Stream(engine)
        assert engine.pid
        os.kill(engine.pid, signal.SIGKILL)
        assert "stopped unexpectedly" in stream.lost.get(timeout=WAIT)
        assert not engine.alive
        with pytest.raises(VivifyError, match="not running"):
            engine.open(None, 0, 0, lambda frame: None)
    finally:
        engine.stop()


def test_a_bad_avatar_is_a_sentence_not_a_dead_process() -> None:
    with pytest.raises(UnknownAvatar, match="neither a bundled avatar"):
        EngineProcess(EngineConfig(avatar="nobody")).start()
