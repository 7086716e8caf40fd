"""Dense motion: where each cell of the driven volume comes from in the portrait's (face-vid2vid)."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from engine.sadtalker.facerender.canonical_keypoints import coordinates
from engine.sadtalker.facerender.render_blocks import DownBlock3d, UpBlock3d, widths
from engine.sadtalker.facerender.render_shape import RenderShape

VARIANCE = 0.01  # of the keypoints' heat
LEAST = 1e-3  # motions that count for less do not count


class HourglassEncoder(nn.Module):
    def __init__(self, inputs: int, levels: list[int]) -> None:
        super().__init__()
        ins = [inputs, *levels[1:-1]]
        self.down_blocks = nn.ModuleList(DownBlock3d(a, b) for a, b in zip(ins, levels[1:], strict=True))

    def forward(self, x: Tensor) -> list[Tensor]:
        outs = [x]
        for block in self.down_blocks:
            outs.append(block(outs[-1]))
        return outs


class HourglassDecoder(nn.Module):
    def __init__(self, inputs: int, levels: list[int]) -> None:
        super().__init__()
        ins = [levels[-1], *(2 * width for width in levels[-2:0:-1])]
        self.up_blocks = nn.ModuleList(UpBlock3d(a, b) for a, b in zip(ins, levels[-2::-1], strict=True))
        self.outputs = levels[0] + inputs
        self.conv = nn.Conv3d(self.outputs, self.outputs, 3, padding=1)
        self.norm = nn.BatchNorm3d(self.outputs)

    def forward(self, levels: list[Tensor]) -> Tensor:
        y = levels[-1]
        for block, skip in zip(self.up_blocks, levels[-2::-1], strict=True):
            y = torch.cat([block(y), skip], 1)
        out: Tensor = self.norm(self.conv(y)).relu()
        return out


class Hourglass(nn.Module):
    def __init__(self, inputs: int, levels: list[int]) -> None:
        super().__init__()
        self.encoder = HourglassEncoder(inputs, levels)
        self.decoder = HourglassDecoder(inputs, levels)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.decoder(self.encoder(x))
        return y


class DenseMotion(nn.Module):
    """A portrait's volume and two sets of keypoints -> the motion of each cell, and what the portrait does not show."""

    def __init__(self, shape: RenderShape) -> None:
        super().__init__()
        levels = widths(shape.motion_block, shape.motion_most, shape.motion_blocks)
        self.hourglass = Hourglass((shape.keypoints + 1) * (shape.compressed + 1), levels)
        features = self.hourglass.decoder.outputs
        self.mask = nn.Conv3d(features, shape.keypoints + 1, 7, padding=3)
        self.compress = nn.Conv3d(shape.volume, shape.compressed, 1)
        self.norm = nn.BatchNorm3d(shape.compressed)
        self.occlusion = nn.Conv2d(features * shape.depth, 1, 7, padding=3)

    def compressed(self, volume: Tensor) -> Tensor:
        """The few channels that motions are tried on; of the portrait alone."""
        y: Tensor = self.norm(self.compress(volume)).relu()
        return y

    def forward(self, compressed: Tensor, source: Tensor, driving: Tensor) -> tuple[Tensor, Tensor]:
        """``compressed`` [B, c, D, H, W], keypoints [B, K, 3] -> where from [B, D, H, W, 3], visible [B, 1, H, W]."""
        motions = sparse_motions(compressed.shape[2:], source, driving)
        tried = torch.cat([heat(compressed.shape[2:], source, driving), deformed(compressed, motions)], 2)
        features = self.hourglass(tried.flatten(1, 2))
        where = blended(F.softmax(self.mask(features), 1), motions)
        return where, torch.sigmoid(self.occlusion(features.flatten(1, 2)))


def sparse_motions(size: torch.Size, source: Tensor, driving: Tensor) -> Tensor:
    """Where cells come from [B, K + 1, D, H, W, 3] if all moved as one keypoint does; the first stands still."""
    grid = coordinates(*size).to(source)
    still = grid.expand(len(source), 1, *grid.shape)
    moved = grid - driving[:, :, None, None, None] + source[:, :, None, None, None]
    return torch.cat([still, moved], 1)


def deformed(compressed: Tensor, motions: Tensor) -> Tensor:
    """The volume by each of the motions, [B, K + 1, c, D, H, W]."""
    rows, moves = motions.shape[:2]
    many = compressed[:, None].expand(-1, moves, -1, -1, -1, -1).flatten(0, 1)
    # Not aligned to corners, though the grid is: the released networks learned with it.
    return F.grid_sample(many, motions.flatten(0, 1), align_corners=False).unflatten(0, (rows, moves))


def heat(size: torch.Size, source: Tensor, driving: Tensor) -> Tensor:
    """Where each keypoint has come, less where it was, [B, K + 1, 1, D, H, W]; nothing for the first."""
    grid = coordinates(*size).to(source)

    def bumps(keypoints: Tensor) -> Tensor:
        return torch.exp(-0.5 * (grid - keypoints[:, :, None, None, None]).square().sum(-1) / VARIANCE)

    return F.pad(bumps(driving) - bumps(source), (0, 0, 0, 0, 0, 0, 1, 0))[:, :, None]


def blended(shares: Tensor, motions: Tensor) -> Tensor:
    """The motions [B, K + 1, D, H, W, 3] by their shares [B, K + 1, D, H, W], the small ones left out."""
    counted = torch.where(shares < LEAST, torch.zeros_like(shares), shares)
    return torch.einsum("bkdhw,bkdhwc->bdhwc", counted, motions)
