"""Dense motion, cheaper: what each keypoint does to the volume is a shift, and a shift is three small matrices."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.sadtalker.facerender.dense_motion_network import LEAST, VARIANCE, DenseMotion
from engine.sadtalker.quick.folding import Conv, conv3d, folded, grown_conv3d
from engine.sadtalker.quick.wide_conv import WideConv3d


class Still:
    """What dense motion needs of a portrait: computed once."""

    def __init__(self, compressed: Tensor, source: Tensor) -> None:
        """``compressed`` [c, D, H, W], ``source`` [K, 3]."""
        self.size = compressed.shape[1:]
        self.source = source
        self.heat = bumps(source, self.size)
        axes = [cells(n) for n in self.size]
        z, y, x = torch.meshgrid(*axes, indexing="ij")
        self.grid = torch.stack([x, y, z], 3).view(-1, 3)
        self.compressed = compressed
        # The first motion stands still; yet its grid is made for corners and read without, so that even it is no copy.
        self.unmoved = shifted(compressed, torch.zeros(1, 3))


class QuickMotion:
    """For volumes [C, D, side, side]."""

    def __init__(self, network: DenseMotion, side: int) -> None:
        encoder, decoder = network.hourglass.encoder, network.hourglass.decoder
        sides = [side >> level for level in range(len(encoder.down_blocks) + 1)]
        self._downs: list[Conv] = [
            conv3d(*folded(block.conv, block.norm), at)  # type: ignore[arg-type]
            for block, at in zip(encoder.down_blocks, sides[:-1], strict=True)
        ]
        self._ups: list[Conv] = [
            grown_conv3d(*folded(block.conv, block.norm), at)  # type: ignore[arg-type]
            for block, at in zip(decoder.up_blocks, sides[-2::-1], strict=True)
        ]
        self._last = conv3d(*folded(decoder.conv, decoder.norm), side)
        assert network.mask.bias is not None
        self._mask = WideConv3d(network.mask.weight, network.mask.bias, side)
        self._occlusion = network.occlusion

    def __call__(self, still: Still, driving: Tensor) -> tuple[Tensor, Tensor]:
        """Keypoints [K, 3] -> where each cell comes from [D, H, W, 3], and what is visible [1, H, W]."""
        shifts = still.source - driving
        tried = torch.cat([still.unmoved, shifted(still.compressed, shifts)])  # [K + 1, c, D, H, W]
        heat = F.pad(bumps(driving, still.size) - still.heat, (0, 0, 0, 0, 0, 0, 1, 0))
        features = self._hourglass(torch.cat([heat[:, None], tried], 1).flatten(0, 1))
        shares = F.softmax(self._mask(features), 0)
        shares = torch.where(shares < LEAST, torch.zeros_like(shares), shares).flatten(1)  # [K + 1, cells]
        where = still.grid * shares.sum(0)[:, None] + shares[1:].T @ shifts
        visible = torch.sigmoid(self._occlusion(features.flatten(0, 1)[None])[0])
        return where.view(*still.size, 3), visible

    def _hourglass(self, x: Tensor) -> Tensor:
        levels = [x]
        for down in self._downs:
            levels.append(F.avg_pool3d(down(levels[-1]).relu_()[None], (1, 2, 2))[0])
        y = levels.pop()
        for up in self._ups:
            y = torch.cat([up(y).relu_(), levels.pop()])
        return self._last(y).relu_()


def cells(count: int) -> Tensor:
    return 2.0 * (torch.arange(count, dtype=torch.float32) / (count - 1)) - 1.0


def bumps(keypoints: Tensor, size: torch.Size) -> Tensor:
    """Heat around keypoints [K, 3] in a volume, [K, D, H, W]: a product of three curves."""
    z, y, x = (
        torch.exp(-0.5 * (cells(count) - keypoints[:, axis, None]).square() / VARIANCE)
        for count, axis in zip(size, (2, 1, 0), strict=True)
    )
    return (z[:, :, None] * y[:, None])[..., None] * x[:, None, None]


def shifted(volume: Tensor, shifts: Tensor) -> Tensor:
    """The volume [c, D, H, W] by each of ``shifts`` [K, 3] (x, y, z), [K, c, D, H, W]; zeros beyond its sides."""
    z, y, x = (_taps(count, shifts[:, axis]) for count, axis in zip(volume.shape[1:], (2, 1, 0), strict=True))
    out = torch.matmul(volume, x.mT[:, None, None])  # [K, c, D, H, W]
    out = torch.matmul(y[:, None, None], out)
    return torch.matmul(z[:, None], out.flatten(3)).view_as(out)


def _taps(count: int, shift: Tensor) -> Tensor:
    """How much of each cell [K, to, from] is read along one axis."""
    place = ((cells(count) + shift[:, None] + 1.0) * count - 1.0) / 2.0
    return (1.0 - (place[..., None] - torch.arange(count)).abs()).clamp(min=0.0)
