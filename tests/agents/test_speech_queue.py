"""Sound comes out as it went in, sample by sample, with its marks in their places."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from clients.agents.speech_queue import DRY_SLOTS, RATES, Mark, SpeechQueue, ToEngine, mono
from engine.errors import VivifyError

pytestmark = pytest.mark.cpu

RATE = 24_000
SLOT = RATE // 25


def ramp(first: int, length: int) -> np.ndarray:
    return (np.arange(first, first + length) % 30_000 + 1).astype(np.int16)


def drained(queue: SpeechQueue) -> list[object]:
    """All that comes out: each sample, and what the marks say, silent slots left out."""
    out: list[object] = []
    while not queue.empty:
        slot = queue.take()
        assert slot.samples <= queue.per_slot
        for part in slot.parts:
            out += [part.what] if isinstance(part, Mark) else part.tolist()
    return out


@given(st.lists(st.one_of(st.integers(1, 3 * SLOT), st.sampled_from(["mark", "end"])), max_size=30))
def test_everything_comes_out_in_order(steps: list[int | str]) -> None:
    queue, sent, at = SpeechQueue(RATE), [], 0
    for step in steps:
        if isinstance(step, int):
            queue.push(ramp(at, step))
            sent += ramp(at, step).tolist()
            at += step
        else:
            queue.mark(step, ends=step == "end")
            sent.append(step)
    assert drained(queue) == sent
    assert queue.waiting_s == 0


def test_two_stretches_do_not_touch() -> None:
    queue = SpeechQueue(RATE)
    for _ in range(2):
        queue.push(ramp(0, SLOT + 10))
        queue.mark("end", ends=True)
    assert [queue.take().samples for _ in range(6)] == [SLOT, 10, 0, SLOT, 10, 0]


def test_sound_waits_for_a_whole_slot_but_not_for_ever() -> None:
    queue = SpeechQueue(RATE)
    queue.push(ramp(0, SLOT // 2))
    assert [queue.take().samples for _ in range(DRY_SLOTS + 1)] == [0] * DRY_SLOTS + [SLOT // 2]
    queue.push(ramp(0, SLOT // 2))
    queue.mark("end", ends=True)
    assert queue.take().samples == SLOT // 2


def test_clear_tells_which_marks_will_not_come() -> None:
    queue = SpeechQueue(RATE)
    queue.push(ramp(0, 5 * SLOT))
    queue.mark("text")
    queue.mark("end", ends=True)
    queue.take()
    assert [mark.what for mark in queue.clear()] == ["text", "end"]
    assert queue.empty
    assert queue.take().parts == ()


@pytest.mark.parametrize("rate", RATES)
def test_the_engine_hears_the_same_at_its_rate(rate: int) -> None:
    """Whatever the rate, 640 samples a slot; a tone stays a tone, late by a few milliseconds at most."""
    seconds = 2
    tone = np.sin(2 * np.pi * 440 * np.arange(seconds * rate) / rate)
    to_engine = ToEngine(rate)
    slots = np.round(20_000 * tone).astype(np.int16).reshape(-1, rate // 25)
    out = np.concatenate([to_engine.push(slot) for slot in slots])
    assert len(out) == 16_000 * seconds
    wanted = 20_000 / 32_768 * np.sin(2 * np.pi * 440 * np.arange(16_000 * seconds) / 16_000)
    errors = [np.abs(out[3000 + lag : 19_000 + lag] - wanted[3000:19_000]).max() for lag in range(160)]
    assert min(errors) < 0.06


def test_broken_sound_and_odd_rates_are_refused_in_a_sentence() -> None:
    with pytest.raises(VivifyError, match="11025"):
        SpeechQueue(11_025)
    with pytest.raises(VivifyError, match="3 bytes"):
        mono(b"abc")
    assert mono(np.array([100, 300], np.int16).tobytes(), 2).tolist() == [200]
