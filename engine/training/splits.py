"""What is trained on, what constants are chosen on, and what is only measured: fixed here, once.

Test recordings never reach training nor any choice. Speakers, not sentences, are divided, so that a figure says how
the lips do on somebody new.
"""

from __future__ import annotations

from typing import Literal

Part = Literal["train", "dev", "test"]

DEV_GRID = ("lbax4n", "lwbsza")  # tracked video for choosing constants
TEST_GRID = ("sbia1a", "swiz3n")
DEV_SPEAKERS, TEST_SPEAKERS = ("s4", "s5"), ("s3", "s26")  # GRID's people in these clips, whatever else they say
NEWSREADER = (7.2, 57.0)  # seconds between the jump cuts; test only
DEV_VOICES = ("en-us+m6", "en-gb+m5", "en-us+klatt3", "en-gb+linda")  # espeak-ng's; nothing is trained with these
LJ_TRANSCRIBED = 8  # LJ001-0001 to -0008 come with what was said: for testing, the other clips for development


def part_of(stem: str) -> Part:
    """Where a recording of LibriSpeech (``speaker-chapter-number``), LJ Speech (``LJ001-0001``) or GRID belongs.

    Of LibriSpeech, every fifth speaker is for testing (a number that five divides), and the one after for development.
    LJ Speech is one speaker, and none of her clips trains; neither does the sound of any GRID clip.
    """
    if stem.split("-")[0].isdigit():
        return _of_rest(int(stem.split("-")[0]) % 5)
    if stem.startswith("LJ"):
        return "test" if int(stem.split("-")[1]) <= LJ_TRANSCRIBED else "dev"
    return "dev" if stem in DEV_GRID else "test"


def film_part(name: str) -> Part:
    """Where a tracked film belongs: GRID clips by speaker, the newsreader to testing, other films to training.

    ``name`` may begin with the folders the film was found in (``grid-sbia1a``); a folder or the beginning of a name may
    be GRID's number of a speaker (``s26-bgbsza``, ``s26_bgbsza``).
    """
    parts = name.split("-")
    people = {part.split("_")[0] for part in parts}

    def among(names: tuple[str, ...], speakers: tuple[str, ...]) -> bool:
        return any(part.startswith(names) for part in parts) or bool(people & set(speakers))

    if among(("newsreader", *TEST_GRID), TEST_SPEAKERS):
        return "test"
    return "dev" if among(DEV_GRID, DEV_SPEAKERS) else "train"


def _of_rest(rest: int) -> Part:
    return "test" if rest == 0 else "dev" if rest == 1 else "train"
