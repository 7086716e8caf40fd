"""3 x 3 convolutions by Winograd's minimal filtering, F(4 x 4, 3 x 3): 36 products where there would be 144.

Lavin and Gray 2016, "Fast algorithms for convolutional neural networks". A tile of 6 x 6 inputs becomes 4 x 4 outputs:
both are brought into another basis by small matrices, and there channels are mixed by one matrix product a place.
torch's own convolutions do not do it in float32. Pictures have a way of their own (`tiled_conv.py`); here are the
bases, and volumes, whose convolution is three of these, one for each layer of its kernel.
"""

from __future__ import annotations

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

TILE, REACH = 4, 6  # outputs and inputs of a tile, each way
AT_ONCE = 4_000_000  # numbers of a stretch of tiles in the other basis: what the cache still helps with
FEWEST = 128  # tiles of a stretch, for which the kernels are read once

# Where polynomials are compared (and at infinity). The usual 0, 1, -1, 2, -2 err four times as far at their worst.
POINTS = (0.0, 0.75, -0.75, 1.5, -1.5)


def _bases() -> tuple[Tensor, Tensor, Tensor]:
    """Toom and Cook's matrices for one axis, float64: inputs [6, 6], kernels [6, 3], outputs [4, 6]."""
    others = [[other for other in POINTS if other != point] for point in POINTS]
    inputs = np.zeros((REACH, REACH))
    kernel, output = np.zeros((REACH, 3)), np.zeros((TILE, REACH))
    for row, (point, rest) in enumerate(zip(POINTS, others, strict=True)):
        inputs[row, : REACH - 1] = np.poly(rest)[::-1]
        kernel[row] = point ** np.arange(3) / np.prod([point - other for other in rest])
        output[:, row] = point ** np.arange(TILE)
    inputs[-1] = np.poly(POINTS)[::-1]
    kernel[-1, -1] = output[-1, -1] = 1.0
    return torch.from_numpy(inputs), torch.from_numpy(kernel), torch.from_numpy(output)


_AXES = _bases()
INPUT_AXIS, OUTPUT_AXIS = _AXES[0].tolist(), _AXES[2].tolist()
INPUT, KERNEL, OUTPUT = (torch.kron(base, base) for base in _AXES)  # [36, 36], [36, 9], [16, 36]
INPUT, OUTPUT = INPUT.float(), OUTPUT.float()  # exact; the kernels' are not


def kernels(weight: Tensor) -> Tensor:
    """Weights [O, I, 3, 3] in the other basis, [36, O, I]."""
    places = weight.detach().double().permute(2, 3, 0, 1).reshape(9, -1)
    return (KERNEL @ places).float().view(REACH * REACH, *weight.shape[:2])


def product(a: Tensor, b: Tensor) -> Tensor:
    """A matrix product by numpy, whose BLAS is a quarter to a half faster than torch's on an AMD core."""
    return torch.from_numpy(np.matmul(a.numpy(), b.numpy()))


def into_basis(padded: Tensor) -> Tensor:
    """Overlapping tiles of [I, 4 a + 2, 4 b + 2] in the other basis, [36, I, a * b]."""
    tiles = padded.unfold(1, REACH, TILE).unfold(2, REACH, TILE)  # [I, a, b, 6, 6]
    gathered = tiles.permute(3, 4, 0, 1, 2).reshape(REACH * REACH, -1)
    return product(INPUT, gathered).view(REACH * REACH, len(padded), -1)


class WinogradConv3d:
    """A convolution of volumes with a border of zeros: [I, D, H, W] -> [O, D, H, W], H and W multiples of four."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.outputs, self.inputs = weight.shape[:2]
        self._kernels = [kernels(weight[:, :, layer]) for layer in range(3)]
        self._bias = bias.detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        depth, height, width = x.shape[1:]
        down, across = height // TILE, width // TILE
        padded = F.pad(x, (1, 1, 1, 1))
        out = torch.empty(self.outputs, depth, down, TILE, across, TILE)
        each = 36 * across * (self.inputs * (depth + 2) + self.outputs * depth)
        rows = max(-(-FEWEST // (depth * across)), AT_ONCE // each)
        for top in range(0, down, rows):
            high = min(rows, down - top)
            count = high * across
            piece = padded[:, :, TILE * top : TILE * (top + high) + 2]
            basis = into_basis(piece.flatten(0, 1)).view(36, self.inputs, depth, count)
            basis = F.pad(basis, (0, 0, 1, 1)).flatten(2)  # a layer of zeros before the first, one behind the last
            mixed = torch.bmm(self._kernels[0], basis[:, :, : depth * count])
            for layer in (1, 2):
                start = layer * count
                mixed.baddbmm_(self._kernels[layer], basis[:, :, start : start + depth * count])
            tiles = product(OUTPUT, mixed.flatten(1)).view(TILE, TILE, self.outputs, depth, high, across)
            out[:, :, top : top + high] = tiles.permute(2, 3, 4, 0, 5, 1)
        return out.view(self.outputs, depth, height, width).add_(self._bias[:, None, None, None])
