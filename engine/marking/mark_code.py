"""The mark's 64 bits as signs of 9,216 chips, and back: a check, a convolutional code, a fixed scattering.

    28 bits  the installation         20 bits  the session         16 bits  a check (CRC-16/CCITT)

Constraint length 9 and rate 1/4, generators 463, 535, 733, 745 (octal; Proakis, Digital Communications, table 8.2):
64 bits and 8 zeros become 288 signs. Each stands on 24 chips, all over the picture; a quarter of the chips
is the pilot, the same for everybody, by which a reader finds scale and place. The scattering is no secret.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np

from engine.contracts import FloatArray

SIDE = 96  # chips across a picture
INSTALLATION_BITS, SESSION_BITS, CHECK_BITS = 28, 20, 16
BITS = INSTALLATION_BITS + SESSION_BITS + CHECK_BITS
GENERATORS = (0o463, 0o535, 0o733, 0o745)
MEMORY = 8  # bits the encoder remembers
STATES = 1 << MEMORY
CODED = (BITS + MEMORY) * len(GENERATORS)
SEED = 0x56495649  # of the scattering, which every reader must know
PILOT_SHARE = 4  # one chip in so many
LIST = 256  # words whose checks are looked at


@dataclass(frozen=True, slots=True)
class MarkIds:
    """Who made a picture: 28 bits of an installation, 20 of a session."""

    installation: int
    session: int

    def __str__(self) -> str:
        return f"{self.installation:07x}-{self.session:05x}"


def chips(ids: MarkIds) -> FloatArray:
    """The signs [96, 96] of ``ids``, -1 or 1."""
    pilot, place, scramble = layout()
    coded = _encoded(_bits(ids))
    signs = np.where(pilot > 0, scramble, scramble * (1 - 2 * coded[place]))
    return np.asarray(signs.reshape(SIDE, SIDE), np.float32)


@cache
def layout() -> tuple[FloatArray, np.ndarray, FloatArray]:
    """Of each chip [9216]: 1 where it is the pilot's; which coded bit it carries; the sign it has for a 0."""
    rng = np.random.Generator(np.random.PCG64(SEED))
    pilot = np.zeros(SIDE * SIDE, np.float32)
    pilot[rng.permutation(SIDE * SIDE)[::PILOT_SHARE]] = 1
    data = np.flatnonzero(pilot == 0)
    place = np.zeros(SIDE * SIDE, np.int64)
    place[rng.permutation(data)] = np.arange(len(data)) % CODED  # every coded bit equally often
    scramble = np.where(rng.integers(0, 2, SIDE * SIDE), 1, -1).astype(np.float32)
    for array in (pilot, place, scramble):
        array.setflags(write=False)
    return pilot, place, scramble


def decoded(values: FloatArray, least: float = 0.0) -> MarkIds | None:
    """The ids whose signs agree best with ``values`` [96, 96], or None if no word with a right check is among the best.

    ``least``: how many standard deviations a word must stand above chance, the pilot's chips left out; where none
    can, few are looked at.
    """
    pilot, place, scramble = layout()
    data = pilot == 0
    signed = (values.reshape(-1) * scramble)[data]
    soft = np.bincount(place[data], signed, CODED).reshape(-1, len(GENERATORS))
    needed = least * float(np.linalg.norm(signed))
    for count in (1, LIST):  # most are read at the first go
        words, scores = _likeliest(soft, count)
        if scores[0] < needed:
            return None
        for bits in words[scores >= needed]:
            number = int("".join(map(str, bits[:BITS])), 2)
            ids = MarkIds(number >> (SESSION_BITS + CHECK_BITS), number >> CHECK_BITS & (1 << SESSION_BITS) - 1)
            if _check(number >> CHECK_BITS) == number & (1 << CHECK_BITS) - 1:
                return ids
    return None


def agreement(values: FloatArray, ids: MarkIds) -> float:
    """How many standard deviations of chance ``values`` [96, 96] agree with ``ids``, the pilot's chips left out."""
    pilot, _, _ = layout()
    data = pilot.reshape(SIDE, SIDE) == 0
    return float((values * chips(ids))[data].sum() / max(float(np.linalg.norm(values[data])), 1e-9))


def _bits(ids: MarkIds) -> list[int]:
    number = ids.installation << SESSION_BITS | ids.session
    return [int(b) for b in f"{number << CHECK_BITS | _check(number):0{BITS}b}"]


def _check(number: int) -> int:
    """CRC-16/CCITT of 48 bits, from all ones: nothing at all has no right check."""
    register = 0xFFFF
    for byte in number.to_bytes(6, "big"):
        register ^= byte << 8
        for _ in range(8):
            register = (register << 1 ^ (0x1021 if register & 0x8000 else 0)) & 0xFFFF
    return register


@cache
def _outputs() -> np.ndarray:
    """What the encoder gives [2 * STATES, 4] for its register: the newest bit in front of the eight before."""
    register = np.arange(2 * STATES)
    return np.array([[(int(r) & g).bit_count() & 1 for g in GENERATORS] for r in register], np.int64)


def _encoded(bits: list[int]) -> np.ndarray:
    out, state = [], 0
    for bit in [*bits, *[0] * MEMORY]:
        register = bit << MEMORY | state
        out.append(_outputs()[register])
        state = register >> 1
    return np.concatenate(out)


def _likeliest(soft: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """The ``count`` words [count, 72], tails included, whose code agrees best with ``soft`` [72, 4], and how well.

    ``soft`` is positive where a 0 was sent. Viterbi's algorithm with the best paths into every state instead of one
    (Seshadri and Sundberg, 1994): the check then chooses among words, and marks 15 % weaker are read.
    """
    gain = (1 - 2 * _outputs()) @ soft.T  # [2 * STATES, steps]
    state = np.arange(STATES)
    bit = state >> (MEMORY - 1)  # that led here
    first = (state << 1) & (STATES - 1)  # the two it can have come from
    score = np.full((STATES, count), -np.inf)
    score[0, 0] = 0
    came = np.empty((len(soft), STATES, count), np.int16)  # which of the 2 * count paths into a state
    for step in range(len(soft)):
        zero = score[first] + gain[bit << MEMORY | first, step, None]
        one = score[first | 1] + gain[bit << MEMORY | first | 1, step, None]
        both = np.concatenate([zero, one], axis=1)
        best = np.argpartition(-both, count - 1, axis=1)[:, :count]
        came[step], score = best, np.take_along_axis(both, best, axis=1)
    order = np.argsort(-score[0])
    order = order[np.isfinite(score[0][order])]
    at, path = np.zeros(len(order), np.int64), order
    words = np.empty((len(order), len(soft)), np.int64)
    for step in range(len(soft) - 1, -1, -1):
        words[:, step] = at >> (MEMORY - 1)
        chosen = came[step, at, path]
        at, path = first[at] | (chosen >= count), chosen % count
    return words, score[0][order]
