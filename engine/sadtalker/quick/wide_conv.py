"""The 7 x 7 x 7 convolution of the dense motion's mask, by Fourier transforms across and direct sums in depth."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor


class WideConv3d:
    """[I, D, H, W] -> [O, D, H, W] with a border of zeros, for kernels [O, I, k, k, k] of odd k."""

    def __init__(self, weight: Tensor, bias: Tensor, side: int) -> None:
        """``side``: H and W that it will see."""
        self._reach = weight.shape[-1] // 2
        self._side = side
        self._size = side + 2 * self._reach
        flipped = weight.detach().flip(3, 4)
        waves = torch.fft.rfft2(flipped, s=(self._size, self._size))  # [O, I, k, size, size // 2 + 1]
        self._kernels = waves.permute(2, 3, 4, 0, 1).flatten(1, 2).to(torch.complex64).contiguous()  # [k, waves, O, I]
        self._bias = bias.detach().clone()

    def __call__(self, x: Tensor) -> Tensor:
        depth, reach, size = x.shape[1], self._reach, self._size
        waves = torch.fft.rfft2(x, s=(size, size))  # [I, D, size, size // 2 + 1]
        across = waves.shape[-1]
        columns = F.pad(waves.flatten(2), (0, 0, reach, reach)).permute(2, 0, 1).contiguous()  # [waves, I, D + 2 reach]
        mixed = torch.bmm(self._kernels[0], columns[:, :, :depth])
        for layer in range(1, 2 * reach + 1):
            mixed.baddbmm_(self._kernels[layer], columns[:, :, layer : layer + depth])
        back = mixed.permute(1, 2, 0).unflatten(2, (size, across))
        whole = torch.fft.irfft2(back, s=(size, size))
        inside = slice(reach, reach + self._side)
        return whole[:, :, inside, inside] + self._bias[:, None, None, None]
