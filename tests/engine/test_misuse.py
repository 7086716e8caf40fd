"""What programs do wrong with the engine: the right thing comes of it, or one sentence."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest

from engine import avatars
from engine.audio.voice_arrays import as_pcm16, as_voice
from engine.config import EngineConfig
from engine.contracts import AudioChunk
from engine.errors import VivifyError
from engine.face.avatar import Avatar
from engine.pipeline import Pipeline
from engine.scheduler import Scheduler
from engine.session import Session

pytestmark = pytest.mark.cpu

VOICE = np.sin(np.arange(640) / 9).astype(np.float32) / 2


@pytest.fixture(scope="module")
def scheduler() -> Scheduler:
    return Scheduler(Pipeline(EngineConfig("astronaut", 256, 1)))


@pytest.fixture
def session(scheduler: Scheduler) -> Iterator[Session]:
    session = scheduler.open(Avatar.load(avatars.resolve("astronaut")[1]), live=False)
    yield session
    if not session.closed:
        scheduler.close(session)


@pytest.mark.parametrize(
    "samples",
    [
        VOICE.astype(np.float64),
        VOICE.astype(np.float16),
        VOICE.tolist(),
        tuple(VOICE.tolist()),
        np.round(VOICE * 2**15).astype(np.int16),
        np.round(VOICE * 2**15).astype(">i2"),
        np.round(VOICE.astype(np.float64) * 2**31).astype(np.int32),
        np.repeat(VOICE, 2)[::2],
    ],
    ids=["float64", "float16", "list", "tuple", "int16", "big-endian", "int32", "strided"],
)
def test_what_is_clear_is_taken(samples: Any) -> None:
    taken = as_voice(samples)
    assert taken.dtype == np.float32
    assert taken == pytest.approx(VOICE, abs=3e-4)
    assert np.frombuffer(as_pcm16(samples), "<i2") / 2**15 == pytest.approx(VOICE, abs=3e-4)


def test_tensors_are_taken_even_those_with_gradients() -> None:
    torch = pytest.importorskip("torch", reason="torch is not installed")
    assert np.array_equal(as_voice(torch.from_numpy(VOICE).requires_grad_()), VOICE)


@pytest.mark.parametrize(
    ("samples", "says"),
    [
        (np.stack([VOICE, VOICE], 1), r"array of \[640, 2\] came: .*samples.mean\(1\)"),
        (np.stack([VOICE, VOICE]), r"array of \[2, 640\] came: .*samples.mean\(0\)"),
        (VOICE[None, None], "one after the other"),
        (np.float32(0.5), "Mono sound"),
        (VOICE * 32768, "divide by the full scale"),
        (np.where(np.arange(640) == 5, np.nan, VOICE), "NaN"),
        (np.where(np.arange(640) == 5, -np.inf, VOICE), "NaN or infinite"),
        (np.ones(640, np.uint8), "uint8 came"),
        ([1, 2, 3], "int64 came"),
        (np.ones(4, bool), "bool came"),
        (VOICE.astype(complex), "array of numbers"),
        ([[0.0, 1.0], [0.0]], "array of numbers"),
        ("voice.wav", "str came"),
        (b"\0\0\0\0", "np.frombuffer"),
        (None, "NoneType came"),
    ],
)
def test_what_is_not_gets_a_sentence(session: Session, samples: Any, says: str) -> None:
    with pytest.raises(VivifyError, match=says):
        session.push_audio(AudioChunk(0, samples))
    session.push_audio(AudioChunk(0, VOICE))  # and nothing of it stays


def test_another_rate_that_is_said_is_refused(session: Session) -> None:
    with pytest.raises(VivifyError, match=r"16000 Hz was expected, but 24000 Hz came: RateConverter\(24000"):
        session.push_audio(AudioChunk(0, VOICE, rate=24_000))


def test_half_a_sample_is_refused() -> None:
    with pytest.raises(VivifyError, match="3 bytes came"):
        as_pcm16(b"\0\0\0")


def test_a_closed_session_says_so_even_when_another_has_its_row(scheduler: Scheduler, session: Session) -> None:
    scheduler.close(session)
    other = scheduler.open(Avatar.load(avatars.resolve("astronaut")[1]), live=False)
    for use in (
        lambda: session.push_audio(AudioChunk(0, VOICE)),
        lambda: scheduler.clear(session),
        lambda: scheduler.set_controls(session, {"smile": 0.5}),
        lambda: scheduler.set_look_ahead(session, 40),
        lambda: scheduler.close(session),
    ):
        with pytest.raises(VivifyError, match="it has been closed"):
            use()
    other.push_audio(AudioChunk(0, VOICE))
    assert scheduler.tick() == 1
    scheduler.close(other)
