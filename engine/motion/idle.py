"""Life between and beneath the words: eyes, lids and breath. Procedural: nothing here is learned.

The same process runs in speech and in silence, only its liveliness changes, gradually; so there is no splice. The head
itself moves by `engine.motion.head.head_pose`, the brows by `engine.motion.facial.upper_face`; the eyes answer the
head's turns, so that the viewer stays looked at. What a step shows depends on the seed, the number of steps before it,
and the levels and poses they were given, on nothing else.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees, exp, pi, sin

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, FloatArray
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.gaze import GAZE_DEGREES
from engine.motion.rotation import rotation_matrix

DT = 1.0 / FRAMES_PER_SECOND
_BLINK_GAP = (1.2, 7.5)  # seconds between blinks
_BLINK_LENGTH = (0.16, 0.29)  # seconds
_AT_PHRASE_END = 0.55  # of the phrases end with a blink
_WITH_GAZE = 0.25  # of the glances aside begin with one
_LOOK = (0.16, 0.08)  # how far a glance goes aside and up or down, eyeLook coefficients
_AWAY = {True: 0.5, False: 0.25}  # of the glances leave the viewer, in speaking and in listening
_VOICED = 0.16  # loudness from which a phrase runs
_HUSHED = 0.2  # of the loudest it was: below that for a moment, a phrase is over
_PHRASE = 0.6  # seconds a phrase lasts at least
_NO_HEAD = np.zeros(6, np.float32)


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

    def __init__(self, seed: int = 0, blink_gap: float = 1.0) -> None:
        """``blink_gap``: this person's pauses between blinks, beside everybody's."""
        self._blink_gap = blink_gap
        self._rng = np.random.default_rng(seed)
        self._frame = 0
        self._near = self._loudest = 0.0  # loudness of the last quarter second, and the most of this phrase
        self._phrase = 0  # frames the present phrase has lasted
        self._gaze = [0.0, 0.0]  # to the person's left, up; eyeLook coefficients
        self._look = [0.0, 0.0]
        self._next_look = self._frames(0.8, 2.5)
        self._breath = self._uniform(0.21, 0.28)  # Hz
        self._phase = self._uniform(0, 2 * pi)
        self._plan_blink(0)

    def step(self, level: float, speaking: bool, head: FloatArray = _NO_HEAD) -> IdlePose:
        """The next frame. ``level`` is how loud it is, 0 to 1; ``speaking`` the voice detector's view.

        ``head`` [6] is the head's pose: yaw, pitch, roll in radians, translation in outer-eye-corner distances.
        """
        yaw, pitch, roll = (float(angle) for angle in head[:3])
        if self._hear(level) and self._rng.random() < _AT_PHRASE_END:
            self._blink_soon(0.0, 0.25)
        self._move_eyes(degrees(yaw), degrees(pitch), speaking)
        shapes = np.zeros(len(NAMES), np.float32)
        self._show_eyes(shapes)
        breath = sin(2 * pi * self._breath * self._frame * DT + self._phase) - sin(self._phase) * exp(-self._frame * DT)
        # Breath lifts the head by under a hundredth of the eyes' distance.
        translation = head[3:] + np.array([0.0, 0.006 * breath, 0.003 * breath])
        self._frame += 1
        return IdlePose(shapes, rotation_matrix(yaw, pitch, roll), translation.astype(np.float32))

    def _uniform(self, low: float, high: float) -> float:
        return float(self._rng.uniform(low, high))

    def _frames(self, low: float, high: float) -> int:
        return self._frame + max(1, round(self._uniform(low, high) * FRAMES_PER_SECOND))

    def _hear(self, level: float) -> bool:
        """Follow the loudness; true where a phrase has just ended."""
        loud = min(1.0, max(0.0, level)) ** 2 if level == level else 0.0  # not a number counts as silence
        self._near += (loud - self._near) * (0.5 if loud > self._near else 0.2)
        return self._phrase_over()

    def _phrase_over(self) -> bool:
        """Follow the phrases; true where one that was worth the name has just ended."""
        if self._near > (max(_HUSHED * self._loudest, 0.02) if self._phrase else _VOICED):
            self._phrase += 1
            self._loudest = max(self._near, self._loudest)
            return False
        over = self._phrase > _PHRASE * FRAMES_PER_SECOND
        self._phrase, self._loudest = 0, 0.0
        return over

    def _move_eyes(self, yaw: float, pitch: float, speaking: bool) -> None:
        """Small saccades around the viewer, who is looked at most of the time, also while the head turns."""
        if self._frame >= self._next_look:
            away = self._rng.random() < _AWAY[speaking]
            self._look = [away * self._uniform(-limit, limit) for limit in _LOOK]
            self._next_look = self._frames(0.5, 1.6) if away else self._frames(0.7, 3.2)
            if away and self._rng.random() < _WITH_GAZE:
                self._blink_soon(0.0, 0.1)
        for axis, turned in enumerate((yaw / GAZE_DEGREES, pitch / GAZE_DEGREES)):
            self._gaze[axis] += 0.75 * (self._look[axis] + turned - self._gaze[axis])

    def _plan_blink(self, after: int) -> None:
        """Lids meet on a whole frame; they open about twice as slowly as they close."""
        gap = float(np.clip(self._blink_gap * self._rng.lognormal(1.15, 0.45), *_BLINK_GAP))
        self._last_blink, self._blink = after, after + round(gap * FRAMES_PER_SECOND)
        length = self._uniform(*_BLINK_LENGTH)
        self._closing, self._opening = 0.34 * length, 0.66 * length

    def _blink_soon(self, low: float, high: float) -> None:
        """Bring the next blink forward, unless the last one was just now."""
        soon = self._frames(low, high) + 2  # lids need a moment to close
        if soon < self._blink and soon - self._last_blink >= _BLINK_GAP[0] * FRAMES_PER_SECOND:
            self._blink = soon

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
