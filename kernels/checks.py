"""What the verbs accept, checked before any launch and told in sentences, which are made only where one is needed.

Every check raises `ValueError`. Shapes, types and devices are read, values by `check_names` alone.
"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor


class Raster(NamedTuple):
    """What `rasterize` returns."""

    attributes: Tensor  # [B, H, W, C] float32, 0 where nothing is
    triangle: Tensor  # [B, H, W] int32, -1 where nothing is
    depth: Tensor  # [B, H, W] float32, +inf where nothing is


def described(tensor: Tensor) -> str:
    """A tensor's type and shape, as sentences tell them."""
    return f"{tensor.dtype} {list(tensor.shape)}"


def check_devices(first: Tensor, **others: Tensor | None) -> None:
    """All lie where the first lies."""
    for name, tensor in others.items():
        if tensor is not None and tensor.device != first.device:
            raise ValueError(
                f"{name} was expected on {first.device} like the first tensor, but lies on {tensor.device}."
            )


def check_size(height: int, width: int) -> None:
    """A picture has pixels."""
    if not (height > 0 and width > 0):
        raise ValueError(f"A picture of at least 1 x 1 was expected, but {height} x {width} came.")


def check_raster(vertices: Tensor, triangles: Tensor, attributes: Tensor, height: int, width: int) -> None:
    """The arguments of `kernels.rasterize`."""
    if not (vertices.dim() == 3 and vertices.shape[2] == 3 and vertices.dtype == torch.float32):
        raise ValueError(f"vertices were expected as float32 [B, V, 3], but came as {described(vertices)}.")
    if not (triangles.dim() == 2 and triangles.shape[1] == 3 and triangles.dtype in (torch.int32, torch.int64)):
        raise ValueError(f"triangles were expected as int32 or int64 [F, 3], but came as {described(triangles)}.")
    batch, count = vertices.shape[:2]
    if not (
        attributes.dtype == torch.float32
        and attributes.dim() in (2, 3)
        and attributes.shape[-2] == count
        and (attributes.dim() == 2 or attributes.shape[0] == batch)
    ):
        raise ValueError(
            f"attributes were expected as float32 [{batch}, {count}, C] or [{count}, C], but came as "
            f"{described(attributes)}."
        )
    check_size(height, width)
    if not triangles.shape[0] < 2**31:
        raise ValueError(f"At most 2^31 triangles were expected, but {len(triangles)} came.")
    check_devices(vertices, triangles=triangles, attributes=attributes)


def check_names(triangles: Tensor, count: int) -> None:
    """Triangles name vertices below ``count``. On a GPU, which would be waited for, wrong ones draw nothing instead."""
    if triangles.device.type == "cpu" and len(triangles):
        low, high = int(triangles.min()), int(triangles.max())
        if not (low >= 0 and high < count):
            raise ValueError(f"triangles name vertices {low} to {high}, but there are only {count}.")


def check_warp(
    image: Tensor,
    grid: Tensor,
    height: int,
    width: int,
    occlusion: Tensor | None,
    background: Tensor | None,
    channels_last: bool,
) -> None:
    """The arguments of `kernels.warp_grid`."""
    if not (image.dim() == 4 and image.dtype == torch.float32 and image.numel() > 0):
        kind = "[B, H, W, C]" if channels_last else "[B, C, H, W]"
        raise ValueError(f"image was expected as float32 {kind}, but came as {described(image)}.")
    batch = image.shape[0]
    if not (grid.dim() == 4 and grid.shape[0] == batch and grid.shape[3] == 2 and grid.dtype == torch.float32):
        raise ValueError(f"grid was expected as float32 [{batch}, h, w, 2], but came as {described(grid)}.")
    check_size(height, width)
    if not grid.numel() > 0:
        raise ValueError(f"grid was expected to hold points, but came as {described(grid)}.")
    if occlusion is not None and not (occlusion.shape == grid.shape[:3] and occlusion.dtype == torch.float32):
        raise ValueError(
            f"occlusion was expected as float32 {list(grid.shape[:3])}, but came as {described(occlusion)}."
        )
    if background is not None:
        channels = image.shape[3] if channels_last else image.shape[1]
        wanted = (batch, height, width, channels) if channels_last else (batch, channels, height, width)
        if not (background.shape == wanted and background.dtype == torch.float32):
            raise ValueError(f"background was expected as float32 {list(wanted)}, but came as {described(background)}.")
    check_devices(image, grid=grid, occlusion=occlusion, background=background)


def check_rgb(rgb: Tensor) -> None:
    """The argument of `kernels.rgb_to_i420`."""
    if not (rgb.dim() >= 3 and rgb.shape[-1] == 3 and (rgb.dtype == torch.uint8 or rgb.is_floating_point())):
        raise ValueError(f"rgb was expected as uint8 or float [..., H, W, 3], but came as {described(rgb)}.")
    height, width = rgb.shape[-3:-1]
    if not (height % 2 == 0 and width % 2 == 0 and height > 0 and width > 0):
        raise ValueError(f"I420 needs an even height and width, but {height} x {width} came: crop or pad by one pixel.")


def check_picture(picture: Tensor) -> None:
    """The argument of `kernels.to_rgb24`."""
    if not (picture.dim() >= 3 and picture.shape[-3] == 3 and picture.is_floating_point() and picture.numel() > 0):
        raise ValueError(f"picture was expected as float [..., 3, H, W], but came as {described(picture)}.")
