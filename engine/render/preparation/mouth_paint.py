"""What is invented of a mouth's inside, painted in the portrait's tones: arches of teeth, tongue and cavity."""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.avatar import Avatar
from engine.face.panels import CAVITY, LIPS, LUMA, SKIN, place
from engine.face.surround import smoothstep
from engine.face.teeth import COLUMNS, HALF_ARC, paint_arch
from engine.render.preparation.mouth_light import MouthLight
from engine.render.preparation.own_teeth import lay_on_arch

LOWER_TINT = np.array([1.0, 0.97, 0.92], np.float32)  # lower teeth stand in reddish light
MOST_VEILED = 0.9


def paint_mouth(avatar: Avatar, light: MouthLight, upper_arch: FloatArray) -> dict[str, np.ndarray]:
    """Panels by name, float [h, w, 3]. ``upper_arch`` [5, 61, 3] are the upper arch's places in portrait pixels."""
    tones = avatar.tones
    gum = 0.5 * tones[LIPS] * np.array([1.0, 0.8, 0.85]) + 0.3 * tones[SKIN] * np.array([0.95, 0.42, 0.45])
    spots = {name: place(name, avatar.size) for name in ("upper", "lower", "flesh")}
    upper = paint_arch(spots["upper"].width, spots["upper"].height, light.tooth, gum, True)
    if len(avatar.teeth):
        upper = lay_on_arch(avatar, upper, upper_arch, np.linspace(-HALF_ARC, HALF_ARC, COLUMNS))
    lower = paint_arch(spots["lower"].width, spots["lower"].height, light.tooth * LOWER_TINT, gum, False)
    flesh = np.empty((spots["flesh"].height, spots["flesh"].width, 3), np.float32)
    half = len(flesh) // 2
    flesh[:half] = _tongue(flesh.shape[1], half, tones[LIPS], tones[SKIN])
    flesh[half:] = 1.35 * tones[CAVITY] + light.veil
    return {"upper": upper, "lower": lower, "flesh": flesh}


def veiled(panels: dict[str, np.ndarray], veil: FloatArray) -> FloatArray:
    """The share [4] of each part's brightness that a ``veil`` [3] over the picture leaves in any shade.

    Upper teeth, lower teeth, tongue, cavity, as `paint_mouth` painted them.
    """
    half = len(panels["flesh"]) // 2
    parts = (panels["upper"], panels["lower"], panels["flesh"][:half], panels["flesh"][half:])
    full = [float(np.percentile(part @ LUMA, 75)) for part in parts]
    return np.clip(float(veil @ LUMA) / np.maximum(full, 1.0), 0.0, MOST_VEILED).astype(np.float32)


def _tongue(width: int, height: int, lips: FloatArray, skin: FloatArray) -> FloatArray:
    """The tongue's surface [height, width, 3], tip first: paler in the middle, a soft groove, and a grain."""
    base = 0.62 * lips * np.array([1.0, 0.74, 0.76]) + 0.2 * skin * np.array([1.0, 0.5, 0.5])
    u = np.linspace(-1, 1, width)[None, :, None]
    v = np.linspace(0, 1, height)[:, None, None]
    pale = 1.06 - 0.14 * np.abs(u) ** 2
    groove = 1 - 0.10 * np.exp(-((u / 0.12) ** 2)) * smoothstep((v - 0.1) / 0.3)
    half = (-(-height // 2), -(-width // 2), 1)
    grain = np.random.default_rng(0).normal(0, 0.03, half).repeat(2, 0).repeat(2, 1)[:height, :width]
    return np.clip(base * pale * groove * (1 + grain), 0, 255).astype(np.float32)
