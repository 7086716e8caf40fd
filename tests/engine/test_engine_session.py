"""A session alone: order, limits, and epochs that fence what is stale."""

from __future__ import annotations

import json

import numpy as np
import pytest

from engine.audio.sound_files import read_speech
from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, AudioChunk, Frame, Ledger, Motion
from engine.errors import VivifyError
from engine.paths import assets
from engine.session import MAX_PENDING_SECONDS, MAX_WAITING_FRAMES, MAX_WAITING_MOTIONS, Session, loudness

pytestmark = pytest.mark.cpu


def sound(n: int, position: int = 0) -> AudioChunk:
    return AudioChunk(position, np.linspace(-0.5, 0.5, n, dtype=np.float32))


def frame(position: int, epoch: int = 0) -> Frame:
    return Frame(position, epoch, np.zeros((2, 2, 3), np.uint8), Ledger(0, 0, 0, 0, 0))


def test_audio_comes_out_in_whole_frames_with_its_positions_whatever_the_pieces() -> None:
    session, position, got = Session(0), 0, []
    for n in (1, 319, 320, 7, 1273, 640, 640):
        session.push_audio(AudioChunk(position, np.arange(position, position + n, dtype=np.float32) / 1e5))
        position += n
    while (taken := session.next_audio()) is not None:
        chunk, _, _ = taken
        assert chunk.position == len(got) * SAMPLES_PER_FRAME
        got.append(chunk.samples)
    assert np.array_equal(np.concatenate(got), np.arange(5 * 640, dtype=np.float32) / 1e5)


def test_a_chunk_that_does_not_continue_the_clock_is_refused() -> None:
    session = Session(0)
    session.push_audio(sound(320))
    with pytest.raises(VivifyError, match="go on at sample 320, but sample 0 came"):
        session.push_audio(sound(320))


def test_what_waits_is_bounded() -> None:
    session = Session(0)
    session.push_audio(AudioChunk(0, np.zeros(MAX_PENDING_SECONDS * SAMPLE_RATE, np.float32)))
    with pytest.raises(VivifyError, match="At most 30 s"):
        session.push_audio(sound(1, MAX_PENDING_SECONDS * SAMPLE_RATE))


def test_live_frames_are_bounded_and_the_newest_win() -> None:
    session = Session(0)
    for k in range(MAX_WAITING_FRAMES + 3):
        session.deliver(frame(640 * k))
    assert session.dropped == 3
    assert [f.position for f in session.frames()] == [640 * k for k in range(3, MAX_WAITING_FRAMES + 3)]
    assert session.frames() == []


def test_clear_forgets_what_waits_and_fences_the_old_epoch() -> None:
    session = Session(0)
    session.push_audio(sound(640 * 3 + 100))
    session.deliver(frame(0))
    assert session.clear() == 1
    assert session.frames() == []
    assert session.take_skipped() == 3
    session.deliver(frame(640, epoch=0))
    assert session.frames() == []
    chunk, level, _ = session.next_audio() or pytest.fail("a frame must come at once, for the mouth to close")
    assert chunk.position == 640 * 3
    assert not chunk.samples.any(), "sound from before the barge-in must not be heard"
    assert level == 0
    assert session.next_audio() is None
    session.push_audio(AudioChunk(640 * 3 + 100, np.ones(540 + 640, np.float32)))
    chunk, _, _ = session.next_audio() or pytest.fail("a whole frame was pushed")
    assert chunk.position == 640 * 4
    assert chunk.samples.all()


def test_loudness_is_zero_in_silence_and_one_when_loud() -> None:
    assert loudness(np.zeros(640, np.float32)) == 0.0
    assert loudness(np.full(640, 0.5, np.float32)) == 1.0
    assert 0.2 < loudness(np.full(640, 0.03, np.float32)) < 0.8


def test_what_was_said_comes_out_in_chunks_of_speech_at_its_place() -> None:
    session = Session(0)
    voice = read_speech(assets() / "speech.wav")
    session.push_audio(AudioChunk(0, voice))
    while session.next_audio() is not None:
        pass
    kinds = [event.kind for event in session.events]
    assert kinds == ["start", "end"] * (len(kinds) // 2)
    assert len(session.speech) == len(kinds) // 2 >= 1
    for chunk in session.speech:
        assert np.array_equal(chunk.samples, voice[chunk.position : chunk.end])
    phones = json.loads((assets() / "speech.json").read_text())["phones"]
    spoken = [(start, end) for name, start, end in phones if name != "pau"]
    assert session.speech[0].position / SAMPLE_RATE == pytest.approx(spoken[0][0], abs=0.15)
    assert session.speech[-1].end / SAMPLE_RATE == pytest.approx(spoken[-1][1], abs=0.35)


def test_after_a_barge_in_speech_is_found_at_its_new_place() -> None:
    session = Session(0)
    voice = read_speech(assets() / "speech.wav")
    session.push_audio(AudioChunk(0, voice[: 3 * SAMPLE_RATE]))
    session.next_audio()
    session.clear()
    session.push_audio(AudioChunk(3 * SAMPLE_RATE, voice[3 * SAMPLE_RATE :]))
    while session.next_audio() is not None:
        pass
    chunk = session.speech[-1]
    assert chunk.position >= 3 * SAMPLE_RATE
    assert np.array_equal(chunk.samples, voice[chunk.position : chunk.end])


def test_motions_are_of_every_frame_and_bounded() -> None:
    session = Session(0, moves_only=True)
    still = np.eye(3, dtype=np.float32), np.zeros(3, np.float32)
    for k in range(MAX_WAITING_MOTIONS + 2):
        session.moved(Motion(640 * k, np.zeros(52, np.float32), *still))
    assert [m.position // 640 for m in session.motions()] == list(range(2, MAX_WAITING_MOTIONS + 2))
    session.moved(Motion(0, np.zeros(52, np.float32), *still))
    session.clear()
    assert session.motions() == [], "a barge-in takes them back"
