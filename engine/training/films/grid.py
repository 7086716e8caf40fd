"""The GRID corpus writes what was said into the name of each clip."""

from __future__ import annotations

import re

_COMMANDS = {"b": "bin", "l": "lay", "p": "place", "s": "set"}
_COLOURS = {"b": "blue", "g": "green", "r": "red", "w": "white"}
_PREPOSITIONS = {"a": "at", "b": "by", "i": "in", "w": "with"}
_DIGITS = {"z": "zero", "1": "one", "2": "two", "3": "three", "4": "four", "5": "five", "6": "six", "7": "seven"}
_DIGITS |= {"8": "eight", "9": "nine"}
_ADVERBS = {"a": "again", "n": "now", "p": "please", "s": "soon"}
_NAME = re.compile(r"([blps])([bgrw])([abiw])([a-z])([z1-9])([anps])")


def grid_sentence(stem: str) -> str | None:
    """What is said in clip ``stem`` ("bbaf2n": bin blue at f two now); None for names of another kind."""
    found = _NAME.fullmatch(stem.split("_")[-1])
    if not found:
        return None
    command, colour, preposition, letter, digit, adverb = found.groups()
    words = (_COMMANDS[command], _COLOURS[colour], _PREPOSITIONS[preposition], letter, _DIGITS[digit], _ADVERBS[adverb])
    return " ".join(words)
