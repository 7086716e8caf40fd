"""3 x 3 convolutions of pictures with channels last, by Winograd: the decoder's, and what it does right after each.

Pictures are [H + 2, W + 2, C] with a border of zeros, C padded to a multiple of sixteen, H and W multiples of four.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from engine.contracts import FloatArray
from engine.sadtalker.quick import tiles
from engine.sadtalker.quick.lane_transforms import LANES
from engine.sadtalker.quick.winograd import TILE, kernels

AT_ONCE = 8_000_000  # numbers of a stretch of tiles in the other basis: what the cache still helps with
FEWEST = 128  # tiles of a stretch, for which the kernels are read once


def wide(value: Tensor, *axes: int) -> Tensor:
    """Zeros after the channels along ``axes``, up to a multiple of sixteen."""
    for axis in axes:
        more = -value.shape[axis] % LANES
        value = F.pad(value, [0] * (2 * (value.dim() - 1 - axis)) + [0, more])
    return value


class Product:
    """[n, I] -> [n, O] by a weight [O, I], by oneDNN where torch has it: on an AMD core twice as fast as MKL's."""

    def __init__(self, weight: Tensor) -> None:
        self._packs = torch.backends.mkldnn.is_available()
        weight = weight.detach().contiguous()
        self._weight = weight.to_mkldnn() if self._packs else weight

    def __call__(self, x: Tensor) -> Tensor:
        return F.linear(x.to_mkldnn(), self._weight).to_dense() if self._packs else F.linear(x, self._weight)


def picture_of(x: Tensor) -> Tensor:
    """[C, H, W] as such a picture."""
    return F.pad(wide(x.permute(1, 2, 0), 2), (0, 0, 1, 1, 1, 1)).contiguous()


def blank(other: Tensor, channels: int, times: int = 1) -> Tensor:
    """A picture ``times`` as high and wide as another, of which only the border is written yet."""
    out = torch.empty(*(times * (side - 2) + 2 for side in other.shape[:2]), channels)
    for edge in (out[0], out[-1], out[:, 0], out[:, -1]):
        edge.zero_()
    return out


class Normal:
    """What instance norm subtracts from a picture's channels, and what it multiplies them by. As large or smaller."""

    def __init__(self, picture: Tensor, smaller: int = 0) -> None:
        """``smaller``: 2 ** so many times each way than where it is used."""
        self.picture, self.smaller = picture.numpy(), smaller
        self.mean, self.spread = np.empty((2, picture.shape[2]), np.float32)
        tiles.spreads(self.picture, self.mean, self.spread)


class TiledConv:
    """For weights [O, I, 3, 3] of padded channels, and a bias [O]."""

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.outputs, self.inputs = weight.shape[:2]
        self._products = [Product(one) for one in kernels(weight)]
        self._bias = bias.detach().numpy().copy()

    def _stretches(self, x: Tensor, first: int) -> Iterator[tuple[FloatArray, int, int]]:
        """Where the products of some rows of tiles lie, the first of those rows, and how many tiles."""
        down, across = (x.shape[0] - 2) // TILE, (x.shape[1] - 2) // TILE
        rows = max(-(-FEWEST // across), AT_ONCE // (36 * across * (self.inputs + self.outputs)))
        rows = -(-down // -(-down // rows))  # stretches about as long as one another
        for top in range(0, down, rows):
            count = min(rows, down - top) * across
            basis = torch.empty(36, count, self.inputs)
            tiles.cut(x.numpy(), first, top, basis.numpy())
            products = [product(one) for product, one in zip(self._products, basis, strict=True)]
            yield np.array([one.data_ptr() for one in products]), top, count

    def __call__(self, x: Tensor, slope: float = 1.0, first: int = 0) -> Tensor:
        """The picture of ``x``'s channels from ``first`` on; what is below zero times ``slope``."""
        out = blank(x, self.outputs)
        for products, top, count in self._stretches(x, first):
            tiles.lay(products, self._bias, slope, False, top, count, out.numpy())
        return out

    def add_to(self, out: Tensor, x: Tensor) -> Tensor:
        for products, top, count in self._stretches(x, 0):
            tiles.lay(products, self._bias, 1.0, True, top, count, out.numpy())
        return out

    def told(self, normal: Normal, x: Tensor, first: int, slope: float) -> Tensor:
        """``normal`` by half of the answers, plus the other half."""
        out = blank(x, self.outputs // 2)
        for products, top, count in self._stretches(x, first):
            tiles.told(
                products, self._bias, slope, normal.picture, normal.smaller, normal.mean, normal.spread, top, count,
                out.numpy(),
            )  # fmt: skip
        return out

    def told_past(self, normal: Normal, x: Tensor) -> tuple[Tensor, Tensor]:
        """``normal`` by as many of the answers as it has channels [H, W, C]; the others, a picture."""
        channels = normal.picture.shape[2]
        out = blank(x, self.outputs - channels)
        scaled = torch.empty(x.shape[0] - 2, x.shape[1] - 2, channels)
        for products, top, count in self._stretches(x, 0):
            tiles.told_past(
                products, self._bias, normal.picture, normal.smaller, normal.mean, normal.spread, top, count,
                scaled.numpy(), out.numpy(),
            )  # fmt: skip
        return scaled, out
