"""The networks of the learned picture as a `torch.export` program, and from it, where wished, a TensorRT engine."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple

import torch
from torch import Tensor, nn

from engine.errors import VivifyError
from engine.render.learned.lip_square import FIELD, LANDMARKS, PICTURE
from engine.render.learned.mouth_patch import CORNERS, corner_of, warp
from engine.render.learned.picture_generator import FEATURES, LearnedHalf, Look, Seen


class Sight(NamedTuple):
    """What the networks see of R pictures; as `picture_generator.Seen`, with the portraits as features."""

    features: Tensor  # [R, 24, 64, 64]
    light: Tensor  # [R, 3, 1, 1]
    painted: Tensor  # [R, 3, 256, 256] in [0, 1]
    texture_reference: Tensor
    texture: Tensor
    lips_reference: Tensor  # [R, 20, 2] in [-1, 1]
    lips: Tensor
    flow: Tensor  # [R, 2, 64, 64]
    gate: Tensor  # [R] how much the networks may change


class Core(nn.Module):
    """`Sight` -> the residual motion [R, 2, 32, 32] and what to add [R, 3, 128, 128], both of the square and gated."""

    def __init__(self, model: LearnedHalf) -> None:
        super().__init__()
        self.model = model

    def forward(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        sight = Sight(*given)
        gate, corner = sight.gate.view(-1, 1, 1, 1), corner_of(sight.lips)
        dense = self.model.motion(sight.texture_reference, sight.texture, sight.lips_reference, sight.lips)
        residual = dense.motion * gate
        warped = warp(sight.painted, residual, corner)
        seen = Seen(portrait=sight.painted, moved=sight.gate, **_rest(sight))  # with a look the portrait is not read
        return residual, gate * self.model.paint(seen, dense, residual, warped, Look(sight.features, sight.light))


def _rest(sight: Sight) -> dict[str, Tensor]:
    names = ("painted", "texture_reference", "texture", "lips_reference", "lips", "flow")
    return {name: getattr(sight, name) for name in names}


def example(rows: int, device: torch.device) -> Sight:
    """Some input of ``rows`` pictures."""

    def made(*shape: int) -> Tensor:
        return torch.rand(rows, *shape, device=device)

    lips = 0.02 * made(len(LANDMARKS), 2)
    lips[:, CORNERS[0], 0] -= 0.2
    lips[:, CORNERS[1], 0] += 0.2
    return Sight(
        features=made(FEATURES, FIELD, FIELD),
        light=1 + made(3, 1, 1),
        painted=made(3, PICTURE, PICTURE),
        texture_reference=made(3, PICTURE, PICTURE),
        texture=made(3, PICTURE, PICTURE),
        lips_reference=lips,
        lips=lips + 0.02,
        flow=2 * made(2, FIELD, FIELD) - 1,
        gate=made(),
    )


def export(core: Core, rows: int, device: torch.device) -> torch.export.ExportedProgram:
    """The networks as a program for ``rows`` pictures: one for each batch size, as with CUDA graphs."""
    return torch.export.export(core.eval(), tuple(example(rows, device)))


# Half precision where it does no harm. torch-tensorrt 2.10 and later take types as the program has them and refuse the
# older ``enabled_precisions``; 2.14 has no such argument any more.
PRECISION = {"enable_autocast": True, "autocast_low_precision_type": torch.float16}


class WithTensorRT:
    """The same call as `Core`, compiled by TensorRT for every batch size that comes, in half precision where faster.

    Raises VivifyError where torch-tensorrt is missing or there is no CUDA device.
    """

    def __init__(self, core: Core, device: torch.device) -> None:
        try:
            self._compiler = import_module("torch_tensorrt")
        except ImportError as missing:
            raise VivifyError(
                "Networks compiled by TensorRT need the package torch-tensorrt, which is not installed: "
                "pip install 'vivify[tensorrt]', or leave TensorRT out."
            ) from missing
        if device.type != "cuda":
            raise VivifyError(f"TensorRT needs a CUDA device, but the networks lie on {device}: leave TensorRT out.")
        self._core, self._device = core, device
        self._compiled: dict[int, Callable[..., tuple[Tensor, Tensor]]] = {}

    def __call__(self, *given: Tensor) -> tuple[Tensor, Tensor]:
        rows = len(given[0])
        if rows not in self._compiled:
            program = export(self._core, rows, self._device)
            some = tuple(example(rows, self._device))
            self._compiled[rows] = self._compiler.dynamo.compile(program, some, **PRECISION)
        return self._compiled[rows](*given)
