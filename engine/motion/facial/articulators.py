"""Nine articulators of speech, and how they become ARKit's lip blendshapes.

The lip branch of VividTalk eq. 2 does not predict 27 lip blendshapes that mostly move together, but the nine movements
speech is made of; a fixed matrix spreads them over ARKit's names, the same on the left and the right.
"""

from __future__ import annotations

import torch
from torch import Tensor

from engine.face.blendshapes import INDEX, NAMES

ARTICULATORS = ("jaw", "close", "pucker", "funnel", "stretch", "lower_down", "upper_up", "roll", "tongue")
JAW, CLOSE, PUCKER, FUNNEL, STRETCH, LOWER_DOWN, UPPER_UP, ROLL, TONGUE = range(len(ARTICULATORS))

# Which blendshapes an articulator moves, and how far at its full value. Speech keeps jawOpen below about .45 and the
# lip shapes below about .7; the teacher's scale of 1 is the widest a speaker goes. The tongue stays behind the teeth.
# On the mesh a funnel also opens the lips, by half as much as the jaw does: it goes half by pucker. And an open jaw
# draws the corners in, which stretch makes up for. So the mesh opens and widens as `aperture` and `width` say.
_SPREAD: dict[int, dict[str, float]] = {
    JAW: {"jawOpen": 0.58, "mouthStretchLeft": 0.2, "mouthStretchRight": 0.2},
    PUCKER: {"mouthPucker": 0.72},
    FUNNEL: {"mouthFunnel": 0.35, "mouthPucker": 0.22},
    STRETCH: {
        **{"mouthStretchLeft": 0.4, "mouthStretchRight": 0.4, "mouthSmileLeft": 0.2, "mouthSmileRight": 0.2},
        **{"mouthDimpleLeft": 0.1, "mouthDimpleRight": 0.1},
    },
    LOWER_DOWN: {"mouthLowerDownLeft": 1.0, "mouthLowerDownRight": 1.0},
    UPPER_UP: {"mouthUpperUpLeft": 1.0, "mouthUpperUpRight": 1.0},
    ROLL: {"mouthRollLower": 0.75},
    CLOSE: {"mouthPressLeft": 0.18, "mouthPressRight": 0.18, "mouthRollUpper": 0.1},
}


_POUT = 0.12  # of the opening that a full pucker fills

# How movements go together in filmed mouths, chosen on the GRID clips and the film that train and develop: a mouth that
# rounds lifts its jaw, whatever the vowel, and lips that part widen.
_LIFTS, _LIGHTLY = 1.3, 0.15  # share of the jaw's opening that a pucker beyond a light one takes away
_LEAST_JAW = 0.3  # of it that remains in any case
_APART = 0.075  # jaw below which nothing takes it: lips that round, or that films show narrow, are not closed
_WIDENS = 0.3  # of stretch, for each of lower and upper lip at their full way


def coupled(articulators: Tensor) -> Tensor:
    """Articulators [..., 9] that were estimated one by one, moved as one mouth moves them."""
    y = articulators
    remains = (1 - _LIFTS * (y[..., PUCKER] - _LIGHTLY)).clamp(_LEAST_JAW, 1.0)
    jaw = torch.maximum(y[..., JAW] * remains, barely_apart(y))
    stretch = y[..., STRETCH] + _WIDENS * (y[..., LOWER_DOWN] + y[..., UPPER_UP])
    parts = [jaw[..., None], y[..., CLOSE:STRETCH], stretch[..., None], y[..., LOWER_DOWN:]]
    return torch.cat(parts, -1)


def barely_apart(articulators: Tensor, further: Tensor | float = 0.0) -> Tensor:
    """The jaw's opening [...] that articulators [..., 9] keep whatever corrects them: open lips stay open.

    ``further`` [...] is kept beside what every open mouth keeps.
    """
    y = articulators
    return torch.minimum(y[..., JAW], _APART + further + _POUT * y[..., PUCKER])


def aperture(articulators: Tensor) -> Tensor:
    """How far the lips are apart, [..., 9] -> [...], in the teacher's units (about .8 for a wide open vowel)."""
    y = articulators
    gap = (
        y[..., JAW] + 0.30 * y[..., LOWER_DOWN] + 0.25 * y[..., UPPER_UP] - 0.15 * y[..., ROLL] - _POUT * y[..., PUCKER]
    )
    return gap.clamp(min=0) * (1 - y[..., CLOSE]).clamp(0, 1)


def width(articulators: Tensor) -> Tensor:
    """How wide the mouth is, [..., 9] -> [...]; 1 is rest."""
    y = articulators
    return 1 + 0.22 * y[..., STRETCH] - 0.45 * y[..., PUCKER] - 0.2 * y[..., FUNNEL]


def spread_matrix() -> Tensor:
    """The fixed matrix [9, 52] from articulators to ARKit blendshapes."""
    matrix = torch.zeros(len(ARTICULATORS), len(NAMES))
    for articulator, shapes in _SPREAD.items():
        for name, gain in shapes.items():
            matrix[articulator, INDEX[name]] = gain
    return matrix


def to_blendshapes(articulators: Tensor, matrix: Tensor) -> Tensor:
    """Articulators [..., 9] -> ARKit coefficients [..., 52] within [0, 1].

    Closed lips stay together whatever the jaw does: mouthClose = close * jawOpen, and lips that are closing stop
    pulling apart.
    """
    y = articulators.clamp(0, 1)
    apart = 1 - y[..., CLOSE : CLOSE + 1]
    lips = torch.cat([y[..., :LOWER_DOWN], y[..., LOWER_DOWN:ROLL] * apart, y[..., ROLL:]], -1)
    shapes = lips @ matrix
    jaw_open, mouth_close = INDEX["jawOpen"], INDEX["mouthClose"]
    sealed = (y[..., CLOSE] * shapes[..., jaw_open])[..., None]
    return torch.cat([shapes[..., :mouth_close], sealed, shapes[..., mouth_close + 1 :]], -1).clamp(0, 1)


def blendshape_aperture(shapes: Tensor) -> Tensor:
    """`aperture` read back from blendshapes [..., 52] made by `to_blendshapes`: what the picture's lips should do."""

    def raw(articulator: int, name: str) -> Tensor:
        return shapes[..., INDEX[name]] / _SPREAD[articulator][name]

    open_jaw = raw(JAW, "jawOpen") - shapes[..., INDEX["mouthClose"]] / _SPREAD[JAW]["jawOpen"]
    lips = 0.30 * raw(LOWER_DOWN, "mouthLowerDownLeft") + 0.25 * raw(UPPER_UP, "mouthUpperUpLeft")
    sealed = shapes[..., INDEX["mouthClose"]] / shapes[..., INDEX["jawOpen"]].clamp(min=1e-6)
    funnel = raw(FUNNEL, "mouthFunnel") * _SPREAD[FUNNEL]["mouthPucker"] / _SPREAD[PUCKER]["mouthPucker"]
    inward = (0.15 * raw(ROLL, "mouthRollLower") + _POUT * (raw(PUCKER, "mouthPucker") - funnel)) * (1 - sealed)
    return (open_jaw + lips - inward).clamp(min=0)
