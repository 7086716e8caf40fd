"""Motions that a face is judged by: visemes, closed mouths, random moments of speech, smooth clips."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from engine.contracts import FloatArray, Motion
from engine.face.blendshapes import INDEX, NAMES

VISEMES: dict[str, dict[str, float]] = {
    "A": {"jawOpen": 0.45, "mouthUpperUp": 0.15, "mouthLowerDown": 0.2},
    "O": {"jawOpen": 0.30, "mouthFunnel": 0.55, "mouthPucker": 0.25},
    "U": {"jawOpen": 0.10, "mouthFunnel": 0.25, "mouthPucker": 0.70},
    "E": {"jawOpen": 0.20, "mouthStretch": 0.25, "mouthUpperUp": 0.2, "mouthLowerDown": 0.3},
    "I": {"jawOpen": 0.10, "mouthSmile": 0.35, "mouthStretch": 0.35, "mouthUpperUp": 0.15, "mouthLowerDown": 0.25},
    "M": {"mouthPress": 0.4, "mouthRollLower": 0.3, "mouthRollUpper": 0.3},
    "F": {"jawOpen": 0.06, "mouthRollLower": 0.5, "mouthUpperUp": 0.3},
}
CLOSED: dict[str, dict[str, float]] = {  # all of them mean closed lips
    "rest": {},
    "M": VISEMES["M"],
    "smile": {"mouthSmile": 0.5},
    "smile M": {"mouthSmile": 0.5, "mouthPress": 0.3},
    "jaw closed by the lips": {"jawOpen": 0.15, "mouthClose": 0.15},
}
Turn = tuple[float, float, float]


def rotation(yaw: float, pitch: float, roll: float) -> FloatArray:
    """Rz(roll) Ry(yaw) Rx(pitch) of degrees, in the axes of `engine.contracts`."""
    (cy, cp, cr), (sy, sp, sr) = np.cos(np.radians([yaw, pitch, roll])), np.sin(np.radians([yaw, pitch, roll]))
    about_z = np.array([[cr, -sr, 0], [sr, cr, 0], [0, 0, 1]])
    about_y = np.array([[cy, 0, sy], [0, 1, 0], [-sy, 0, cy]])
    about_x = np.array([[1, 0, 0], [0, cp, -sp], [0, sp, cp]])
    return (about_z @ about_y @ about_x).astype(np.float32)


def motion(shapes: dict[str, float], turn: Turn = (0, 0, 0)) -> Motion:
    """A motion out of names, where a name without its side stands for both."""
    beta = np.zeros(len(NAMES), np.float32)
    for name, value in shapes.items():
        for full in (name, name + "Left", name + "Right"):
            if full in INDEX:
                beta[INDEX[full]] = value
    return Motion(0, beta, rotation(*turn), np.zeros(3, np.float32))


def talking(rng: np.random.Generator, turns: Turn, lively: bool) -> Motion:
    """A random moment of speech: between two visemes, the head within ``turns`` degrees; brows and eyes if lively."""
    first, second = (VISEMES[str(name)] for name in rng.choice(list(VISEMES), 2))
    share, strength = rng.uniform(), rng.uniform(0.3, 1.1)
    shapes = {
        name: strength * (share * first.get(name, 0) + (1 - share) * second.get(name, 0)) for name in first | second
    }
    if lively:
        shapes |= {"eyeBlink": max(0.0, rng.uniform(-1, 1)), "browInnerUp": rng.uniform(0, 0.5)}
        shapes |= {"mouthSmile": shapes.get("mouthSmile", 0) + rng.uniform(0, 0.3), "browDown": rng.uniform(0, 0.3)}
        gaze = rng.uniform(-0.5, 0.5)
        shapes |= {"eyeLookOutLeft": max(gaze, 0), "eyeLookInRight": max(gaze, 0)}
        shapes |= {"eyeLookInLeft": max(-gaze, 0), "eyeLookOutRight": max(-gaze, 0)}
    yaw, pitch, roll = (float(rng.uniform(-most, most)) for most in turns)
    return motion(shapes, (yaw, pitch, roll))


def clips() -> Iterator[list[Motion]]:
    """Three clips of 3 s at an even pace: lips, head, eyes and brows."""
    t = 2 * np.pi * np.arange(75) / 75

    def wave(low: float, high: float, turns: float, phase: float = 0.0) -> np.ndarray:
        return low + (high - low) * 0.5 * (1 - np.cos(turns * t + phase))

    quarter = np.pi / 2
    lips = {"jawOpen": wave(0.05, 0.4, 3), "mouthFunnel": wave(0, 0.5, 3, quarter), "mouthSmile": wave(0, 0.3, 2)}
    head = wave(-6, 6, 1, quarter), wave(-4, 4, 1), wave(-3, 3, 1, -quarter)
    eyes = {"eyeBlink": wave(0, 1, 2), "browInnerUp": wave(0, 0.5, 2, quarter), "browDown": wave(0, 0.3, 2, -quarter)}
    for shapes, turns in ((lips, None), ({"jawOpen": wave(0.1, 0.1, 1)}, head), (eyes, None)):
        yield [
            motion(
                {name: float(values[k]) for name, values in shapes.items()},
                (float(head[0][k]), float(head[1][k]), float(head[2][k])) if turns else (0, 0, 0),
            )
            for k in range(len(t))
        ]
