"""Turns of speech from flickering decisions, and from real sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from engine.audio.sound_files import read_speech
from engine.audio.vad import Decision, TurnDetector, TurnSettings, VoiceActivity
from engine.contracts import SAMPLE_RATE, SpeechEvent
from engine.paths import assets

pytestmark = pytest.mark.cpu

PIECE = 320  # 20 ms


def turns(pattern: str, settings: TurnSettings | None = None) -> list[tuple[str, int]]:
    """Events of a pattern of voiced (#) and unvoiced (.) pieces, positions in pieces."""
    detector, out = TurnDetector(settings), []
    for k, mark in enumerate(pattern):
        event = detector.push(Decision(k * PIECE, PIECE, mark == "#"))
        if event:
            out.append((event.kind, event.position // PIECE))
    return out


def test_speech_begins_where_it_was_first_voiced_and_ends_where_it_was_last() -> None:
    assert turns("." * 10 + "#" * 20 + "." * 30) == [("start", 10), ("end", 30)]


def test_a_click_is_not_speech() -> None:
    assert turns("." * 10 + "##" + "." * 30 + "#" + "." * 20) == []


def test_evidence_melts_so_rare_flicker_never_adds_up() -> None:
    assert turns("#..." * 100) == []


def test_a_short_pause_does_not_end_speech() -> None:
    assert turns("#" * 20 + "." * 10 + "#" * 20 + "." * 30) == [("start", 0), ("end", 50)]


def test_flicker_within_speech_is_bridged() -> None:
    assert turns("#" * 10 + "##.#.##..###" * 6 + "." * 40) == [("start", 0), ("end", 82)]


def test_speech_still_going_on_has_no_end() -> None:
    assert turns("." * 5 + "#" * 200) == [("start", 5)]


def test_settings_are_obeyed() -> None:
    quick = TurnSettings(minimum_speech=PIECE, hangover=2 * PIECE)
    assert turns("..#....#....", quick) == [("start", 2), ("end", 3), ("start", 7), ("end", 8)]


def test_starts_and_ends_alternate_and_never_go_back_in_time() -> None:
    rng = np.random.default_rng(0)
    for share in (0.2, 0.5, 0.8):
        events = turns("".join("#" if p < share else "." for p in rng.random(5000)))
        assert all(kind == ("start", "end")[k % 2] for k, (kind, _) in enumerate(events))
        assert all(a[1] <= b[1] for a, b in pairwise(events))


def decisions(samples: np.ndarray, size: int, piece_ms: int = 20) -> list[Decision]:
    activity = VoiceActivity(piece_ms=piece_ms)
    return [d for at in range(0, len(samples), size) for d in activity.push(samples[at : at + size])]


def test_decisions_do_not_depend_on_how_sound_was_pushed() -> None:
    speech = read_speech(assets() / "speech.wav")
    whole = decisions(speech, len(speech))
    assert [d.position for d in whole] == list(range(0, len(speech) // PIECE * PIECE, PIECE))
    for size in (160, 320, 333, 640):
        assert decisions(speech, size) == whole
    changed = speech.copy()
    changed[80_000:] = 0
    assert decisions(changed, 640)[: 80_000 // PIECE] == whole[: 80_000 // PIECE]


@pytest.mark.parametrize("piece_ms", [10, 20, 30])
def test_the_bundled_speech_is_found_between_its_silences(piece_ms: int) -> None:
    speech = read_speech(assets() / "speech.wav")
    detector = TurnDetector()
    events = [e for d in decisions(speech, 640, piece_ms) if (e := detector.push(d))]
    assert events[0].kind == "start"
    assert events[-1].kind == "end"
    assert abs(events[0].position / SAMPLE_RATE - 1.0) < 0.25
    assert abs((len(speech) - events[-1].position) / SAMPLE_RATE - 1.0) < 0.25
    assert not detector.speaking


def test_silence_and_nonsense_are_not_speech() -> None:
    for sound in (
        np.zeros(16_000, np.float32),
        np.full(16_000, np.nan, np.float32),
        np.full(16_000, np.inf, np.float32),
    ):
        assert not any(d.voiced for d in decisions(sound, 640)[10:])


def test_other_pieces_are_refused() -> None:
    with pytest.raises(ValueError, match="10, 20, 30"):
        VoiceActivity(piece_ms=25)


def test_events_are_the_shared_type() -> None:
    detector = TurnDetector(TurnSettings(minimum_speech=PIECE))
    assert detector.push(Decision(0, PIECE, True)) == SpeechEvent("start", 0)
