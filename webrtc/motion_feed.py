"""What a face does, frame by frame, for programs that ask for it: protocol.md's ``motion`` messages."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from engine.contracts import Frame, Motion
from engine.motion.gaze import gaze
from engine.motion.rotation import euler_angles
from webrtc.media.voice_line import RATIO
from webrtc.messages import Gaze, Head, Moved, Told

DIGITS = 4  # behind the point: a tenth of a pixel
Take = Callable[[Told], None]


class MotionFeed:
    """Those who want motions of one session. A message is made once a frame, and only where anybody wants it."""

    def __init__(self) -> None:
        self.over = asyncio.Event()  # set when the session ends
        self._takers: dict[object, Take] = {}

    def __len__(self) -> int:
        return len(self._takers)

    def want(self, who: object, take: Take | None) -> None:
        """From now on ``take`` gets every motion that leaves, and must not wait; with None, ``who`` gets none."""
        if take is None:
            self._takers.pop(who, None)
        else:
            self._takers[who] = take

    def show(self, frame: Frame) -> None:
        """A frame leaves."""
        if self._takers and frame.motion is not None:
            message = told(frame.motion, frame.speaking)
            for take in tuple(self._takers.values()):
                take(message)


def told(motion: Motion, speaking: bool) -> Moved:
    """The message of one motion."""
    yaw, pitch, roll = _rounded(euler_angles(motion.rotation))
    x, y, z = _rounded(motion.translation)
    left, right = gaze(motion.blendshapes)
    return Moved(
        position=RATIO * motion.position,
        shapes=_rounded(motion.blendshapes),
        lips=[_rounded(offset) for offset in motion.lip_offsets],
        head=Head(yaw=yaw, pitch=pitch, roll=roll, x=x, y=y, z=z),
        gaze=Gaze(left=_rounded(np.radians(left)), right=_rounded(np.radians(right))),
        speaking=speaking,
    )


def _rounded(values: npt.ArrayLike) -> list[float]:
    return [round(float(value), DIGITS) + 0.0 for value in np.ravel(values)]
