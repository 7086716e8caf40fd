"""One person's way of moving, beside everybody's: what a film taught, laid over what the networks say."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX, NAMES
from engine.face.kept.film_memory import Manner

MOST = 2.5  # factor of an opening
BARELY = 0.02  # an opening that is taken for none
PARTS, FUNNELS = 0.17, 0.6  # what lips open that part or funnel by themselves, beside jawOpen
REST = 0.12  # how far everybody's lips stay apart between words: half as far as in them, on films of fourteen people
CLOSE, SILENCE = 1, 9  # places in what is said: lips closed, and the probability that nothing is said
HELD, FADES = 50, 25  # frames for which lips rest as this person's between words, and in which they then close
AT_REST = HELD + FADES
RISES = 8  # frames in which corners of lips go to where this person holds them in speech, and back
_PARTING = ("jawOpen", "mouthClose", "mouthLowerDown", "mouthUpperUp")
_OPENS = [k for k, name in enumerate(NAMES) if name.startswith(_PARTING)]
CORNERS = [
    INDEX[name]
    for name in ("mouthPucker", "mouthSmileLeft", "mouthSmileRight", "mouthStretchLeft", "mouthStretchRight")
]


@dataclass
class Mouth:
    """The lips of one stream, as they are moved by what was said so far."""

    quiet: int = AT_REST  # frames without a word
    wide: float = 0.0  # how much shows of where the person holds the corners

    def step(self, shapes: FloatArray, said: FloatArray, manner: Manner) -> FloatArray:
        """Blendshapes [52] that say ``said`` [49] as the person does."""
        self.quiet = quiet(self.quiet, said)
        shows = awake(self.quiet)
        self.wide += min(max(shows - self.wide, -1 / RISES), 1 / RISES)
        out = opened(shapes, said, manner, shows)
        if not len(manner.corners):
            return out
        out = out.copy()
        out[CORNERS] = np.clip(out[CORNERS] + np.float32(self.wide) * manner.corners, 0, 1)
        return out


def opening(shapes: FloatArray) -> FloatArray:
    """How far blendshapes [..., 52] open the lips, in units of jawOpen [...]."""
    jaw = shapes[..., INDEX["jawOpen"]] - shapes[..., INDEX["mouthClose"]]
    lips = shapes[..., INDEX["mouthLowerDownLeft"]] + shapes[..., INDEX["mouthUpperUpLeft"]]
    return np.asarray(jaw + PARTS * lips + FUNNELS * shapes[..., INDEX["mouthFunnel"]])


def heard(shapes: FloatArray, said: FloatArray) -> FloatArray:
    """What tells how far this person opens [..., 51]: what is said [..., 49], how far that opens, and a one.

    The networks close lips between words, people do not.
    """
    usual = (opening(shapes) + REST * said[..., SILENCE])[..., None]
    return np.concatenate([said, usual, np.ones_like(usual)], -1).astype(np.float32)


def quiet(frames: int, said: FloatArray) -> int:
    """For how many frames nothing was said, up to `AT_REST`, after one with ``said`` [49] and ``frames`` before it."""
    return 0 if said[SILENCE] < 0.5 else min(frames + 1, AT_REST)


def awake(frames: int) -> float:
    """How much of a mouth's own rest shows after ``frames`` without a word: between sentences all of it, then none."""
    return min((AT_REST - frames) / FADES, 1.0)


def opened(shapes: FloatArray, said: FloatArray, manner: Manner, awake: float | FloatArray) -> FloatArray:
    """Blendshapes [..., 52] that say ``said`` [..., 49], with lips as far open as this person's; closed ones stay so.

    ``awake`` [...] is what `awake` tells of the frame.
    """
    if not len(manner.opening):
        return shapes
    wanted = np.maximum(heard(shapes, said) @ manner.opening, 0) * awake
    funnelled = FUNNELS * shapes[..., INDEX["mouthFunnel"]]
    factor = np.clip((wanted - funnelled) / np.maximum(opening(shapes) - funnelled, BARELY), 0, MOST)
    out = shapes.copy()
    out[..., _OPENS] = np.clip(out[..., _OPENS] * factor[..., None], 0, 1)
    lacking = np.maximum(wanted - opening(out), 0) * (1 - said[..., CLOSE])
    out[..., INDEX["jawOpen"]] = np.clip(out[..., INDEX["jawOpen"]] + lacking, 0, 1)
    return out
