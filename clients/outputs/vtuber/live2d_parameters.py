"""VTube Studio's tracking parameters out of a movement, and those we add to them.

Live2D's angles are the screen's: x to its right, y up, z leaning to its right. The person on it looks at the viewer, so
the screen's right is his own left. docs/outputs.md has the table with its sources.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import degrees

import numpy as np

from clients.outputs.vtuber.head_frame import yaw_pitch_roll
from clients.outputs.vtuber.vrm_expressions import VRM0, mouth_opening, vrm1
from engine.contracts import Motion
from engine.face.blendshapes import INDEX, NAMES
from engine.motion.gaze import GAZE_DEGREES, gaze

OWN = "Vivify"  # what the names of added parameters begin with
VOWELS = ("aa", "ih", "ou", "ee", "oh")


@dataclass(frozen=True, slots=True)
class Added:
    """A parameter of ours, 0..1 and 0 at rest."""

    name: str
    explanation: str


ADDED = tuple(
    [Added(f"{OWN}{n[0].upper()}{n[1:]}", f"ARKit's {n}, of the voice's face") for n in NAMES]
    + [Added(f"{OWN}Vowel{VRM0[v]}", f"how much of the vowel {VRM0[v]} the mouth shows") for v in VOWELS]
)


def own(motion: Motion) -> dict[str, float]:
    """Values of `ADDED`."""
    vowels = vrm1(motion.blendshapes)
    values = [float(v) for v in motion.blendshapes] + [vowels[v] for v in VOWELS]
    return {added.name: value for added, value in zip(ADDED, values, strict=True)}


def usual(motion: Motion) -> dict[str, float]:
    """Values of VTube Studio's own parameters: degrees, or 0..1 and -1..1 as its automatic setup has them."""

    def of(name: str) -> float:
        return float(motion.blendshapes[INDEX[name]])

    def both(name: str) -> float:
        return (of(f"{name}Left") + of(f"{name}Right")) / 2

    yaw, pitch, roll = (degrees(angle) for angle in yaw_pitch_roll(motion.rotation))
    (left_x, left_y), (right_x, right_y) = gaze(motion.blendshapes)
    brows = {side: of("browInnerUp") / 2 + of(f"browOuterUp{side}") / 2 - of(f"browDown{side}") for side in SIDES}
    smile = both("mouthSmile") - both("mouthFrown") - of("mouthPucker") / 2
    values = {
        "FaceAngleX": -yaw,
        "FaceAngleY": -pitch,
        "FaceAngleZ": roll,
        "MouthOpen": mouth_opening(motion.blendshapes),
        "MouthSmile": 0.5 + smile / 2,
        "EyeOpenLeft": 1 - of("eyeBlinkLeft"),
        "EyeOpenRight": 1 - of("eyeBlinkRight"),
        "EyeLeftX": -left_x / GAZE_DEGREES,
        "EyeLeftY": left_y / GAZE_DEGREES,
        "EyeRightX": -right_x / GAZE_DEGREES,
        "EyeRightY": right_y / GAZE_DEGREES,
        "BrowLeftY": 0.5 + brows["Left"] / 2,
        "BrowRightY": 0.5 + brows["Right"] / 2,
        "Brows": 0.5 + (brows["Left"] + brows["Right"]) / 4,
        "CheekPuff": of("cheekPuff"),
        "TongueOut": of("tongueOut"),
    }
    return {name: float(np.clip(value, *LIMITS.get(name, (0.0, 1.0)))) for name, value in values.items()}


SIDES = ("Left", "Right")
LIMITS = {f"FaceAngle{axis}": (-90.0, 90.0) for axis in "XYZ"} | {
    f"Eye{side}{axis}": (-1.0, 1.0) for side in SIDES for axis in "XY"
}
