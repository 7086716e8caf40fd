"""Labels for human speech: who trains and who tests, transcripts, and doubts where sound and words disagree."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

pytest.importorskip("scipy", reason="training needs the train extra")

from engine.audio.sound_files import read_speech
from engine.motion.facial.phones import SILENCE, normalise
from engine.paths import assets
from engine.training.speech import forced_alignment as human
from engine.training.speech.espeak import voice
from engine.training.speech.speech_recording import DOUBT
from engine.training.splits import DEV_GRID, DEV_VOICES, TEST_GRID, film_part, part_of

pytestmark = pytest.mark.cpu


def test_speakers_never_change_sides() -> None:
    assert {part_of(f"{speaker}-{chapter}-0000") for speaker, chapter in ((1995, 1), (1995, 99), (40, 7))} == {"test"}
    assert part_of("1081-125237-0000") == "dev"
    assert part_of("103-1240-0000") == "train"
    assert part_of("LJ001-0008") == "test"
    assert part_of("LJ001-0009") == "dev"
    assert film_part(TEST_GRID[0]) == film_part("newsreader_eval_only") == "test"
    assert film_part(f"grid-{TEST_GRID[1]}_0") == "test", "whatever folder it was found in"
    assert (film_part(DEV_GRID[0]), film_part("latentsync_demo3")) == ("dev", "train")
    assert not set(DEV_GRID) & set(TEST_GRID)
    assert (film_part("s26_bgbsza_0"), film_part("s3-x_0"), film_part("s4-y_0")) == ("test", "test", "dev")
    assert film_part("s31-bgiq6p_0") == film_part("s32-sbwe5n_0") == "train", "s31 is not s3"


def test_voices_to_develop_with_are_not_trained_with() -> None:
    assert not set(DEV_VOICES) & {voice(number) for number in range(1000)}


def test_transcripts_of_both_forms_are_read(tmp_path: Path) -> None:
    path = tmp_path / "said.txt"
    path.write_text("LJ001-0002|in 1455.|in fourteen fifty-five.\n\n103-1240-0000 CHAPTER ONE\n")
    assert human.read_transcripts(path) == {"LJ001-0002": "in fourteen fifty-five.", "103-1240-0000": "CHAPTER ONE"}


def test_the_transcripts_at_hand_are_words_of_every_part() -> None:
    said = human.read_transcripts(assets() / "transcripts.txt")
    assert {part_of(name) for name in said} == {"train", "dev", "test"}
    assert all(text and set(text) <= set("abcdefghijklmnopqrstuvwxyz' ") for text in said.values())


def test_stretches_that_fit_badly_are_doubted() -> None:
    good, bad = [("AA", 0, 40, -400)], [("B", 40, 40, -4000)]
    after = [("M", 80, 60, -600)]
    marked = [name for name, _, _ in human._with_doubts(good + bad + after)]
    assert marked == ["AA", DOUBT + "B", "M"]


@pytest.mark.skipif(shutil.which("flite") is None, reason="the synthesiser flite is not installed")
def test_known_words_are_found_in_the_sound() -> None:
    pytest.importorskip("pocketsphinx", reason="the aligner pocketsphinx is not installed")
    samples = read_speech(assets() / "speech.wav")[: 16_000 * 6]
    phones = human.align(samples, "Hello, I am Vivify. Give me a photo, and my voice moves its lips.")
    names = [normalise(name.removeprefix(DOUBT)) for name, _, _ in phones]
    said = [name for name in names if name != SILENCE]
    assert said[2:4] == ["L", "OW"]
    assert said[-4:] == ["L", "IH", "P", "S"]
    assert all(start < end for _, start, end in phones)
