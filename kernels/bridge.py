"""Tensors to the numba kernels and back, without copies where memory allows."""

from __future__ import annotations

import numpy as np
import torch

from kernels import cpu
from kernels.checks import Raster


def _array(tensor: torch.Tensor, kind: type = np.float32) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), kind)


def rasterize(
    vertices: torch.Tensor, triangles: torch.Tensor, attributes: torch.Tensor, height: int, width: int
) -> Raster:
    """See `kernels.rasterize`."""
    batch, channels = len(vertices), attributes.shape[-1]
    depth = np.empty((batch, height, width), np.float32)
    which = np.empty((batch, height, width), np.int32)
    out = np.empty((batch, height, width, channels), np.float32)
    points, faces, carried = _array(vertices), _array(triangles, np.int32), _array(attributes)
    for b in range(batch):
        cpu.rasterize(points[b], faces, carried[b], depth[b], which[b], out[b])
    depth[which < 0] = np.inf
    return Raster(torch.from_numpy(out), torch.from_numpy(which), torch.from_numpy(depth))


def warp_grid(
    image: torch.Tensor,
    grid: torch.Tensor,
    height: int,
    width: int,
    occlusion: torch.Tensor | None,
    background: torch.Tensor | None,
    channels_last: bool,
) -> torch.Tensor:
    """See `kernels.warp_grid`."""
    last = image if channels_last else image.permute(0, 2, 3, 1)
    source, places = _array(last), _array(grid)
    batch, channels = len(source), source.shape[3]
    share = np.ones(places.shape[:3], np.float32) if occlusion is None else _array(occlusion)
    if background is None:
        behind = np.zeros((batch, height, width, channels), np.float32)
    else:
        behind = _array(background if channels_last else background.permute(0, 2, 3, 1))
    out = np.empty((batch, height, width, channels), np.float32)
    for b in range(batch):
        cpu.warp_grid(source[b], places[b], share[b], behind[b], out[b])
    result = torch.from_numpy(out)
    return result if channels_last else result.permute(0, 3, 1, 2)


def rgb_to_i420(rgb: torch.Tensor) -> torch.Tensor:
    """See `kernels.rgb_to_i420`."""
    pixels = _array(rgb, np.uint8 if rgb.dtype == torch.uint8 else np.float32)
    height, width = pixels.shape[-3:-1]
    out = np.empty((*pixels.shape[:-3], height * 3 // 2, width), np.uint8)
    flat, planes = pixels.reshape(-1, height, width, 3), out.reshape(-1, height * 3 // 2, width)
    for b in range(len(flat)):
        cpu.rgb_to_i420(flat[b], planes[b])
    return torch.from_numpy(out)


def to_rgb24(picture: torch.Tensor) -> torch.Tensor:
    """See `kernels.to_rgb24`."""
    values = _array(picture)
    height, width = values.shape[-2:]
    out = np.empty((*values.shape[:-3], height, width, 3), np.uint8)
    flat, bytes_ = values.reshape(-1, 3, height, width), out.reshape(-1, height, width, 3)
    for b in range(len(flat)):
        cpu.to_rgb24(flat[b], bytes_[b])
    return torch.from_numpy(out)
