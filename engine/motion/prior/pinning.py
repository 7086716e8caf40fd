"""How a key is met: exactly at its frames, and on a way there and back no faster than filmed people go.

What is shown leans towards a key, more and more until it is there, and less and less afterwards, along curves of least
jerk; the prior sees what was shown and goes along.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.motion.prior.nonlip import NONLIP, PLACE

MOST_PINS = 4096  # values of a row that may wait at a time
_LONGEST = 32  # frames of a way there
_PEAK = 1.875  # of a curve of least jerk: its largest speed, in its mean one
_ROOM = 0.85  # of the fastest filmed step is for the way: what moves by itself goes on meanwhile
_FASTEST = {
    "yaw": 0.0123, "pitch": 0.0225, "roll": 0.0078, "x": 0.0102, "y": 0.0242, "z": 0.0639, "gaze_left": 0.177,
    "gaze_up": 0.325, "eyeBlinkLeft": 0.5, "eyeBlinkRight": 0.5, "eyeSquintLeft": 0.091, "eyeSquintRight": 0.091,
    "eyeWideLeft": 0.103, "eyeWideRight": 0.103, "browDownLeft": 0.069, "browDownRight": 0.069, "browInnerUp": 0.086,
    "browOuterUpLeft": 0.056, "browOuterUpRight": 0.056, "cheekPuff": 0.06, "cheekSquintLeft": 0.045,
    "cheekSquintRight": 0.045, "noseSneerLeft": 0.05, "noseSneerRight": 0.05,
}  # fmt: skip
FASTEST = np.array([_FASTEST[name] for name in NONLIP], np.float32)
"""The largest steps between two frames of the films for training, without the liveliest man's [24]."""


@dataclass(frozen=True, slots=True)
class Pin:
    """``value`` at ``place`` from frame ``first`` to frame ``last``; from ``lead`` frames before on its way there."""

    place: int
    value: float
    first: int
    last: int
    lead: int
    back: int

    def weight(self, frame: int) -> float:
        """How much of what is shown at ``frame`` it is."""
        if self.first <= frame <= self.last:
            return 1.0
        x = 1 - (self.first - frame) / self.lead if frame < self.first else 1 - (frame - self.last) / self.back
        x = min(1.0, max(0.0, x))
        return x * x * x * (10 - 15 * x + 6 * x * x)


class Pins:
    """One row's keys. ``rest`` and ``spread`` [24] are what values usually are: a way there is as long as it may be."""

    def __init__(self, rest: FloatArray, spread: FloatArray) -> None:
        self._rest, self._spread = rest, spread
        self._pins: list[Pin] = []

    def __bool__(self) -> bool:
        return bool(self._pins)

    def add(self, now: int, first: int, frames: int, values: dict[int, float]) -> bool:
        """Have ``frames`` frames from ``first`` on show ``values``; ``now`` is the next frame. False: no room."""
        if len(self._pins) + len(values) > MOST_PINS:
            return False
        for place, value in values.items():
            far = abs(value - self._rest[place]) + self._spread[place]
            way = int(np.clip(np.ceil(_PEAK * far / (_ROOM * FASTEST[place])), 2 if place in _LIDS else 6, _LONGEST))
            before = [p.last for p in self._pins if p.place == place and p.last < first]
            lead = max(1, min(way, first - max([now, *before])))
            self._pins.append(Pin(place, value, first, first + frames - 1, lead, way))
        self._pins.sort(key=lambda pin: pin.first)
        return True

    def lean(self, values: FloatArray, frame: int) -> FloatArray:
        """``values`` [24] of ``frame`` as they are shown."""
        out = values.copy()
        for pin in self._pins:
            if pin.first - pin.lead < frame < pin.last + pin.back:
                weight = pin.weight(frame)
                out[pin.place] += weight * (pin.value - out[pin.place])
        return out

    def forget(self, frame: int) -> None:
        """Drop what is over before ``frame``."""
        self._pins = [pin for pin in self._pins if pin.last + pin.back >= frame]


_LIDS = (PLACE["eyeBlinkLeft"], PLACE["eyeBlinkRight"])
