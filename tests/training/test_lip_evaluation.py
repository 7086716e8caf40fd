"""The figures themselves: what they give the teacher, a shut mouth, a late mouth, a mouth that flutters."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.motion.facial.articulators import CLOSE, JAW, PUCKER
from engine.training.films.grid import grid_sentence
from engine.training.lips.evaluation_sets import BAD_LINES, not_speech_sounds, read_textgrid
from engine.training.lips.lip_evaluation import evaluate, loud_jaw
from engine.training.lips.lip_films import FilmedLips, agreement
from engine.training.lips.lip_score import correlation, count, gap, interval, rates
from engine.training.lips.teacher import articulators, lip_opening
from engine.training.speech.speech_recording import DOUBT

pytestmark = pytest.mark.cpu

PHONES = [
    *[("pau", 0.0, 0.4), ("b", 0.4, 0.5), ("aa", 0.5, 0.8), ("m", 0.8, 0.9), ("uw", 0.9, 1.2), ("s", 1.2, 1.3)],
    *[("aa", 1.3, 1.5), ("f", 1.5, 1.6), ("iy", 1.6, 1.8), ("pau", 1.8, 2.4)],
]
FRAMES = 60


def flutter() -> np.ndarray:
    """A mouth that opens and shuts in every other frame."""
    said = np.zeros((FRAMES, 9), np.float32)
    said[:, JAW] = 0.5
    said[::2, CLOSE] = 1
    return said


def test_the_teacher_scores_full_marks() -> None:
    figures = rates([count(articulators(PHONES, FRAMES), PHONES)])
    assert figures["closure"] == figures["corrected"] == figures["tucked"] == figures["round"] == 1
    assert figures["round_false"] == 0
    assert figures["r_teacher"] == pytest.approx(1, abs=1e-3)
    assert figures["labials"] == 2


def test_a_fluttering_mouth_closes_everywhere_and_earns_nothing() -> None:
    figures = rates([count(flutter(), PHONES)])
    assert figures["closure"] == figures["chance"] == 1
    assert figures["corrected"] <= 0
    assert figures["false_per_s"] > 5
    assert figures["vowels_closed"] > 0.4
    assert figures["round"] == figures["tucked"] == 0


def test_a_mouth_that_never_closes_never_closes() -> None:
    said = articulators(PHONES, FRAMES)
    said[:, CLOSE] = 0
    said[:, PUCKER] = 0
    said[:, JAW] += 0.3
    figures = rates([count(said, PHONES)])
    assert figures["closure"] == figures["false_per_s"] == 0


def test_doubtful_phones_are_not_counted() -> None:
    doubted = [(DOUBT + p if p in ("b", "f", "iy") else p, s, e) for p, s, e in PHONES]
    counted = count(flutter(), doubted)
    assert counted["labials"] == 1
    assert counted["labiodentals"] == 0
    assert counted["vowels"] < count(flutter(), PHONES)["vowels"]
    assert counted["speech_s"] < count(flutter(), PHONES)["speech_s"]


def test_the_interval_holds_the_rate_and_narrows_with_more_recordings() -> None:
    good, bad = count(articulators(PHONES, FRAMES), PHONES), count(np.ones((FRAMES, 9), np.float32) * 0.3, PHONES)
    few, many = interval([good, bad] * 3), interval([good, bad] * 30)
    assert few[0] <= many[0] <= rates([good, bad])["closure"] <= many[1] <= few[1]


def test_correlation_knows_lag() -> None:
    opening = lip_opening(PHONES, FRAMES)
    late = np.roll(opening, 2)
    assert correlation(late, opening, 2) == pytest.approx(1, abs=1e-4)
    assert correlation(late, opening) < 0.9
    assert correlation(np.zeros(9), opening[:9]) == 0


def test_films_tell_lag_speed_and_spread() -> None:
    said = articulators(PHONES, FRAMES)
    opening = gap(said)
    film = FilmedLips("a", opening, np.ones(FRAMES, np.float32), np.zeros(FRAMES * 640, np.float32))
    same, late = agreement([film], [said]), agreement([film], [np.roll(said, 1, 0)])
    assert (same["opening_r"], same["opening_lag_ms"]) == (1.0, 0)
    assert same["speed"] == same["spread"] == 1
    assert late["opening_lag_ms"] == 40
    assert late["opening_r"] > 0.99


def test_bad_lines_change_the_sound_but_not_its_length() -> None:
    sound = (0.1 * np.random.default_rng(0).normal(0, 1, 16_000)).astype(np.float32)
    for spoil in BAD_LINES.values():
        out = spoil(sound)
        assert out.shape == sound.shape
        assert np.isfinite(out).all()
        assert np.abs(out - sound).std() > 0.01


def test_sounds_that_are_not_speech_are_at_hand() -> None:
    sounds = not_speech_sounds()
    assert not sounds["silence"].any()
    assert {len(sound) for name, sound in sounds.items() if name != "pieces"} == {160_000}
    pieces = np.abs(sounds["pieces"]).reshape(6, -1)  # a second of silence and four of music each
    assert not pieces[:, :16_000].any()
    assert (np.diff(pieces.max(1)) > 0).all(), "each louder than the one before"
    for name in ("music", "pieces"):
        assert gap(loud_jaw(sounds[name])).std() > 0.05, "the baseline moves with music"


def test_grid_clips_carry_their_words() -> None:
    assert grid_sentence("bbaf2n") == "bin blue at f two now"
    assert grid_sentence("id2_vcd_swwp2s") == "set white with p two soon"
    assert grid_sentence("103-1240-0000") is None


SHORT = '"ooTextFile"\n"TextGrid"\n0\n1\n<exists>\n1\n"IntervalTier"\n"phones"\n0\n1\n2\n0\n0.5\n"M"\n0.5\n1\n"AA1"\n'
LONG = """File type = "ooTextFile"
Object class = "TextGrid"
xmin = 0
xmax = 1
tiers? <exists>
size = 1
item []:
    item [1]:
        class = "IntervalTier"
        name = "phones"
        xmin = 0
        xmax = 1
        intervals: size = 2
        intervals [1]:
            xmin = 0
            xmax = 0.5
            text = "M"
        intervals [2]:
            xmin = 0.5
            xmax = 1
            text = "AA1"
"""


@pytest.mark.parametrize("text", [SHORT, LONG])
def test_textgrids_of_both_forms_are_read(tmp_path: Path, text: str) -> None:
    path = tmp_path / "a.TextGrid"
    path.write_text(text)
    assert read_textgrid(path) == [("M", 0.0, 0.5), ("AA1", 0.5, 1.0)]


@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_the_table_puts_the_network_between_loudness_and_the_teacher() -> None:
    told: list[str] = []
    table = evaluate(look_aheads=(), spoken=1, tell=lambda name, figures: told.append(name))
    assert told == list(table)
    assert told[:3] == ["teacher", "loudness", "80 ms, no past"]
    assert all(name.startswith("ExpNet, ") for name in told[3:])
    teacher, loudness, network = (table[name] for name in told[:3])
    assert set(network) == {"bundled", "synthetic", "still"}
    r = [float(str(figures["bundled"]["r_teacher"])) for figures in (loudness, network, teacher)]
    assert r == sorted(r)
    assert float(str(network["still"]["music"])) < 0.05 < float(str(loudness["still"]["music"]))
