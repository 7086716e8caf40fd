"""Keys: non-lip values that a face is to have at given times, as people write them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from math import isfinite
from pathlib import Path
from typing import Any

from engine.contracts import FRAMES_PER_SECOND
from engine.errors import VivifyError
from engine.motion.prior.nonlip import read_pins

MOST_FRAMES = 4096  # that keys may pin at a time
LONGEST_HOLD_S = 10.0
LATEST_S = 24 * 3600.0
SOON_MS = (480, 1000)  # in how long a live key is met: sooner, the prior would have no time to go there
USUAL_MS = 600
LARGEST_FILE = 1 << 20  # bytes
_FORM = '[{"at": 3.2, "hold": 0.4, "yaw": 8, "browInnerUp": 0.6}]'


@dataclass(frozen=True, slots=True)
class Key:
    """``values`` by place in `NONLIP` that hold from frame ``frame`` on for ``frames`` frames."""

    frame: int
    frames: int
    values: dict[int, float]


def read_keys(path: Path) -> list[Key]:
    """The keys of a JSON file: a list of objects with ``at`` in seconds, ``hold`` in seconds, and values.

    Raises VivifyError in a sentence for a file that cannot be read, or a key that is none.
    """
    try:
        if path.stat().st_size > LARGEST_FILE:
            raise VivifyError(f"{path} was expected to hold keys in at most {LARGEST_FILE >> 20} MB: use fewer.")
        told = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise VivifyError(f"{path} was expected to hold keys such as {_FORM}, but cannot be read: {reason}.") from error
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise VivifyError(f"{path} was expected to hold a list of keys such as {_FORM}.")
    keys = [_key(one) for one in told]
    if sum(key.frames for key in keys) > MOST_FRAMES:
        raise VivifyError(
            f"{path} was expected to pin at most {MOST_FRAMES} frames, but its keys hold for "
            f"{sum(key.frames for key in keys)}: use fewer, or let them hold for less."
        )
    return keys


def live_key(told: dict[str, Any], mover: str) -> Key:
    """A key of a running session, counted from the frame that comes next: values, ``in_ms`` and ``hold_ms``.

    Raises VivifyError for one that is none, and where the ``mover`` takes none.
    """
    if mover != "prior":
        raise VivifyError(
            f"A key was expected by the mover prior, but the mover is {mover}: start it with --mover prior."
        )
    values = {name: value for name, value in told.items() if name not in ("in_ms", "hold_ms")}
    soon = _number("in_ms", told.get("in_ms", USUAL_MS), *SOON_MS) / 1000
    hold = _number("hold_ms", told.get("hold_ms", 0), 0, 1000 * LONGEST_HOLD_S) / 1000
    return Key(_frames(soon), max(1, _frames(hold)), read_pins(values))


def _key(told: dict[str, object]) -> Key:
    values = {name: value for name, value in told.items() if name not in ("at", "hold")}
    at = _number("at", told.get("at"), 0, LATEST_S)
    hold = _number("hold", told.get("hold", 0), 0, LONGEST_HOLD_S)
    return Key(_frames(at), max(1, _frames(hold)), read_pins(values))


def _number(name: str, value: object, low: float, high: float) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not isfinite(value) or not low <= value <= high:
        raise VivifyError(f"A key's {name} was expected to be from {low:g} to {high:g}, but came as {value!r:.40}.")
    return float(value)


def _frames(seconds: float) -> int:
    return round(seconds * FRAMES_PER_SECOND)
