"""The square around the lips in which the learned half of the picture works: what it may change, cut and paste.

Elsewhere the networks were tried and did worse than geometry on faces they had not seen: hair and background are the
portrait's own, and every pixel sampled anew is a little blurred. So the residual motion and the generator are confined
to a window around the lips, which also makes them four times as cheap.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from engine.render.learned.lip_square import CELLS, CORNERS, FIELD, LOWER, UPPER, WIDE, WIDEST

SIGMA = 2.5  # cells; the window is full up to about one, and closed beyond one and a half, from the nearest landmark
FULL, CLOSED = 0.6, 0.3  # of the Gaussian's height
TAPER = 3.0  # cells from the square's border over which the window closes in any case


def gaussian_maps(points: Tensor, sigma: float, size: int = FIELD) -> Tensor:
    """Points [B, N, 2] (x, y), the picture spanning [-1, 1], -> maps [B, N, size, size], 1 at the peak."""
    at = (torch.arange(size, device=points.device, dtype=points.dtype) + 0.5) * (2 / size) - 1
    x = torch.exp(-0.5 * ((at - points[..., :1]) * (0.5 * size / sigma)) ** 2)  # [B, N, size]
    y = torch.exp(-0.5 * ((at - points[..., 1:]) * (0.5 * size / sigma)) ** 2)
    return y[..., :, None] * x[..., None, :]


def corner_of(lips: Tensor) -> Tensor:
    """The square's upper left cell (x, y) [B, 2] for lip landmarks [B, N, 2]; the square stays inside the picture."""
    middle = (lips.mean(1) + 1) * (FIELD / 2)
    return (middle - CELLS / 2).round().long().clamp(0, FIELD - CELLS)


def window(lips: Tensor, corner: Tensor) -> Tensor:
    """How much may be changed [B, 1, 64, 64]: 1 on and around the lips, exactly 0 away from them."""
    near = gaussian_maps(lips, SIGMA).amax(1, keepdim=True)
    share = ((near - CLOSED) / (FULL - CLOSED)).clamp(0, 1)
    at = torch.arange(FIELD, device=lips.device) + 0.5
    inside = CELLS / 2 - (at - (corner[..., None] + CELLS / 2)).abs()  # [B, 2, 64] cells from the border, x and y
    taper = (inside / TAPER).clamp(0, 1)
    return share * taper[:, 1, None, :, None] * taper[:, 0, None, None, :]


def confidence(lips_reference: Tensor, lips: Tensor) -> Tensor:
    """1 for mouths [B, 20, 2] as films show them, 0 for wider ones, which nobody has learned; [B, 1, 1, 1]."""
    upper, lower = lips[:, UPPER].mean(1), lips[:, LOWER].mean(1)
    width = (lips_reference[:, CORNERS[0]] - lips_reference[:, CORNERS[1]]).norm(dim=-1)
    gap = (upper - lower).norm(dim=-1) / width.clamp(min=1e-3)
    return ((WIDEST - gap) / (WIDEST - WIDE)).clamp(0, 1).view(-1, 1, 1, 1)


def _places(corner: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Rows and columns [B, n] of the square in maps of ``side`` pixels."""
    scale = side // FIELD
    at = torch.arange(CELLS * scale, device=corner.device)
    return corner[:, 1:] * scale + at, corner[:, :1] * scale + at


def cut(maps: Tensor, corner: Tensor) -> Tensor:
    """The square out of maps [B, C, S, S], S a multiple of 64: [B, C, S / 2, S / 2]."""
    rows, columns = _places(corner, maps.shape[-1])
    batch = torch.arange(len(maps), device=maps.device)[:, None, None]
    return maps.movedim(1, -1)[batch, rows[:, :, None], columns[:, None, :]].movedim(-1, 1)


def paste(maps: Tensor, square: Tensor, corner: Tensor) -> Tensor:
    """``maps`` [B, C, S, S] with ``square`` [B, C, S / 2, S / 2] in its place."""
    rows, columns = _places(corner, maps.shape[-1])
    batch = torch.arange(len(maps), device=maps.device)[:, None, None]
    out = maps.movedim(1, -1).clone()
    out[batch, rows[:, :, None], columns[:, None, :]] = square.movedim(1, -1).to(maps.dtype)
    return out.movedim(-1, 1)


def warp(picture: Tensor, motion: Tensor, corner: Tensor | None = None) -> Tensor:
    """Sample ``picture`` [B, C, S, S] at x + motion(x); motion [B, 2, h, w] is brought to the pixels' number.

    With ``corner`` both motion and result are the square's alone, [B, 2, 32, 32] and [B, C, S / 2, S / 2].
    """
    side = picture.shape[-1]
    if corner is None:
        at = torch.arange(side, device=picture.device).expand(len(picture), side)
        rows = columns = at
    else:
        rows, columns = _places(corner, side)
    size = (rows.shape[1], columns.shape[1])
    if motion.shape[-2:] != size:
        motion = F.interpolate(motion, size, mode="bilinear", align_corners=False)
    y, x = ((at.to(picture.dtype) + 0.5) * (2 / side) - 1 for at in (rows, columns))  # pixel centres
    grid = torch.stack(torch.broadcast_tensors(x[:, None, :], y[:, :, None]), -1) + motion.permute(0, 2, 3, 1)
    return F.grid_sample(picture, grid, mode="bilinear", padding_mode="border", align_corners=False)
