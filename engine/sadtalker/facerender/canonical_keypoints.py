"""Canonical keypoints of a portrait in 3D, whatever its pose and expression (face-vid2vid, Wang et al. 2021)."""

from __future__ import annotations

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.facerender.render_blocks import DownBlock2d, UpBlock3d, widths
from engine.sadtalker.facerender.render_shape import RenderShape

SMALLER = 4  # the network sees a quarter of the picture
TEMPERATURE = 0.1  # of the soft argmax


class AntiAlias(nn.Module):
    """A quarter of a picture, softened first by a Gaussian of 13 pixels that the released file holds."""

    weight: Tensor

    def __init__(self) -> None:
        super().__init__()
        sigma = (SMALLER - 1) / 2
        place = torch.arange(13, dtype=torch.float32) - 6
        curve = torch.exp(-place.square() / (2 * sigma**2))
        kernel = curve[:, None] * curve
        self.register_buffer("weight", (kernel / kernel.sum()).expand(3, 1, 13, 13).clone())

    def forward(self, image: Tensor) -> Tensor:
        return F.conv2d(image, self.weight, stride=SMALLER, padding=6, groups=3)


class KeypointHourglass(nn.Module):
    """A picture down to 1/32, made a volume, and up again; features [B, C, D, H, W]."""

    def __init__(self, shape: RenderShape) -> None:
        super().__init__()
        levels = widths(shape.finder_block, shape.finder_most, shape.finder_blocks)
        self.depth = shape.depth
        downs = zip([3, *levels[1:-1]], levels[1:], strict=True)
        self.down_blocks = nn.Sequential(OrderedDict((f"down{i}", DownBlock2d(*io)) for i, io in enumerate(downs)))
        self.conv = nn.Conv2d(levels[-1], levels[-1] * shape.depth, 1)
        ups = zip(levels[:0:-1], levels[-2::-1], strict=True)
        self.up_blocks = nn.Sequential(OrderedDict((f"up{i}", UpBlock3d(*io)) for i, io in enumerate(ups)))

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(self.down_blocks(x))
        volume: Tensor = self.up_blocks(y.unflatten(1, (-1, self.depth)))
        return volume


class KeypointFinder(nn.Module):
    """Portraits [B, 3, S, S] in [0, 1] -> canonical keypoints [B, K, 3], x, y and z in [-1, 1]."""

    def __init__(self, shape: RenderShape | None = None) -> None:
        super().__init__()
        shape = shape or RenderShape()
        self.predictor = KeypointHourglass(shape)
        self.kp = nn.Conv3d(shape.finder_block, shape.keypoints, 3, padding=1)
        self.down = AntiAlias()

    def forward(self, image: Tensor) -> Tensor:
        heat = self.kp(self.predictor(self.down(image)))
        likely = F.softmax(heat.flatten(2) / TEMPERATURE, 2).view_as(heat)
        where = coordinates(heat.shape[2], heat.shape[3], heat.shape[4]).to(heat)
        return (likely[..., None] * where).sum((2, 3, 4))


def coordinates(depth: int, height: int, width: int) -> Tensor:
    """x, y and z [D, H, W, 3] of a volume's cells, from -1 to 1 at the outermost cells' centres."""
    z, y, x = (2.0 * (torch.arange(n, dtype=torch.float32) / (n - 1)) - 1.0 for n in (depth, height, width))
    grid = torch.meshgrid(z, y, x, indexing="ij")
    return torch.stack([grid[2], grid[1], grid[0]], 3)
