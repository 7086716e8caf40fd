"""What of a face is not its lips', as 24 numbers: head pose, gaze, lids, brows, cheeks, nose.

The audio-to-visual prior (`engine.a2v.prior_network`) moves these. Both eyes look the same way, so eight eyeLook
coefficients are two numbers; every other coefficient stands for itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite, radians

import numpy as np

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.face.blendshapes import INDEX, NAMES, OTHER

POSE = ("yaw", "pitch", "roll", "x", "y", "z")  # radians, and outer-eye-corner distances
GAZE = ("gaze_left", "gaze_up")  # eyeLook coefficients: to the person's own left, and up
SHAPES = tuple(name for name in OTHER if not name.startswith("eyeLook"))
NONLIP = (*POSE, *GAZE, *SHAPES)
PLACE = {name: k for k, name in enumerate(NONLIP)}
LIMITS = (radians(12.0), radians(8.0), radians(6.0), 0.15, 0.15, 0.15)  # of a pose: never passed

_HEAD, _EYES = len(POSE), len(POSE) + len(GAZE)
_SHAPES = np.array([INDEX[name] for name in SHAPES])
_AHEAD = np.array(
    [[INDEX["eyeLookOutLeft"], INDEX["eyeLookInRight"]], [INDEX[f"eyeLookUp{s}"] for s in ("Left", "Right")]]
)
_BACK = np.array(
    [[INDEX["eyeLookInLeft"], INDEX["eyeLookOutRight"]], [INDEX[f"eyeLookDown{s}"] for s in ("Left", "Right")]]
)
_LIMITS = np.array(LIMITS, np.float32)
_ALIASES = {
    "eyeLookOutLeft": ("gaze_left", 1), "eyeLookInRight": ("gaze_left", 1),
    "eyeLookInLeft": ("gaze_left", -1), "eyeLookOutRight": ("gaze_left", -1),
    "eyeLookUpLeft": ("gaze_up", 1), "eyeLookUpRight": ("gaze_up", 1),
    "eyeLookDownLeft": ("gaze_up", -1), "eyeLookDownRight": ("gaze_up", -1),
}  # fmt: skip


def to_values(pose: FloatArray, shapes: FloatArray) -> FloatArray:
    """Poses [..., 6] and blendshapes [..., 52] -> the 24 numbers [..., 24]."""
    eyes = shapes[..., _AHEAD].mean(-1) - shapes[..., _BACK].mean(-1)
    return np.concatenate([pose, eyes, shapes[..., _SHAPES]], -1).astype(np.float32)


def to_motion(values: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The 24 numbers [..., 24] -> poses [..., 6] inside `LIMITS` and blendshapes [..., 52], the lips' at zero."""
    shapes = np.zeros((*values.shape[:-1], len(NAMES)), np.float32)
    shapes[..., _SHAPES] = np.clip(values[..., _EYES:], 0, 1)
    for axis in range(len(GAZE)):
        look = np.clip(values[..., _HEAD + axis, None], -1, 1)
        shapes[..., _AHEAD[axis]], shapes[..., _BACK[axis]] = np.maximum(look, 0), np.maximum(-look, 0)
    return within(values[..., :_HEAD]), shapes


def within(pose: FloatArray) -> FloatArray:
    """Poses [..., 6] inside `LIMITS`: untouched up to 80 % of them, bent softly from there on."""
    free = 0.8 * _LIMITS
    over = np.maximum(np.abs(pose) - free, 0)
    bent = np.clip(pose, -free, free) + np.sign(pose) * 0.2 * _LIMITS * np.tanh(over / (0.2 * _LIMITS)) * 0.999
    return np.asarray(bent, np.float32)


def read_pins(wishes: Mapping[str, object]) -> dict[int, float]:
    """Values as people write them, ``{"yaw": 8, "eyeBlinkLeft": 1}``, by place in `NONLIP`.

    Angles are in degrees there, up to 80 % of `LIMITS`. Raises VivifyError in a sentence for what is no such value.
    """
    pins: dict[int, float] = {}
    for name, value in wishes.items():
        own, sign = _ALIASES.get(name, (name, 1))
        if own not in PLACE:
            raise VivifyError(
                f"A key was expected to hold values of {', '.join((*POSE, *GAZE))} or of ARKit's coefficients that are "
                f"not the lips', such as browInnerUp, not {name!r:.40}: use one of these."
            )
        place = PLACE[own]
        low, high = _range(place)
        if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value):
            raise VivifyError(f"The key's {name} was expected to be a number, but came as {value!r:.40}.")
        if not low <= sign * value <= high:
            ends = sorted((sign * low, sign * high))
            raise VivifyError(
                f"The key's {name} was expected to lie between {ends[0]:g} and {ends[1]:g}, but is {value:g}."
            )
        pins[place] = radians(sign * value) if place < 3 else sign * float(value)
    if not pins:
        raise VivifyError("A key was expected to hold at least one value, such as yaw, but holds none: give it one.")
    return pins


def _range(place: int) -> tuple[float, float]:
    """Of what people write for a value."""
    if place < _HEAD:
        most = round(float(np.degrees(0.8 * LIMITS[place]) if place < 3 else 0.8 * LIMITS[place]), 3)
        return -most, most
    return (-1.0, 1.0) if place < _EYES else (0.0, 1.0)
