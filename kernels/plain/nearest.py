"""The nearest triangle at every pixel, or at eight points of some pixels, of many meshes at once: plain torch.

Every triangle is unrolled into the pixels of its bounding box, and all of them meet in one scattered minimum over
64-bit keys: depth (as an integer that sorts like the float) above, triangle number below. So equal depths go to the
earlier triangle, and the order of execution changes nothing. `kernels.gpu.nearest_triton` does the same in Triton.
"""

from __future__ import annotations

import torch
from torch import Tensor

INSIDE = 1e-5  # how far below zero a barycentric may fall and still count: shared edges leave no gap
SMALLEST = 1e-9  # twice the area in pixels below which a triangle is degenerate
EMPTY = 2**63 - 1  # the key of a place where nothing is

# Eight points of a pixel, no two in one row or column (offsets from its centre).
POINTS = tuple(
    (x / 16, y / 16) for x, y in zip((-7, -5, -3, -1, 1, 3, 5, 7), (1, -5, 5, -1, -7, 7, -3, 3), strict=True)
)


def barycentrics(corners: Tensor, x: Tensor, y: Tensor) -> Tensor:
    """Weights [..., 3] of the points (x, y) in triangles ``corners`` [..., 3, 2 or 3]."""
    x0, y0 = corners[..., 0, 0], corners[..., 0, 1]
    x1, y1 = corners[..., 1, 0] - x0, corners[..., 1, 1] - y0
    x2, y2 = corners[..., 2, 0] - x0, corners[..., 2, 1] - y0
    area = x1 * y2 - x2 * y1
    safe = torch.where(area.abs() > SMALLEST, area, torch.ones_like(area))
    px, py = x - x0, y - y0
    w1 = (px * y2 - x2 * py) / safe
    w2 = (x1 * py - px * y1) / safe
    return torch.stack([1 - w1 - w2, w1, w2], -1)


def corners_of(vertices: Tensor, triangles: Tensor) -> Tensor:
    """vertices [B, V, D] and triangles [B or 1, ..., 3] -> the corners' values [B, ..., 3, D]."""
    names = triangles.long().expand(len(vertices), *triangles.shape[1:])
    batch = torch.arange(len(vertices), device=vertices.device).view(-1, *[1] * (names.dim() - 1))
    return vertices[batch, names]


def nearest(
    vertices: Tensor,  # [B, V, 3] float32
    triangles: Tensor,  # [B or 1, F, 3]
    drawn: Tensor,  # [B or 1, F] bool
    height: int,
    width: int,
) -> Tensor:
    """Keys [B, H, W] int64 of the nearest drawn triangle at each pixel's centre, `EMPTY` where there is none."""
    corners = corners_of(vertices, triangles).double()  # [B, F, 3, 3]
    keys = torch.full((len(vertices), height * width), EMPTY, dtype=torch.int64, device=vertices.device)
    b, f, x, y = _unroll(corners, drawn, height, width, ceil=True)
    _keep(keys.view(-1), corners[b, f], f, x.double(), y.double(), b * (height * width) + y * width + x)
    return keys.view(-1, height, width)


def nearest_points(
    vertices: Tensor,  # [B, V, 3] float32
    triangles: Tensor,  # [B or 1, F, 3]
    drawn: Tensor,  # [B or 1, F] bool
    slots: Tensor,  # [B, H, W] int32, the number of each pixel that is looked at closely, else -1
    most: int,
) -> Tensor:
    """Keys [B, most, 8] int64 of the nearest drawn triangle at eight points of the numbered pixels."""
    height, width = slots.shape[1:]
    corners = corners_of(vertices, triangles).double()
    keys = torch.full((len(vertices), most * len(POINTS)), EMPTY, dtype=torch.int64, device=vertices.device)
    b, f, x, y = _unroll(corners, drawn, height, width, ceil=False)
    slot = slots[b, y, x]
    seen = slot >= 0
    b, f, x, y, slot = b[seen], f[seen], x[seen], y[seen], slot[seen].long()
    for s, (dx, dy) in enumerate(POINTS):
        at = (b * most + slot) * len(POINTS) + s
        _keep(keys.view(-1), corners[b, f], f, x.double() + dx, y.double() + dy, at)
    return keys.view(-1, most, len(POINTS))


def _unroll(
    corners: Tensor, drawn: Tensor, height: int, width: int, ceil: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Every pixel of every usable triangle's bounding box: mesh, triangle, x and y, each int64 [n]."""
    last = corners.new_tensor([width - 1, height - 1])
    low, high = corners[..., :2].amin(2), corners[..., :2].amax(2)  # [B, F, 2]
    edge_1, edge_2 = corners[..., 1, :2] - corners[..., 0, :2], corners[..., 2, :2] - corners[..., 0, :2]
    area = edge_1[..., 0] * edge_2[..., 1] - edge_2[..., 0] * edge_1[..., 1]
    usable = drawn & (area.abs() > SMALLEST) & corners.isfinite().all(-1).all(-1)
    low, high = (torch.nan_to_num(end).clamp(-1e9, 1e9) for end in (low, high))
    first = torch.ceil(low - 1e-6) if ceil else torch.floor(low)
    end = torch.floor(high + 1e-6) if ceil else torch.ceil(high)
    first = first.clamp(min=0).long()
    size = (torch.minimum(end, last).long() - first + 1).clamp(min=0)  # [B, F, 2]
    count = torch.where(usable, size[..., 0] * size[..., 1], 0).reshape(-1)
    which = torch.repeat_interleave(count)  # [n] the number of mesh and triangle
    start = torch.cumsum(count, 0) - count
    place = torch.arange(len(which), device=which.device) - start[which]
    across = size[..., 0].reshape(-1)[which]
    x = first[..., 0].reshape(-1)[which] + place % across
    y = first[..., 1].reshape(-1)[which] + place // across
    return which // corners.shape[1], which % corners.shape[1], x, y


def _keep(keys: Tensor, corners: Tensor, f: Tensor, x: Tensor, y: Tensor, at: Tensor) -> None:
    """Lower ``keys`` in place to those of triangles ``f`` [n] with ``corners`` [n, 3, 3], where they cover (x, y)."""
    weights = barycentrics(corners, x, y)
    depth = (weights * corners[..., 2]).sum(-1).float()
    inside = (weights >= -INSIDE).all(-1) & (depth == depth)
    bits = depth[inside].view(torch.int32)
    sortable = torch.where(bits < 0, bits ^ 0x7FFFFFFF, bits).long()
    keys.scatter_reduce_(0, at[inside], (sortable << 32) | f[inside], "amin")


def triangle_of(keys: Tensor) -> Tensor:
    """The triangles' numbers in ``keys``, int32, -1 where nothing is."""
    return torch.where(keys == EMPTY, -1, keys & 0xFFFFFFFF).int()
