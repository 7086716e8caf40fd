"""What posing reads out of blendshapes: sums of a few coefficients that the rules of lips, eyes and mouth ask for."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from engine.face.blendshapes import INDEX, NAMES
from engine.face.morphable_model import face_model
from engine.render.parts.driven_face import TUCKS
from engine.render.parts.lip_ring import WIDENERS
from engine.render.parts.mouth import JAW_BONE, JAW_SHAPES, JAW_SHARE, LAZY, PARTS


class Read(NamedTuple):
    """Of R rows; pairs are the person's right and left eye."""

    rounded: Tensor  # [R, 1] as `engine.render.parts.lip_ring.rounding`
    widened: Tensor  # [R, 1] as `engine.render.parts.lip_ring.widening`
    tucked: Tensor  # [R, 1] as `engine.render.parts.driven_face.tucking`
    tongue: Tensor  # [R, 1] how far it is to be put out
    jaw: Tensor  # [R, 3] centimetres that lower teeth and tongue move
    blink: Tensor  # [R, 2]
    aside: Tensor  # [R, 2] gaze outwards, in the person's terms
    down: Tensor  # [R, 2] and downwards


class Reader:
    """Reads all of it with one product."""

    def __init__(self, device: torch.device) -> None:
        model = face_model()
        weights = np.zeros((len(NAMES), 14), np.float32)

        def put(column: int, **shapes: float) -> None:
            for name, weight in shapes.items():
                weights[INDEX[name], column] = weight

        put(0, mouthPucker=1, mouthFunnel=0.5)
        weights[WIDENERS, 1] = 1
        put(2, mouthRollLower=1, mouthRollUpper=-1, mouthPressLeft=-1, mouthPressRight=-1)
        put(3, jawOpen=1)
        put(4, tongueOut=1)
        jaw = {name: model.expressions[INDEX[name], list(JAW_BONE)].mean(0) * JAW_SHARE for name in JAW_SHAPES}
        for name in JAW_SHAPES[1:]:
            weights[INDEX[name], 5:8] = jaw[name]
        weights[INDEX["mouthFunnel"], 6] = model.expressions[INDEX["mouthFunnel"], 14, 1]
        for eye, side in enumerate(("Right", "Left")):
            put(8 + eye, **{f"eyeBlink{side}": 1})
            put(10 + eye, **{f"eyeLookOut{side}": 1, f"eyeLookIn{side}": -1})
            put(12 + eye, **{f"eyeLookDown{side}": 1, f"eyeLookUp{side}": -1})
        self._drop = torch.from_numpy(jaw["jawOpen"].astype(np.float32)).to(device)  # not all of it is followed
        self._weights = torch.from_numpy(weights).to(device)

    def __call__(self, beta: Tensor) -> Read:
        """Of blendshapes [R, 52]."""
        told = beta @ self._weights
        tucked = smoothstep((told[:, 2:3] - TUCKS[0]) / (TUCKS[1] - TUCKS[0]))
        followed = LAZY + (1 - LAZY) * smoothstep((told[:, 3:4] - PARTS[0]) / (PARTS[1] - PARTS[0]))
        return Read(
            rounded=told[:, 0:1].clamp(0, 1),
            widened=told[:, 1:2].clamp(0, 1),
            tucked=tucked * smoothstep(1 - told[:, 3:4] / 0.35),
            tongue=told[:, 4:5].clamp(0, 1),
            jaw=told[:, 5:8] + followed * told[:, 3:4] * self._drop,
            blink=told[:, 8:10],
            aside=told[:, 10:12],
            down=told[:, 12:14],
        )


def smoothstep(x: Tensor) -> Tensor:
    """0 below 0, 1 above 1, smooth between."""
    x = x.clamp(0, 1)
    return x * x * (3 - 2 * x)
