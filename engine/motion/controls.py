"""What a person or a program sets by hand: blink, gaze, brows, smile, mood, and how much of it all.

`Controls` is what is wished; `Controller` brings a face there without a jump. It adds to what the voice and idle life
do, and keeps no lips from meeting.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, fields, replace
from math import exp, isfinite
from typing import Any

import numpy as np

from engine.contracts import FRAMES_PER_SECOND, FloatArray, Motion
from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.rotation import scaled

EMOTIONS: dict[str, dict[str, float]] = {
    "happy": {"mouthSmile": 0.60, "cheekSquint": 0.40, "eyeSquint": 0.22, "browOuterUp": 0.10},
    "sad": {"mouthFrown": 0.70, "browInnerUp": 0.60, "browDown": 0.15, "eyeSquint": 0.12, "mouthShrugLower": 0.15},
    "angry": {"browDown": 0.95, "eyeSquint": 0.35, "noseSneer": 0.30, "mouthFrown": 0.45, "mouthPress": 0.20},
    "surprised": {"browInnerUp": 0.60, "browOuterUp": 0.60, "eyeWide": 0.55},
    "afraid": {"browInnerUp": 0.70, "browOuterUp": 0.25, "eyeWide": 0.45, "mouthStretch": 0.20},
    "disgusted": {"noseSneer": 0.60, "browDown": 0.35, "mouthUpperUp": 0.18, "eyeSquint": 0.25, "mouthFrown": 0.15},
}
"""Offsets at a weight of 1, both sides alike; chosen by eye on the bundled avatar."""

_RANGES = {
    "expressiveness": (0.0, 2.0),
    "blink": (0.0, 1.0),
    "gaze_left": (-1.0, 1.0),
    "gaze_up": (-1.0, 1.0),
    "brows": (-1.0, 1.0),
    "smile": (-1.0, 1.0),
    "style": (-1.0, 1.0),
    "guidance": (0.0, 10.0),
}
_OVERRULING = ("blink", "gaze_left", "gaze_up")  # None: left to idle life
_OPTIONAL = (*_OVERRULING, "guidance")
_SETTLE_S = 0.12  # time constant with which a face follows its controls
_LIDS_S = 0.04
# What expressiveness scales; eyes stay as they are.
_MOVED_BY_VOICE = ("jaw", "mouth", "brow", "cheek", "nose", "tongue")


def _both(shapes: dict[str, float]) -> FloatArray:
    """Offsets [52] of names that may leave out their side."""
    out = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        for full in (name, f"{name}Left", f"{name}Right"):
            if full in INDEX:
                out[INDEX[full]] = value
    return out


_MOOD = {name: _both(shapes) for name, shapes in EMOTIONS.items()}
_SMILE = _both({"mouthSmile": 0.7, "cheekSquint": 0.35, "eyeSquint": 0.1})
_FROWN = _both({"mouthFrown": 0.9, "mouthShrugLower": 0.15})
_BROWS_UP, _BROWS_DOWN = _both({"browInnerUp": 0.8, "browOuterUp": 0.8}), _both({"browDown": 0.8})
_SCALED = np.array([n.startswith(_MOVED_BY_VOICE) for n in NAMES])
_LIDS = [INDEX["eyeBlinkLeft"], INDEX["eyeBlinkRight"]]
_LOOKS = {
    "gaze_left": (("eyeLookOutLeft", "eyeLookInRight"), ("eyeLookInLeft", "eyeLookOutRight")),
    "gaze_up": (("eyeLookUpLeft", "eyeLookUpRight"), ("eyeLookDownLeft", "eyeLookDownRight")),
}


@dataclass(frozen=True, slots=True)
class Controls:
    """What is wished of one face. The defaults change nothing.

    ``expressiveness`` 0..2 scales what voice and idle life do to mouth, brows and head. ``blink`` 0..1 is how far the
    lids are closed (SadTalker's z_blink); ``gaze_left`` and ``gaze_up`` -1..1 turn the eyes to the person's own left
    and up; None leaves either to idle life. ``brows`` -1 (down) to 1 (up), ``smile`` -1 (frown) to 1. ``emotions``
    are weights 0..1 of `EMOTIONS`. ``style`` -1 (calm) to 1 (lively) and ``guidance`` 0..10, how closely movement
    follows the sound, are for the mover "prior"; None is its usual guidance.
    """

    expressiveness: float = 1.0
    blink: float | None = None
    gaze_left: float | None = None
    gaze_up: float | None = None
    brows: float = 0.0
    smile: float = 0.0
    style: float = 0.0
    guidance: float | None = None
    emotions: dict[str, float] = field(default_factory=dict)

    def changed(self, wishes: dict[str, Any]) -> Controls:
        """These controls with ``wishes`` (as from JSON) put in. Raises VivifyError for one it does not know."""
        known = [f.name for f in fields(self)]
        for name, value in wishes.items():
            if name not in known:
                raise VivifyError(f"A control was expected to be one of {', '.join(known)}, not '{name}': use one.")
            if name == "emotions":
                _check_emotions(value)
            elif not (value is None and name in _OPTIONAL):
                _check_number(name, value, *_RANGES[name])
        return replace(self, **wishes)

    def as_dict(self) -> dict[str, Any]:
        """As JSON would carry it; ``Controls().changed(controls.as_dict())`` gives the same controls."""
        return asdict(self)


def read_wishes(words: list[str]) -> dict[str, Any]:
    """Wishes as people type them, ``["smile=0.3", "sad=1"]``, as `Controls.changed` takes them.

    Raises VivifyError in a sentence for what is not of the form name=number, or not a control, or out of range.
    """
    wishes: dict[str, Any] = {}
    for word in words:
        name, _, text = word.partition("=")
        try:
            value = float(text)
        except ValueError:
            raise VivifyError(
                f"A control was expected as name=number, such as smile=0.3, but came as {word!r:.40}."
            ) from None
        if name in EMOTIONS:
            wishes.setdefault("emotions", {})[name] = value
        else:
            wishes[name] = value
    Controls().changed(wishes)
    return wishes


def _check_number(name: str, value: Any, low: float, high: float) -> None:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise VivifyError(
            f"The control {name} was expected to be a number from {low:g} to {high:g}, but came as {value!r:.40}."
        )


def _check_emotions(value: Any) -> None:
    if not isinstance(value, dict) or not set(value) <= set(EMOTIONS):
        raise VivifyError(
            f"The control emotions was expected to hold weights of {', '.join(EMOTIONS)}, but came as {value!r:.60}."
        )
    for name, weight in value.items():
        _check_number(f"emotions.{name}", weight, 0.0, 1.0)


class Controller:
    """One face on its way to what its controls wish. `apply` once per video frame."""

    def __init__(self) -> None:
        self.wished = Controls()
        self._offsets = np.zeros(len(NAMES), np.float32)  # brows, smile, mood
        self._scale = 1.0
        self._held = dict.fromkeys(_OVERRULING, (0.0, 0.0))  # value, and how much it overrules idle life

    def apply(self, motion: Motion) -> Motion:
        """``motion`` as the controls want it; blendshapes stay within [0, 1]."""
        self._approach()
        shapes = motion.blendshapes.copy()
        shapes[_SCALED] *= self._scale
        self._mood(shapes)
        self._overrule(shapes)
        # A face may move twice as much; a head that turned twice as far would leave what the photograph shows.
        head = min(self._scale, 0.5 + 0.5 * self._scale)
        return replace(
            motion,
            blendshapes=np.clip(shapes, 0.0, 1.0),
            rotation=scaled(motion.rotation, head),
            translation=motion.translation * np.float32(head),
            lip_offsets=motion.lip_offsets * np.float32(self._scale),
        )

    def _approach(self) -> None:
        """Go a part of the way, the same part each frame: an exponential approach has no corners to see."""
        step = 1 - exp(-1 / (FRAMES_PER_SECOND * _SETTLE_S))
        self._offsets += step * (_offsets_of(self.wished) - self._offsets)
        self._scale += step * (self.wished.expressiveness - self._scale)
        for name, (value, share) in self._held.items():
            wish = getattr(self.wished, name)
            pace = 1 - exp(-1 / (FRAMES_PER_SECOND * _LIDS_S)) if name == "blink" else step
            target, present = (value, 0.0) if wish is None else (float(wish), 1.0)
            start = target if share < 0.01 else value  # nothing is held yet: only the share has to grow
            self._held[name] = (start + pace * (target - start), share + pace * (present - share))

    def _mood(self, shapes: FloatArray) -> None:
        """Add the offsets, less of them at the mouth the closer the lips should be: p, b and m always close."""
        jaw = float(shapes[INDEX["jawOpen"]])
        closing = min(1.0, float(shapes[INDEX["mouthClose"]]) / jaw) if jaw > 0.02 else 0.0
        shapes += self._offsets
        shapes[_PARTS_LIPS] -= closing * self._offsets[_PARTS_LIPS]

    def _overrule(self, shapes: FloatArray) -> None:
        value, share = self._held["blink"]
        shapes[_LIDS] += share * (value - shapes[_LIDS])
        for name, (ahead, back) in _LOOKS.items():
            value, share = self._held[name]
            for names, amount in ((ahead, max(0.0, value)), (back, max(0.0, -value))):
                index = [INDEX[n] for n in names]
                shapes[index] += share * (amount - shapes[index])


_PARTS_LIPS = [INDEX[f"{name}{side}"] for name in ("mouthUpperUp", "mouthLowerDown") for side in ("Left", "Right")]


def _offsets_of(wished: Controls) -> FloatArray:
    smile, brows = wished.smile, wished.brows
    out = max(0.0, smile) * _SMILE + max(0.0, -smile) * _FROWN + max(0.0, brows) * _BROWS_UP
    out = out + max(0.0, -brows) * _BROWS_DOWN
    for name, weight in wished.emotions.items():
        out = out + weight * _MOOD[name]
    return np.asarray(out, np.float32)
