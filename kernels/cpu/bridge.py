"""Tensors to the numba kernels and back, without copies where memory allows; one mesh after the other."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from kernels.checks import Raster, check_names
from kernels.cpu import numba_kernels, painting, pixel_kernels, scene_steps
from kernels.scenes import Look, Painted, Scenes


def _array(tensor: Tensor, kind: type | None = np.float32) -> np.ndarray:
    return np.ascontiguousarray(tensor.detach().cpu().numpy(), kind)


def rasterize(vertices: Tensor, triangles: Tensor, attributes: Tensor, height: int, width: int) -> Raster:
    """See `kernels.rasterize`; shapes, types and devices were checked there."""
    check_names(triangles, vertices.shape[1])
    batch, channels = len(vertices), attributes.shape[-1]
    depth = np.empty((batch, height, width), np.float32)
    which = np.empty((batch, height, width), np.int32)
    out = np.empty((batch, height, width, channels), np.float32)
    points, faces, carried = _array(vertices), _array(triangles, np.int32), _array(attributes)
    for b in range(batch):
        numba_kernels.rasterize(points[b], faces, carried[b], depth[b], which[b], out[b])
    depth[which < 0] = np.inf
    return Raster(torch.from_numpy(out), torch.from_numpy(which), torch.from_numpy(depth))


def warp_grid(
    image: Tensor,
    grid: Tensor,
    height: int,
    width: int,
    occlusion: Tensor | None,
    background: Tensor | None,
    channels_last: bool,
) -> Tensor:
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
        pixel_kernels.warp_grid(source[b], places[b], share[b], behind[b], out[b])
    result = torch.from_numpy(out)
    return result if channels_last else result.permute(0, 3, 1, 2)


def rgb_to_i420(rgb: Tensor) -> Tensor:
    """See `kernels.rgb_to_i420`."""
    pixels = _array(rgb, np.uint8 if rgb.dtype == torch.uint8 else np.float32)
    height, width = pixels.shape[-3:-1]
    out = np.empty((*pixels.shape[:-3], height * 3 // 2, width), np.uint8)
    flat, planes = pixels.reshape(-1, height, width, 3), out.reshape(-1, height * 3 // 2, width)
    convert = pixel_kernels.bytes_to_i420 if pixels.dtype == np.uint8 else pixel_kernels.rgb_to_i420
    for b in range(len(flat)):
        convert(flat[b], planes[b])
    return torch.from_numpy(out)


def to_rgb24(picture: Tensor) -> Tensor:
    """See `kernels.to_rgb24`."""
    values = _array(picture)
    height, width = values.shape[-2:]
    out = np.empty((*values.shape[:-3], height, width, 3), np.uint8)
    flat, bytes_ = values.reshape(-1, 3, height, width), out.reshape(-1, height, width, 3)
    for b in range(len(flat)):
        pixel_kernels.to_rgb24(flat[b], bytes_[b])
    return torch.from_numpy(out)


def paint_scenes(
    vertices: Tensor, maps: Tensor, scene: Tensor, shown: Tensor, tables: Scenes, size: int, look: Look
) -> Painted:
    """See `kernels.paint_scenes`."""
    rows, channels = len(vertices), maps.shape[2]
    rgb = np.empty((rows, size, size, 3), np.uint8)
    which = np.empty((rows, size, size), np.int32)
    places = np.empty((rows, size, size, channels), np.float32)
    for r in range(rows):
        table = [_array(t[scene[r]], None) for t in tables]
        given = _array(vertices[r]), _array(maps[r]), tuple(shown[r].tolist())
        _paint_scene(*given, table, look, which[r], places[r], rgb[r])
    return Painted(*(torch.from_numpy(a) for a in (rgb, which, places)))


def _paint_scene(
    vertices: np.ndarray,
    maps: np.ndarray,
    shown: tuple[int, int, int, int],
    table: list[np.ndarray],
    look: Look,
    which: np.ndarray,
    places: np.ndarray,
    rgb: np.ndarray,
) -> None:
    """One row of `paint_scenes`, written to ``which``, ``places`` and ``rgb``."""
    _, first, last, _ = shown
    triangles, layers, facing, offsets, atlas, extent, gain = table
    size = which.shape[0]
    rows, mesh, sides = (0, size), (vertices, triangles, maps), -(-size // numba_kernels.TILE)
    depth, window = np.empty((size, size), np.float32), np.empty((size, size), np.uint8)
    where, special = np.empty((2, size, size), np.float32), np.zeros(len(triangles), np.bool_)
    odd, ending, tiles = np.empty((3, sides, sides), np.uint8)
    edges = np.empty((size, size), np.int32), np.empty((size, sides), np.uint16), tiles
    view = depth, which, where, special, odd, ending, np.empty(len(triangles), np.int32)
    wary = np.ones(len(triangles), np.bool_)
    scene_steps.see_rows(mesh, shown, facing, 0, wary, look.jump, rows, view, *edges[1:])
    if last > first:
        scene_steps.see_inside(mesh, shown, window, view)
    numba_kernels.interpolate(*mesh, which, places)
    shape = (min(look.most, size * size), numba_kernels.SAMPLES)
    carried = np.empty((*shape, maps.shape[1]), np.float32)
    fine = np.empty(shape, np.float32), np.empty(shape, np.int32), np.empty(shape, np.uint8), carried
    scene_steps.refine(mesh, shown, layers, look.jump, rows, 0, shape[0], view, edges, fine)
    atlas = np.ascontiguousarray(np.pad(atlas[: extent[0], : extent[1]], ((0, 0), (0, 0), (0, 1))))
    seen = (which, where, edges[0], special), mesh, (fine[1], carried)
    at = gain, look.spread, np.float32(look.warmth)
    painting.paint(atlas, offsets, layers, *seen, edges[1], odd, at, rows, rgb)
