"""What the verbs accept, checked before any launch and told in sentences."""

from __future__ import annotations

from typing import NamedTuple

import torch


class Raster(NamedTuple):
    """What `rasterize` returns."""

    attributes: torch.Tensor  # [B, H, W, C] float32, 0 where nothing is
    triangle: torch.Tensor  # [B, H, W] int32, -1 where nothing is
    depth: torch.Tensor  # [B, H, W] float32, +inf where nothing is


def _need(good: bool, sentence: str) -> None:
    if not good:
        raise ValueError(sentence)


def _shape(tensor: torch.Tensor) -> str:
    return f"{tensor.dtype} {list(tensor.shape)}"


def _same_device(first: torch.Tensor, **others: torch.Tensor | None) -> None:
    for name, tensor in others.items():
        if tensor is not None:
            _need(
                tensor.device == first.device,
                f"{name} was expected on {first.device} like the first tensor, but lies on {tensor.device}.",
            )


def check_raster(
    vertices: torch.Tensor, triangles: torch.Tensor, attributes: torch.Tensor, height: int, width: int
) -> None:
    _need(
        vertices.dim() == 3 and vertices.shape[2] == 3 and vertices.dtype == torch.float32,
        f"vertices were expected as float32 [B, V, 3], but came as {_shape(vertices)}.",
    )
    _need(
        triangles.dim() == 2 and triangles.shape[1] == 3 and triangles.dtype in (torch.int32, torch.int64),
        f"triangles were expected as int32 or int64 [F, 3], but came as {_shape(triangles)}.",
    )
    batch, count = vertices.shape[:2]
    _need(
        attributes.dtype == torch.float32
        and attributes.dim() in (2, 3)
        and attributes.shape[-2] == count
        and (attributes.dim() == 2 or attributes.shape[0] == batch),
        f"attributes were expected as float32 [{batch}, {count}, C] or [{count}, C], but came as {_shape(attributes)}.",
    )
    _need(height > 0 and width > 0, f"A picture of at least 1 x 1 was expected, but {height} x {width} came.")
    _need(len(triangles) < 2**31, f"At most 2^31 triangles were expected, but {len(triangles)} came.")
    _same_device(vertices, triangles=triangles, attributes=attributes)
    if len(triangles) and triangles.device.type == "cpu":  # a GPU would have to be waited for: there they draw nothing
        low, high = int(triangles.min()), int(triangles.max())
        _need(low >= 0 and high < count, f"triangles name vertices {low} to {high}, but there are only {count}.")


def check_warp(
    image: torch.Tensor,
    grid: torch.Tensor,
    height: int,
    width: int,
    occlusion: torch.Tensor | None,
    background: torch.Tensor | None,
    channels_last: bool,
) -> None:
    kind = "[B, H, W, C]" if channels_last else "[B, C, H, W]"
    _need(
        image.dim() == 4 and image.dtype == torch.float32 and image.numel() > 0,
        f"image was expected as float32 {kind}, but came as {_shape(image)}.",
    )
    batch = image.shape[0]
    channels = image.shape[3] if channels_last else image.shape[1]
    _need(
        grid.dim() == 4 and grid.shape[0] == batch and grid.shape[3] == 2 and grid.dtype == torch.float32,
        f"grid was expected as float32 [{batch}, h, w, 2], but came as {_shape(grid)}.",
    )
    _need(height > 0 and width > 0, f"A picture of at least 1 x 1 was expected, but {height} x {width} came.")
    _need(grid.numel() > 0, f"grid was expected to hold points, but came as {_shape(grid)}.")
    if occlusion is not None:
        _need(
            occlusion.shape == grid.shape[:3] and occlusion.dtype == torch.float32,
            f"occlusion was expected as float32 {list(grid.shape[:3])}, but came as {_shape(occlusion)}.",
        )
    if background is not None:
        wanted = (batch, height, width, channels) if channels_last else (batch, channels, height, width)
        _need(
            background.shape == wanted and background.dtype == torch.float32,
            f"background was expected as float32 {list(wanted)}, but came as {_shape(background)}.",
        )
    _same_device(image, grid=grid, occlusion=occlusion, background=background)


def check_rgb(rgb: torch.Tensor) -> None:
    _need(
        rgb.dim() >= 3 and rgb.shape[-1] == 3 and (rgb.dtype == torch.uint8 or rgb.is_floating_point()),
        f"rgb was expected as uint8 or float [..., H, W, 3], but came as {_shape(rgb)}.",
    )
    height, width = rgb.shape[-3:-1]
    _need(
        height % 2 == 0 and width % 2 == 0 and height > 0 and width > 0,
        f"I420 needs an even height and width, but {height} x {width} came: crop or pad by one pixel.",
    )


def check_picture(picture: torch.Tensor) -> None:
    _need(
        picture.dim() >= 3 and picture.shape[-3] == 3 and picture.is_floating_point() and picture.numel() > 0,
        f"picture was expected as float [..., 3, H, W], but came as {_shape(picture)}.",
    )
