"""When the eyes blink (`z_blink`): five frames each, ten frames apart at least."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray

BLINK = np.array([0.5, 0.9, 1.0, 0.9, 0.5], np.float32)
APART, LONGEST = 10, 70  # frames from one blink to the next
SHORTEST = 20  # films of so few frames have none


class Blinks:
    """How far the eyes are to be shut, frame by frame, in [0, 1]; the same seed, the same blinks."""

    def __init__(self, seed: int, longest: int = LONGEST) -> None:
        self._chance = np.random.default_rng([seed, 0xB11])
        self._longest = longest
        self._to_come: list[float] = []

    def next(self) -> float:
        if not self._to_come:
            wait = int(self._chance.integers(APART, self._longest))
            self._to_come = [*([0.0] * wait), *map(float, BLINK)]
        return self._to_come.pop(0)


def film_blinks(frames: int, seed: int) -> FloatArray:
    """Those of a whole film [T]: none in a short one, and none that its end would cut."""
    closed = np.zeros(frames, np.float32)
    if frames <= SHORTEST:
        return closed
    chance = np.random.default_rng([seed, 0xB11])
    at = 0
    while at < frames:
        start = at + int(chance.integers(APART, min(frames // 2, LONGEST)))
        if start + len(BLINK) > frames - 1:
            break
        closed[start : start + len(BLINK)] = BLINK
        at = start + len(BLINK)
    return closed
