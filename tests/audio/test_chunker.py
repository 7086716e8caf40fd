"""Cutting a voice into frames and into stretches of speech."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.audio.chunker import FrameCutter, SpeechChunker
from engine.contracts import SAMPLES_PER_FRAME, AudioChunk, SpeechEvent

pytestmark = pytest.mark.cpu

SOUND = np.arange(20_000, dtype=np.float32)


@pytest.mark.parametrize("sizes", [(640,), (1,), (160, 320), (7, 1500, 0, 640, 3), (20_000,)])
def test_frames_are_whole_in_order_and_independent_of_how_sound_was_pushed(sizes: tuple[int, ...]) -> None:
    cutter, at, chunks, turn = FrameCutter(1280), 0, [], 0
    while at < 5000:
        size = sizes[turn % len(sizes)]
        chunks += cutter.push(SOUND[at : at + size])
        at, turn = at + size, turn + 1
        assert cutter.position == 1280 + min(at, len(SOUND))
    assert [chunk.position for chunk in chunks] == [1280 + 640 * k for k in range(len(chunks))]
    assert all(len(chunk.samples) == SAMPLES_PER_FRAME for chunk in chunks)
    assert np.array_equal(np.concatenate([c.samples for c in chunks]), SOUND[: 640 * len(chunks)])
    assert len(chunks) == min(at, len(SOUND)) // 640


@pytest.mark.parametrize("waiting", [0, 100, 639])
def test_a_frame_finished_early_is_silent_and_keeps_its_time(waiting: int) -> None:
    cutter = FrameCutter()
    cutter.push(np.ones(640 + waiting, np.float32))
    chunk = cutter.finish()
    assert chunk is not None
    assert (chunk.position, len(chunk.samples), chunk.samples.any()) == (640, 640, False)
    assert cutter.position == 640 + waiting
    assert cutter.finish() is None, "a second frame would run ahead of the clock"
    assert cutter.push(np.ones(200, np.float32)) == []
    (after,) = cutter.push(np.full(1280 - waiting - 200, 2.0, np.float32))
    assert (after.position, cutter.position) == (1280, 1920)
    assert len(after.samples) == 640
    assert after.samples.all()
    again = cutter.finish()
    assert again is not None
    assert again.position == 1920


def test_bad_frames_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 640"):
        FrameCutter(100)
    with pytest.raises(ValueError, match="mono"):
        FrameCutter().push(np.zeros((2, 640), np.float32))


def stretches(events: list[SpeechEvent], size: int, longest: int = 10**9) -> list[AudioChunk]:
    """Push SOUND in pieces; an event arrives with the piece that ends 400 samples after it, late as a detector's."""
    chunker, out, waiting = SpeechChunker(longest=longest, history=1000), [], list(events)
    for at in range(0, len(SOUND), size):
        due = [e for e in waiting if e.position + 400 <= at + size]
        waiting = waiting[len(due) :]
        out += chunker.push(SOUND[at : at + size], due)
    return out


@pytest.mark.parametrize("size", [100, 320, 700])
def test_speech_is_cut_from_start_to_end(size: int) -> None:
    events = [
        SpeechEvent("start", 2000),
        SpeechEvent("end", 5000),
        SpeechEvent("start", 9000),
        SpeechEvent("end", 9500),
    ]
    chunks = stretches(events, size)
    assert [(c.position, c.end) for c in chunks] == [(2000, 5000), (9000, 9500)]
    assert all(np.array_equal(c.samples, SOUND[c.position : c.end]) for c in chunks)


def test_long_speech_comes_in_parts_without_a_gap() -> None:
    chunks = stretches([SpeechEvent("start", 2000), SpeechEvent("end", 15_000)], 320, longest=5000)
    assert chunks[0].position == 2000
    assert chunks[-1].end == 15_000
    assert all(a.end == b.position for a, b in pairwise(chunks))
    assert np.array_equal(np.concatenate([c.samples for c in chunks]), SOUND[2000:15_000])


def test_memory_is_bounded_without_speech() -> None:
    chunker = SpeechChunker(history=1000)
    for _ in range(300):
        chunker.push(np.zeros(320, np.float32), [])
        assert chunker.kept <= 1000
