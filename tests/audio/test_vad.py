"""Turns of speech from flickering decisions, and from real sound."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import webrtcvad

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


HERTZ = np.fft.rfftfreq(12 * SAMPLE_RATE, 1 / SAMPLE_RATE)
TIME = np.arange(12 * SAMPLE_RATE) / SAMPLE_RATE


def coloured(exponent: float, low: float = 0, high: float = 8000) -> np.ndarray:
    """12 s of noise whose power falls with that exponent of frequency."""
    shape = np.maximum(HERTZ, 40) ** (-exponent / 2) * ((low <= HERTZ) & (high >= HERTZ))
    return np.fft.irfft(shape * np.fft.rfft(np.random.default_rng(0).standard_normal(len(TIME))))


STEADY = {
    "white": coloured(0),
    "pink": coloured(1),
    "brown": coloured(2),
    "a narrow band": coloured(0, 300, 700),
    "a tone": np.sin(2 * np.pi * 440 * TIME),
    "a low tone": np.sin(2 * np.pi * 150 * TIME),
    "a high tone in noise": np.sin(2 * np.pi * 3000 * TIME) + 0.1 * coloured(0),
    "mains hum": sum(np.sin(2 * np.pi * 50 * k * TIME) / k for k in range(1, 12)),
    "a motor": TIME * 97 % 1 - 0.5,
}


def at_level(sound: np.ndarray, decibels: float) -> np.ndarray:
    return np.asarray(sound / np.sqrt(np.mean(sound**2)) * 10 ** (decibels / 20), np.float32)


@pytest.mark.parametrize("sound", STEADY.values(), ids=STEADY.keys())
@pytest.mark.parametrize("decibels", [-30, -20])
def test_steady_sound_is_speech_for_three_seconds_at_most(sound: np.ndarray, decibels: float) -> None:
    silence = np.zeros(SAMPLE_RATE, np.float32)
    for piece_ms in (10, 20, 30) if decibels == -20 else (20,):
        detector = TurnDetector()
        for one in decisions(np.concatenate([silence, at_level(sound, decibels)]), 640, piece_ms):
            detector.push(one)
            if one.position > 4 * SAMPLE_RATE:
                assert not one.voiced
                assert not detector.speaking


def test_fans_hums_and_tones_of_any_pitch_are_speech_for_three_seconds_at_most() -> None:
    """Between the levels, too, and fans that pulse as their blades go by."""
    sounds = {f"{hertz} Hz": np.sin(2 * np.pi * hertz * TIME) for hertz in (200, 300, 500, 800, 1250, 2000, 3000)}
    sounds["hum of 100 Hz"] = sum(np.sin(2 * np.pi * 100 * k * TIME) / k for k in range(1, 20))
    sounds["two tones"] = np.sin(2 * np.pi * 350 * TIME) + np.sin(2 * np.pi * 440 * TIME)
    sounds["a fan"] = coloured(1) * (1 + 0.3 * np.sin(2 * np.pi * 7 * TIME))
    sounds["a vacuum cleaner"] = coloured(0, 200, 6000) + sum(np.sin(2 * np.pi * 300 * k * TIME) for k in (1, 2))
    silence, detectors = np.zeros(SAMPLE_RATE, np.float32), {}
    for name, sound in sounds.items():
        detectors[name] = TurnDetector()
        for one in decisions(np.concatenate([silence, at_level(sound[: 6 * SAMPLE_RATE], -25)]), 640):
            detectors[name].push(one)
            assert one.position <= 4 * SAMPLE_RATE or not one.voiced, name
    assert not [name for name, detector in detectors.items() if detector.speaking]


@pytest.mark.parametrize("sound", STEADY.values(), ids=STEADY.keys())
@pytest.mark.parametrize("decibels", [-30, -20])
def test_speech_in_steady_sound_is_found(sound: np.ndarray, decibels: float) -> None:
    """10 dB above it."""
    speech = read_speech(assets() / "speech.wav")
    spoken = [one.voiced for one in decisions(speech, 640)]
    length = len(spoken) * PIECE
    loud = at_level(speech[:length], 0) * np.sqrt(np.mean(np.repeat(spoken, PIECE)))  # 0 dB while somebody speaks
    before = np.zeros(4 * SAMPLE_RATE, np.float32)
    mixed = np.concatenate([before, loud * 10 ** ((decibels + 10) / 20)])
    mixed += np.resize(at_level(sound, decibels), len(mixed))
    found = decisions(mixed, 640)[len(before) // PIECE :]
    hits = [one.voiced for one, wanted in zip(found, spoken, strict=True) if wanted]
    assert np.mean(hits) >= 0.95
    detector = TurnDetector()
    told = next(one.position + one.length for one in found if detector.push(one) is not None)
    assert told - len(before) - spoken.index(True) * PIECE <= 0.2 * SAMPLE_RATE


def test_clean_speech_is_decided_as_webrtcvad_alone_decides() -> None:
    speech = read_speech(assets() / "speech.wav")
    alone = webrtcvad.Vad(2)
    pcm = (np.clip(speech, -1, 1) * 32767).astype("<i2")
    for one in decisions(speech, 640):
        piece = pcm[one.position : one.position + one.length].tobytes()
        assert one.voiced == alone.is_speech(piece, SAMPLE_RATE)


def test_other_pieces_are_refused() -> None:
    with pytest.raises(ValueError, match="10, 20, 30"):
        VoiceActivity(piece_ms=25)


def test_events_are_the_shared_type() -> None:
    detector = TurnDetector(TurnSettings(minimum_speech=PIECE))
    assert detector.push(Decision(0, PIECE, True)) == SpeechEvent("start", 0)
