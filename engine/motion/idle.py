"""Life between and beneath the words: head, eyes, lids, brows and breath. Procedural: nothing here is learned.

The same process runs in speech and in silence, only its liveliness changes, gradually; so there is no splice. What a
step shows depends on the seed, the number of steps before it, and the levels they were given, on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import exp, pi, radians, sin, tanh

import numpy as np

from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import rotation_matrix
from engine.types import FRAMES_PER_SECOND, FloatArray

DT = 1.0 / FRAMES_PER_SECOND
LIMITS = (6.0, 4.0, 3.0)  # degrees of yaw, pitch, roll
_SPREAD = (3.4, 1.9, 1.4)  # degrees: how far a head wanders while it speaks
_CALM = 0.5  # how much of that while it does not
_SPRING = 2.6  # rad/s: how fast the head follows its wish (critically damped)
_GAZE_DEGREES = 32.0  # eye rotation at an eyeLook coefficient of 1
_BLINK_GAP = (1.2, 7.5)  # seconds between blinks
_BLINK_LENGTH = (0.16, 0.29)  # seconds


@dataclass(frozen=True, slots=True)
class IdlePose:
    """One frame of idle life, relative to the portrait; the blendshapes of the mouth are left at zero."""

    blendshapes: FloatArray  # [52]
    rotation: FloatArray  # [3, 3]
    translation: FloatArray  # [3], in outer-eye-corner distances


def _ramp(x: float) -> float:
    """0 to 1 with soft ends."""
    x = min(1.0, max(0.0, x))
    return x * x * (3 - 2 * x)


class IdleMotion:
    """One person's idle life. ``step`` once per video frame."""

    def __init__(self, seed: int = 0) -> None:
        self._rng = np.random.default_rng(seed)
        self._frame = 0
        self._voice = 0.0  # smoothed loudness, 0..1
        self._lively = _CALM
        self._angles = [0.0, 0.0, 0.0]  # degrees
        self._speeds = [0.0, 0.0, 0.0]
        self._wish = [0.0, 0.0, 0.0]
        self._next_wish = self._frames(0.4, 1.5)
        self._gaze = [0.0, 0.0]  # to the person's left, up; eyeLook coefficients
        self._look = [0.0, 0.0]
        self._next_look = self._frames(0.8, 2.5)
        self._brow = 0.0
        self._breath = self._uniform(0.21, 0.28)  # Hz
        self._phase = self._uniform(0, 2 * pi)
        self._plan_blink(0)

    def step(self, level: float, speaking: bool) -> IdlePose:
        """The next frame. ``level`` is how loud it is, 0 to 1; ``speaking`` the voice detector's view."""
        rise = self._hear(level, speaking)
        self._move_head(rise)
        self._move_eyes()
        shapes = np.zeros(len(NAMES), np.float32)
        self._show_eyes(shapes)
        self._show_brows(shapes, rise)
        rotation = rotation_matrix(*(radians(angle) for angle in self._angles))
        breath = sin(2 * pi * self._breath * self._frame * DT + self._phase) - sin(self._phase) * exp(-self._frame * DT)
        yaw, pitch, _ = self._angles
        # Turning carries the head a little with it; breath lifts it by under a hundredth of the eyes' distance.
        translation = np.array([-0.004 * yaw, 0.006 * breath + 0.004 * pitch, 0.003 * breath], np.float32)
        self._frame += 1
        return IdlePose(shapes, rotation, translation)

    def _uniform(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def _frames(self, low: float, high: float) -> int:
        return self._frame + max(1, round(self._uniform(low, high) * FRAMES_PER_SECOND))

    def _hear(self, level: float, speaking: bool) -> float:
        """Follow loudness and liveliness; returns how much louder the voice has just become."""
        loud = min(1.0, max(0.0, level)) ** 2 if level == level else 0.0  # not a number counts as silence
        before = self._voice
        self._voice += (loud - before) * (0.35 if loud > before else 0.08)
        self._lively += ((1.0 if speaking else _CALM) - self._lively) * 0.03
        return max(0.0, self._voice - before)

    def _move_head(self, rise: float) -> None:
        """A damped spring pulls each angle towards a wish; every other wish is to face forward again."""
        if self._frame >= self._next_wish:
            home = self._rng.random() < 0.45
            self._wish = [0.0 if home else float(self._rng.normal(0, spread)) for spread in _SPREAD]
            self._next_wish = self._frames(1.0, 3.6)
        for axis, limit in enumerate(LIMITS):
            pull = _SPRING**2 * (self._lively * self._wish[axis] - self._angles[axis])
            push = 55.0 * rise if axis == 1 else 0.0  # stressed syllables nod
            self._speeds[axis] += DT * (pull + push - 2 * _SPRING * self._speeds[axis])
            self._angles[axis] = limit * tanh((self._angles[axis] + DT * self._speeds[axis]) / limit)

    def _move_eyes(self) -> None:
        """Small saccades around the viewer, who is looked at most of the time, also while the head turns."""
        if self._frame >= self._next_look:
            away = self._rng.random() < 0.45
            self._look = [away * self._uniform(-0.13, 0.13), away * self._uniform(-0.07, 0.07)]
            self._next_look = self._frames(0.7, 3.2)
        yaw, pitch, _ = self._angles
        for axis, turned in enumerate((yaw / _GAZE_DEGREES, pitch / _GAZE_DEGREES)):
            self._gaze[axis] += 0.75 * (self._look[axis] + turned - self._gaze[axis])

    def _plan_blink(self, after: int) -> None:
        """Lids meet on a whole frame; they open about twice as slowly as they close."""
        gap = float(np.clip(self._rng.lognormal(1.15, 0.45), *_BLINK_GAP))
        self._blink = after + round(gap * FRAMES_PER_SECOND)
        length = self._uniform(*_BLINK_LENGTH)
        self._closing, self._opening = 0.34 * length, 0.66 * length

    def _show_eyes(self, shapes: FloatArray) -> None:
        left, up = self._gaze
        shapes[[INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]]] = max(0.0, left)
        shapes[[INDEX["eyeLookInLeft"], INDEX["eyeLookOutRight"]]] = max(0.0, -left)
        shapes[[INDEX["eyeLookUpLeft"], INDEX["eyeLookUpRight"]]] = max(0.0, up)
        shapes[[INDEX["eyeLookDownLeft"], INDEX["eyeLookDownRight"]]] = max(0.0, -up)
        t = (self._frame - self._blink) * DT
        lids = _ramp(1 + t / self._closing) if t <= 0 else _ramp(1 - t / self._opening)
        shapes[[INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]] = lids
        if t > self._opening:
            self._plan_blink(self._blink)
            self._blink = max(self._blink, self._frame + 4)

    def _show_brows(self, shapes: FloatArray, rise: float) -> None:
        """Brows lift a little with the voice, and a little more where it is stressed."""
        self._brow += 0.18 * (min(1.0, 0.5 * self._voice + 2.0 * rise) - self._brow)
        shapes[INDEX["browInnerUp"]] = 0.16 * self._brow
        shapes[[INDEX["browOuterUpLeft"], INDEX["browOuterUpRight"]]] = 0.10 * self._brow
