"""The kernels in plain torch: the definition of correct, slow, differentiable where that makes sense."""

from __future__ import annotations

import torch
import torch.nn.functional as F

from kernels.checks import Raster

INSIDE = 1e-5  # how far below zero a barycentric may fall and still count: shared edges leave no gap
SMALLEST = 1e-9  # twice the area in pixels below which a triangle is degenerate

# BT.601 limited range for RGB in [0, 255]: rows Y, U, V.
YUV = (
    (65.481 / 255, 128.553 / 255, 24.966 / 255),
    (-37.797 / 255, -74.203 / 255, 112.0 / 255),
    (112.0 / 255, -93.786 / 255, -18.214 / 255),
)


def barycentrics(corners: torch.Tensor, x: torch.Tensor, y: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Weights [..., 3] of the points (x, y) in triangles ``corners`` [..., 3, 2 or 3], and twice the signed area."""
    x0, y0 = corners[..., 0, 0], corners[..., 0, 1]
    x1, y1 = corners[..., 1, 0] - x0, corners[..., 1, 1] - y0
    x2, y2 = corners[..., 2, 0] - x0, corners[..., 2, 1] - y0
    area = x1 * y2 - x2 * y1
    safe = torch.where(area.abs() > SMALLEST, area, torch.ones_like(area))
    px, py = x - x0, y - y0
    w1 = (px * y2 - x2 * py) / safe
    w2 = (x1 * py - px * y1) / safe
    return torch.stack([1 - w1 - w2, w1, w2], -1), area


@torch.no_grad()
def _visible(vertices: torch.Tensor, triangles: torch.Tensor, height: int, width: int) -> torch.Tensor:
    """Nearest triangle at every pixel centre of one mesh [H, W], -1 where none: one triangle after the other."""
    corners = vertices.double()[triangles.long()]  # [F, 3, 3]
    which = torch.full((height, width), -1, dtype=torch.int32, device=vertices.device)
    depth = torch.full((height, width), torch.inf, dtype=torch.float32, device=vertices.device)
    finite = corners.isfinite().all(-1).all(-1)
    for f in range(len(triangles)):
        if not finite[f]:
            continue
        low, high = corners[f].amin(0), corners[f].amax(0)
        left, right = max(int(torch.ceil(low[0] - 1e-6)), 0), min(int(torch.floor(high[0] + 1e-6)), width - 1)
        top, bottom = max(int(torch.ceil(low[1] - 1e-6)), 0), min(int(torch.floor(high[1] + 1e-6)), height - 1)
        if right < left or bottom < top:
            continue
        y = torch.arange(top, bottom + 1, device=vertices.device, dtype=torch.float64)[:, None]
        x = torch.arange(left, right + 1, device=vertices.device, dtype=torch.float64)[None]
        weights, area = barycentrics(corners[f], x, y)
        if area.abs() <= SMALLEST:
            continue
        z = (weights * corners[f, :, 2]).sum(-1).float()
        seen = (weights >= -INSIDE).all(-1) & (z < depth[top : bottom + 1, left : right + 1])
        which[top : bottom + 1, left : right + 1][seen] = f
        depth[top : bottom + 1, left : right + 1][seen] = z[seen]
    return which


def rasterize(
    vertices: torch.Tensor, triangles: torch.Tensor, attributes: torch.Tensor, height: int, width: int
) -> Raster:
    """See `kernels.rasterize`. Attributes and depth are differentiable in vertices and attributes; coverage is not."""
    which = [_visible(v, triangles, height, width) for v in vertices]
    triangle = torch.stack(which) if which else torch.empty((0, height, width), dtype=torch.int32)
    covered = triangle >= 0
    y, x = torch.meshgrid(
        torch.arange(height, device=vertices.device, dtype=vertices.dtype),
        torch.arange(width, device=vertices.device, dtype=vertices.dtype),
        indexing="ij",
    )
    if len(triangles) == 0 or not covered.any():
        empty = vertices.new_zeros((*triangle.shape, attributes.shape[-1]))
        return Raster(empty, triangle, vertices.new_full(triangle.shape, torch.inf))
    batch = torch.arange(len(vertices), device=vertices.device)[:, None, None]
    names = triangles.long()[triangle.clamp(min=0).long()]  # [B, H, W, 3]
    corners = vertices[batch[..., None], names]  # [B, H, W, 3, 3]
    weights, _ = barycentrics(corners, x, y)
    depth = torch.where(covered, (weights * corners[..., 2]).sum(-1), torch.inf)
    carried = (weights[..., None] * attributes[batch[..., None], names]).sum(-2)
    return Raster(torch.where(covered[..., None], carried, 0.0), triangle, depth)


def weights(vertices: torch.Tensor, triangles: torch.Tensor, triangle: torch.Tensor) -> torch.Tensor:
    """See `kernels.barycentrics`. Differentiable in vertices."""
    if len(triangles) == 0:
        return vertices.new_zeros((*triangle.shape, 3))
    height, width = triangle.shape[-2:]
    y = torch.arange(height, device=vertices.device, dtype=vertices.dtype)[:, None]
    x = torch.arange(width, device=vertices.device, dtype=vertices.dtype)[None]
    batch = torch.arange(len(vertices), device=vertices.device)[:, None, None, None]
    corners = vertices[batch, triangles.long()[triangle.clamp(min=0).long()]]  # [B, H, W, 3, 3]
    found, _ = barycentrics(corners, x, y)
    return torch.where((triangle >= 0)[..., None], found, 0.0)


def warp_grid(
    image: torch.Tensor,
    grid: torch.Tensor,
    height: int,
    width: int,
    occlusion: torch.Tensor | None = None,
    background: torch.Tensor | None = None,
    channels_last: bool = False,
) -> torch.Tensor:
    """See `kernels.warp_grid`. Differentiable in everything."""
    if channels_last:
        image = image.permute(0, 3, 1, 2)
        background = None if background is None else background.permute(0, 3, 1, 2)
    fine = F.interpolate(grid.permute(0, 3, 1, 2), (height, width), mode="bilinear", align_corners=True)
    ih, iw = image.shape[2:]
    scale = torch.tensor([2 / max(iw - 1, 1), 2 / max(ih - 1, 1)], device=image.device, dtype=image.dtype)
    places = fine.permute(0, 2, 3, 1) * scale - 1
    out = F.grid_sample(image, places, mode="bilinear", padding_mode="border", align_corners=True)
    if occlusion is not None:
        share = F.interpolate(occlusion[:, None], (height, width), mode="bilinear", align_corners=True)
        out = out * share if background is None else out * share + background * (1 - share)
    return out.permute(0, 2, 3, 1) if channels_last else out


def rgb_to_i420(rgb: torch.Tensor) -> torch.Tensor:
    """See `kernels.rgb_to_i420`."""
    values = rgb.detach().to(torch.float32)
    matrix = torch.tensor(YUV, dtype=torch.float32, device=rgb.device)
    luma = (values @ matrix[0] + 16.5).clamp(16, 235).to(torch.uint8)  # [..., H, W]
    height, width = luma.shape[-2:]
    blocks = values.unflatten(-3, (height // 2, 2)).unflatten(-2, (width // 2, 2)).mean((-4, -2))
    chroma = (blocks @ matrix[1:].T + 128.5).clamp(16, 240).to(torch.uint8)  # [..., H/2, W/2, 2]
    planes = [luma.flatten(-2), chroma[..., 0].flatten(-2), chroma[..., 1].flatten(-2)]
    return torch.cat(planes, -1).unflatten(-1, (height * 3 // 2, width))


def to_rgb24(picture: torch.Tensor) -> torch.Tensor:
    """See `kernels.to_rgb24`."""
    values = torch.nan_to_num(picture.detach().to(torch.float32), nan=0.0) * 255 + 0.5
    return values.clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous()
