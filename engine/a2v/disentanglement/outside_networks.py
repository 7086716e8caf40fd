"""Networks that a user brings as ONNX files, for losses to look through: VGG's features, a gaze encoder's.

Torch carries their graphs out (`engine.export.onnx_in_torch`). Nothing of them is trained.
"""

from __future__ import annotations

from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.errors import VivifyError
from engine.export.onnx_in_torch import OnnxInTorch, graph_of, inputs_of

MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # ImageNet's, which both of them were trained with


class OutsideNetwork(nn.Module):
    """Pictures [N, 3, H, W] in [0, 1] -> what every output of an ONNX file says of them, a list.

    The file takes one batch of pictures, N free or 1, as ImageNet's networks have them: RGB, normalised by `MEAN` and
    `SPREAD`; pictures are resized to its height and width where these are fixed. Raises VivifyError when the file
    cannot be read or has an operation that is not among `engine.export.onnx_in_torch.OPERATORS`.
    """

    def __init__(self, path: Path) -> None:
        super().__init__()
        graph = graph_of(path, "a network that looks at pictures")
        inputs = inputs_of(graph)
        sides = [side.dim_value for side in inputs[0].type.tensor_type.shape.dim] if len(inputs) == 1 else []
        if len(sides) != 4 or sides[1] not in (0, 3):
            raise VivifyError(
                f"'{path}' was expected to take pictures [N, 3, H, W] and nothing else, but does not: export it "
                "with them as its only input."
            )
        self._network = OnnxInTorch(graph, f"'{path}'")
        self._size = (sides[2], sides[3]) if sides[2] and sides[3] else None
        self._single = sides[0] == 1
        self.register_buffer("middle", torch.tensor(MEAN).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("spread", torch.tensor(SPREAD).view(1, 3, 1, 1), persistent=False)

    middle: Tensor
    spread: Tensor

    def forward(self, pictures: Tensor) -> list[Tensor]:
        x = (pictures - self.middle) / self.spread
        if self._size and tuple(x.shape[2:]) != self._size:
            x = F.interpolate(x, self._size, mode="bilinear", align_corners=False, antialias=True)
        if not self._single:
            return self._network(x)
        rows = [self._network(row) for row in x.split(1)]
        return [torch.cat(parts) for parts in zip(*rows, strict=True)]
