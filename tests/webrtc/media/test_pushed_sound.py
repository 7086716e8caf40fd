"""Pushed sound alone: any pace in, 20 ms pieces out, nothing lost, nothing repeated."""

from __future__ import annotations

import numpy as np
import pytest

from engine.errors import VivifyError
from webrtc.media.pushed_sound import FIRST_PIECES, MOST_ENDS, MOST_WAITING_S, RATES, PushedVoice
from webrtc.media.voice_line import PIECE, VOICE_RATE

pytestmark = pytest.mark.cpu


def drained(voice: PushedVoice) -> np.ndarray:
    """Pieces until the flushed stretch has ended."""
    pieces = []
    while True:
        piece, ended = voice.next()
        pieces.append(piece)
        if ended:
            return np.concatenate(pieces)


@pytest.mark.parametrize("rate", RATES)
def test_what_is_pushed_comes_out_whole_whatever_the_cuts(rate: int) -> None:
    tone = 8000 * np.sin(2 * np.pi * 300 * np.arange(rate // 2) / rate)
    data, voice = tone.astype("<i2").tobytes(), PushedVoice(rate)
    for at in range(0, len(data), 333):  # odd: samples are cut in two
        voice.push(data[at : at + 333])
    voice.flush()
    assert voice.waiting_s == pytest.approx(0.5, abs=1e-3)
    out = drained(voice)
    wanted = 8000 * np.sin(2 * np.pi * 300 * np.arange(VOICE_RATE // 2) / VOICE_RATE)
    assert np.corrcoef(out[: len(wanted)], wanted)[0, 1] > 0.999
    assert len(out) == 25 * PIECE
    assert voice.waiting_s == 0


def test_sound_at_the_rate_of_the_timeline_is_not_touched() -> None:
    pcm = np.random.default_rng(0).integers(-9000, 9000, 10 * PIECE + 100).astype("<i2")
    voice = PushedVoice(VOICE_RATE)
    voice.push(pcm.tobytes())
    voice.flush()
    out = drained(voice)
    np.testing.assert_array_equal(out[: len(pcm)], pcm)
    assert not out[len(pcm) :].any()


def test_a_stretch_begins_with_a_little_in_hand_and_waits_for_more_when_it_runs_out() -> None:
    voice, piece = PushedVoice(VOICE_RATE), np.full(PIECE, 1000, "<i2").tobytes()
    for _ in range(FIRST_PIECES):
        assert not voice.next()[0].any(), "too little to begin"
        voice.push(piece)
    for _ in range(FIRST_PIECES):
        assert voice.next()[0].all()
    assert not voice.next()[0].any(), "nothing there"
    voice.push(piece)
    assert not voice.next()[0].any(), "a new stretch begins with a little in hand, too"
    voice.flush()
    piece_out, ended = voice.next()
    assert piece_out.all()
    assert ended == 1


def test_two_stretches_end_one_after_the_other() -> None:
    voice = PushedVoice(VOICE_RATE)
    for length in (PIECE + 10, PIECE):
        voice.push(np.full(length, 7, "<i2").tobytes())
        voice.flush()
    assert [voice.next()[1] for _ in range(4)] == [0, 1, 1, 0]
    voice.flush()
    assert voice.next()[1] == 1, "an empty stretch ends as well"


def test_clear_forgets_everything() -> None:
    voice = PushedVoice(16_000)
    voice.push(np.full(16_000, 1000, "<i2").tobytes() + b"\x01")
    voice.flush()
    voice.push(b"\x01")
    voice.clear()
    assert voice.waiting_s == 0
    assert voice.next()[1] == 0
    voice.push(np.full(1600, 1000, "<i2").tobytes())
    voice.flush()
    assert abs(drained(voice)[:4000].astype(int) - 1000).max() < 300, "the half sample of before must be gone"


def test_what_waits_is_bounded() -> None:
    voice = PushedVoice(8_000)
    for _ in range(MOST_WAITING_S):
        voice.push(bytes(16_000))
    with pytest.raises(VivifyError, match="At most 60 s"):
        voice.push(bytes(16_000))
    with pytest.raises(VivifyError, match="one of 8000"):
        PushedVoice(11_025)


@pytest.mark.parametrize("rate", [8_000, 22_050, 48_000])
def test_however_it_is_cut_the_same_comes_out(rate: int) -> None:
    data = np.random.default_rng(1).integers(-9000, 9000, rate // 3).astype("<i2").tobytes()

    def heard(step: int) -> np.ndarray:
        voice = PushedVoice(rate)
        for at in range(0, len(data), step):
            voice.push(data[at : at + step])
        voice.flush()
        return drained(voice)

    whole = heard(len(data))
    for step in (1, 2, 641):
        np.testing.assert_array_equal(heard(step), whole)


def test_a_minute_in_a_million_pieces_costs_no_more_than_a_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits is bytes, as they came; what is resampled is one piece at a time."""
    asked: list[int] = []
    keep = PushedVoice._keep
    monkeypatch.setattr(PushedVoice, "_keep", lambda self, frames: (asked.append(1), keep(self, frames))[1])
    voice = PushedVoice(8_000)
    for _ in range(MOST_WAITING_S * 8_000):
        voice.push(b"\1\0")
    assert not asked, "pushing resamples nothing"
    assert len(voice._waiting) == MOST_WAITING_S * 16_000, "bytes, and nothing else"
    voice.next()
    assert len(asked) <= FIRST_PIECES + 1
    with pytest.raises(VivifyError, match="At most 60 s"):
        voice.push(bytes(16_000))


def test_flushes_that_wait_are_bounded() -> None:
    voice = PushedVoice(8_000)
    for _ in range(MOST_ENDS):
        voice.push(b"\1\0" * 160)
        voice.flush()
    with pytest.raises(VivifyError, match="256 flushed"):
        voice.flush()
    assert sum(voice.next()[1] for _ in range(2 * MOST_ENDS)) == MOST_ENDS
    voice.flush()
    assert voice.next()[1] == 1
