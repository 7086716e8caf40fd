"""Sentences to speak: prose from Python's own documentation, and random words from it.

Nothing is downloaded: every Python carries the text of its language reference (`pydoc_data.topics`). The words in
random order break up the prose's habits, so that the encoder hears phones in all sorts of company.
"""

from __future__ import annotations

import re
from pydoc_data.topics import topics

import numpy as np

_CLEAN = re.compile(r"[^A-Za-z' ,]+")
_WORD = re.compile(r"[a-z]{2,12}")
_SHORT = """
    a b c d e f g h i j k l m n o p q r s t u v w x y z
    zero one two three four five six seven eight nine ten twelve twenty thirty hundred
    yes no please stop now again soon later okay thanks hello goodbye go wait open close next back
    red green blue white black left right up down on off in out at by with put set play call send show
    monday tuesday wednesday thursday friday saturday sunday today tomorrow morning evening
"""


def prose() -> list[str]:
    """Sentences of 5 to 25 plain words, in the order of the reference."""
    sentences = []
    for name in sorted(topics):
        for sentence in re.split(r"(?<=[.;:])\s+|\n\n", topics[name]):
            words = _CLEAN.sub(" ", sentence).split()
            if 5 <= len(words) <= 25 and all(len(word) <= 16 for word in words):
                sentences.append(" ".join(words))
    return sentences


def texts(count: int, seed: int = 0) -> list[str]:
    """``count`` texts, half prose and half random words, the same for the same seed."""
    rng = np.random.default_rng(seed)
    sentences = prose()
    words = sorted({word for sentence in sentences for word in _WORD.findall(sentence.lower())})
    out = []
    for i in range(count):
        if i % 2:
            out.append(sentences[int(rng.integers(len(sentences)))])
        else:
            out.append(" ".join(words[int(k)] for k in rng.integers(len(words), size=int(rng.integers(4, 14)))))
    return out


def short_words(count: int, seed: int = 0) -> list[str]:
    """``count`` texts of letters, numbers and the short words of commands, which prose hardly has."""
    rng = np.random.default_rng(seed)
    return [" ".join(str(word) for word in rng.choice(_SHORT.split(), int(rng.integers(4, 11)))) for _ in range(count)]
