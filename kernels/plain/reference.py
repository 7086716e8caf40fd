"""The kernels in plain torch: the definition of correct, slow, differentiable where that makes sense."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from kernels.checks import Raster, check_names
from kernels.plain.nearest import barycentrics, corners_of, nearest, triangle_of

# BT.601 limited range for RGB in [0, 255]: rows Y, U, V.
YUV = (
    (65.481 / 255, 128.553 / 255, 24.966 / 255),
    (-37.797 / 255, -74.203 / 255, 112.0 / 255),
    (112.0 / 255, -93.786 / 255, -18.214 / 255),
)


def rasterize(vertices: Tensor, triangles: Tensor, attributes: Tensor, height: int, width: int) -> Raster:
    """See `kernels.rasterize`. Attributes and depth are differentiable in vertices and attributes; coverage is not."""
    check_names(triangles, vertices.shape[1])
    with torch.no_grad():
        drawn = torch.ones((1, len(triangles)), dtype=torch.bool, device=vertices.device)
        triangle = triangle_of(nearest(vertices, triangles[None], drawn, height, width))
    carried, depth = interpolate(vertices, triangles, attributes, triangle)
    return Raster(carried, triangle, depth)


def interpolate(
    vertices: Tensor,  # [B, V, 3]
    triangles: Tensor,  # [F, 3]
    attributes: Tensor,  # [B, V, C]
    triangle: Tensor,  # [B, H, W] int32
) -> tuple[Tensor, Tensor]:
    """Attributes [B, H, W, C] and depth [B, H, W] of the nearest triangles, differentiable in the first and third."""
    if triangles.shape[0] == 0:
        return vertices.new_zeros((*triangle.shape, attributes.shape[-1])), vertices.new_full(triangle.shape, torch.inf)
    covered, names = triangle >= 0, triangles.long()[triangle.clamp(min=0).long()]  # [B, H, W, 3]
    share, corners = _shares(vertices, names)
    depth = torch.where(covered, (share * corners[..., 2]).sum(-1), torch.inf)
    carried = (share[..., None] * corners_of(attributes, names)).sum(-2)
    return torch.where(covered[..., None], carried, 0.0), depth


def weights(vertices: Tensor, triangles: Tensor, triangle: Tensor) -> Tensor:
    """See `kernels.barycentrics`. Differentiable in vertices."""
    check_names(triangles, vertices.shape[1])
    if len(triangles) == 0:
        return vertices.new_zeros((*triangle.shape, 3))
    share, _ = _shares(vertices, triangles.long()[triangle.clamp(min=0).long()])
    return torch.where((triangle >= 0)[..., None], share, 0.0)


def _shares(vertices: Tensor, names: Tensor) -> tuple[Tensor, Tensor]:
    """Weights [B, H, W, 3] of the pixel centres in triangles of corners ``names`` [B, H, W, 3]; the corners' places."""
    height, width = names.shape[1:3]
    y = torch.arange(height, device=vertices.device, dtype=vertices.dtype)[:, None]
    x = torch.arange(width, device=vertices.device, dtype=vertices.dtype)
    corners = corners_of(vertices, names)  # [B, H, W, 3, 3]
    return barycentrics(corners, x, y), corners


def warp_grid(
    image: Tensor,
    grid: Tensor,
    height: int,
    width: int,
    occlusion: Tensor | None = None,
    background: Tensor | None = None,
    channels_last: bool = False,
) -> Tensor:
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


def rgb_to_i420(rgb: Tensor) -> Tensor:
    """See `kernels.rgb_to_i420`."""
    values = rgb.detach().to(torch.float32)
    matrix = torch.tensor(YUV, dtype=torch.float32, device=rgb.device)
    luma = (values @ matrix[0] + 16.5).clamp(16, 235).to(torch.uint8)  # [..., H, W]
    height, width = luma.shape[-2:]
    blocks = values.unflatten(-3, (height // 2, 2)).unflatten(-2, (width // 2, 2)).mean((-4, -2))
    chroma = (blocks @ matrix[1:].T + 128.5).clamp(16, 240).to(torch.uint8)  # [..., H/2, W/2, 2]
    planes = [luma.flatten(-2), chroma[..., 0].flatten(-2), chroma[..., 1].flatten(-2)]
    return torch.cat(planes, -1).unflatten(-1, (height * 3 // 2, width))


def to_rgb24(picture: Tensor) -> Tensor:
    """See `kernels.to_rgb24`."""
    values = torch.nan_to_num(picture.detach().to(torch.float32), nan=0.0) * 255 + 0.5
    return values.clamp(0, 255).to(torch.uint8).movedim(-3, -1).contiguous()
