"""VRM's expressions out of ARKit's 52 coefficients: what a model without PerfectSync shows of the face.

The scales are what our motion reaches in speech (docs/outputs.md has the table). Vowels never add up to more than one,
and close where lips meet; moods begin where speech ends.
"""

from __future__ import annotations

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX

VRM0 = {  # VRM 1.0's name -> VRM 0.x's
    "aa": "A",
    "ih": "I",
    "ou": "U",
    "ee": "E",
    "oh": "O",
    "blinkLeft": "Blink_L",
    "blinkRight": "Blink_R",
    "happy": "Joy",
    "angry": "Angry",
    "sad": "Sorrow",
    "relaxed": "Fun",
}


def mouth_opening(shapes: FloatArray) -> float:
    """How far lips are apart, 0..1, of the coefficients [52]: 1 is as far as our speech opens them."""
    jaw = min(max(float(shapes[INDEX["jawOpen"]] - shapes[INDEX["mouthClose"]]) / 0.45, 0.0), 1.0)
    return jaw * _apart(shapes)


def _apart(shapes: FloatArray) -> float:
    """0 where lips meet, 1 where nothing presses them."""
    press = min(float(shapes[INDEX["mouthPressLeft"]]), float(shapes[INDEX["mouthPressRight"]])) / 0.3
    meet = max(float(shapes[INDEX["mouthRollLower"]]) / 0.6, press, float(shapes[INDEX["mouthClose"]]) / 0.3)
    return 1.0 - min(max(meet, 0.0), 1.0)


def vrm1(shapes: FloatArray) -> dict[str, float]:
    """VRM 1.0's expressions, 0..1, of the coefficients [52]. `VRM0` has the older names; it knows no surprise."""

    def of(*names: str, above: float = 0.0, full: float = 1.0) -> float:
        """The least of some coefficients, from 0 at ``above`` to 1 at ``full``."""
        value = min(float(shapes[INDEX[name]]) for name in names)
        return min(max((value - above) / (full - above), 0.0), 1.0)

    def both(name: str, above: float, full: float) -> float:
        return of(f"{name}Left", f"{name}Right", above=above, full=full)

    jaw = min(max(float(shapes[INDEX["jawOpen"]] - shapes[INDEX["mouthClose"]]) / 0.45, 0.0), 1.0)
    pucker, funnel, wide = of("mouthPucker", full=0.65), of("mouthFunnel", full=0.3), both("mouthStretch", 0.0, 0.3)
    round_ = max(pucker, funnel)
    vowels = {
        "aa": jaw * (1 - round_) * (1 - wide / 2),
        "ih": 0.5 * wide * (1 - jaw),
        "ou": pucker * (1 - jaw),
        "ee": wide * jaw * (1 - round_) / 2,
        "oh": max(round_ * jaw, funnel),
    }
    angry = both("browDown", 0.15, 0.95)
    scale = _apart(shapes) / max(sum(vowels.values()), 1.0)
    return {name: scale * value for name, value in vowels.items()} | {
        "blinkLeft": of("eyeBlinkLeft"),
        "blinkRight": of("eyeBlinkRight"),
        "happy": both("mouthSmile", 0.15, 0.6),
        "angry": angry,
        "sad": both("mouthFrown", 0.1, 0.7) * (1 - angry),
        "relaxed": 0.0,
        "surprised": both("eyeWide", 0.1, 0.55),
    }
