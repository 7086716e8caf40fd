"""Tensor in, tensor out: the heavy operations of the picture, knowing nothing of faces or sessions.

`rasterize`, `warp_grid`, `rgb_to_i420` and `to_rgb24` each exist three times: plain torch (`kernels.plain.reference`,
the definition of correct, differentiable), numba (`kernels.cpu.numba_kernels`) and Triton (`kernels.gpu.raster`,
`kernels.gpu.warp`, `kernels.gpu.color`); `barycentrics` and `rasterize_smooth` are made of these. CPU tensors go to
numba, CUDA tensors to Triton, anything that needs a gradient to the reference; `use_backend` overrides this in tests.
So does `paint_scenes` (`kernels.plain.scene_reference`, numba through `kernels.cpu.bridge`,
`kernels.gpu.paint_triton`). Importing this package compiles nothing and asks no device.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from importlib import import_module
from typing import Any

import torch

from kernels.checks import Raster, check_picture, check_raster, check_rgb, check_warp
from kernels.plain import reference, scene_reference
from kernels.plain.nearest import POINTS
from kernels.scenes import Look, Painted, Scenes, check_scenes

__version__ = "0.1.0"
__all__ = [
    "Look",
    "Painted",
    "Raster",
    "Scenes",
    "barycentrics",
    "paint_scenes",
    "rasterize",
    "rasterize_smooth",
    "rgb_to_i420",
    "to_rgb24",
    "use_backend",
    "warp_grid",
]

BACKENDS = ("reference", "numba", "triton")
_override: ContextVar[str | None] = ContextVar("kernels_backend", default=None)


@contextmanager
def use_backend(name: str) -> Iterator[None]:
    """Within the block every verb runs on ``name``: "reference", "numba" or "triton"."""
    if name not in BACKENDS:
        raise ValueError(f"The backend was expected to be one of {', '.join(BACKENDS)}, but came as {name!r}.")
    token = _override.set(name)
    try:
        yield
    finally:
        _override.reset(token)


def _backend(*tensors: torch.Tensor | None) -> str:
    if chosen := _override.get():
        return chosen
    present = [t for t in tensors if t is not None]
    if any(t.requires_grad for t in present) and torch.is_grad_enabled():
        return "reference"
    return "triton" if present[0].is_cuda else "numba"


def _triton(module: str) -> Any:
    """Triton is optional: it is looked for when first needed, and its absence is told in a sentence."""
    try:
        return import_module(f"kernels.gpu.{module}")
    except ImportError as missing:
        raise RuntimeError("Kernels on a GPU need Triton, which is not installed: pip install triton.") from missing


def rasterize(
    vertices: torch.Tensor,  # [B, V, 3] float32: x, y in pixels (centres on whole numbers), smaller z is nearer
    triangles: torch.Tensor,  # [F, 3] int32 or int64
    attributes: torch.Tensor,  # [B, V, C] or [V, C] float32
    height: int,
    width: int,
) -> Raster:
    """Z-buffer B meshes of one topology (VividTalk 3.3): nearest triangle, depth and interpolated attributes per pixel.

    A pixel belongs to a triangle when its barycentrics are at least -1e-5, so shared edges leave no gap; equal depths
    go to the earlier triangle. Degenerate, off-screen and empty meshes cover nothing: triangle -1, depth +inf,
    attributes 0. Raises `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_raster(vertices, triangles, attributes, height, width)
    attributes = attributes.expand(len(vertices), -1, -1) if attributes.dim() == 2 else attributes
    match _backend(vertices, attributes):
        case "triton":
            return _triton("raster").rasterize(vertices, triangles, attributes, height, width)
        case "numba":
            return import_module("kernels.cpu.bridge").rasterize(vertices, triangles, attributes, height, width)
        case _:
            return reference.rasterize(vertices, triangles, attributes, height, width)


def barycentrics(
    vertices: torch.Tensor,  # [B, V, 3] as `rasterize` was given
    triangles: torch.Tensor,  # [F, 3]
    triangle: torch.Tensor,  # [B, H, W] int32, the nearest triangles that `rasterize` found
) -> torch.Tensor:
    """Barycentric weights [B, H, W, 3] of the pixel centres in their triangles, 0 where nothing is.

    Differentiable in ``vertices``; the same on every backend. Raises `ValueError` with a sentence for wrong shapes.
    """
    check_raster(vertices, triangles, vertices, max(triangle.shape[-2], 1), max(triangle.shape[-1], 1))
    return reference.weights(vertices, triangles, triangle)


def rasterize_smooth(
    vertices: torch.Tensor,  # [B, V, 3] float32
    triangles: torch.Tensor,  # [F, 3]
    attributes: torch.Tensor,  # [B, V, C] or [V, C] float32
    height: int,
    width: int,
) -> tuple[torch.Tensor, torch.Tensor]:
    """`rasterize` with anti-aliased edges: the mean of eight points a pixel.

    Returns attributes [B, H, W, C], averaged over the points that something covers (0 where nothing does), and the
    share of points covered [B, H, W]. Raises `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_raster(vertices, triangles, attributes, height, width)
    total: torch.Tensor | float = 0.0
    covered: torch.Tensor | float = 0.0
    for x, y in POINTS:
        moved = vertices - vertices.new_tensor([x, y, 0.0])
        seen = rasterize(moved, triangles, attributes, height, width)
        total, covered = total + seen.attributes, covered + (seen.triangle >= 0).float()
    assert isinstance(total, torch.Tensor)
    assert isinstance(covered, torch.Tensor)
    return total / covered.clamp(min=1)[..., None], covered / len(POINTS)


def paint_scenes(
    vertices: torch.Tensor,  # [R, V, 3] float32, as for `rasterize`
    maps: torch.Tensor,  # [R, V, 3 or 6] float32: texture x, y, brightness; mirrored x, y and its share
    scene: torch.Tensor,  # [R] int64: which of the scenes each row is
    shown: torch.Tensor,  # [R, 4] int32: before, first, last, behind (see below)
    tables: Scenes,
    size: int,
    look: Look,
) -> Painted:
    """Paint R textured scenes of ``size`` x ``size``: a bilinear tap a pixel, eight points where surfaces end.

    Of a row's triangles those numbered below ``before`` are drawn; ``first`` to ``last`` (exclusive) of them are an
    opening; those from ``behind`` on are drawn where the opening is nearest, and nowhere else.
    Edges lie where neighbouring pixels' layers differ or their texture places jump; their pixels are averaged over the
    points that something covers. Uncovered pixels are black. Reads no value back, so a GPU is never waited for. Raises
    `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_scenes(vertices, maps, scene, shown, tables, size, look)
    given = (vertices, maps, scene, shown, tables, size, look)
    match _backend(vertices.detach()):
        case "triton":
            return _triton("paint_triton").paint_scenes(*given)
        case "numba":
            return import_module("kernels.cpu.bridge").paint_scenes(*given)
        case _:
            return scene_reference.paint_scenes(*given)


def warp_grid(
    image: torch.Tensor,  # [B, C, H, W] float32, or [B, H, W, C] with channels_last
    grid: torch.Tensor,  # [B, h, w, 2] float32: where each output pixel comes from, in pixels of the image
    height: int,
    width: int,
    occlusion: torch.Tensor | None = None,  # [B, h, w] in [0, 1]; 1 shows the image
    background: torch.Tensor | None = None,  # like the output; black when left out
    channels_last: bool = False,
) -> torch.Tensor:
    """Backward warp by a grid that may be coarser than the output: upsample, sample, occlude, composite in one pass.

    The grid is upsampled bilinearly, corners on corners; sampling is bilinear and repeats the image's edge. Returns
    [B, C, height, width] (or channels last). Raises `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_warp(image, grid, height, width, occlusion, background, channels_last)
    given = (image, grid, height, width, occlusion, background, channels_last)
    match _backend(image, grid, occlusion, background):
        case "triton":
            return _triton("warp").warp_grid(*given)
        case "numba":
            return import_module("kernels.cpu.bridge").warp_grid(*given)
        case _:
            return reference.warp_grid(*given)


def rgb_to_i420(rgb: torch.Tensor) -> torch.Tensor:
    """Planar I420 uint8 [..., H * 3 // 2, W] of RGB [..., H, W, 3], uint8 or float in [0, 255].

    BT.601 limited range, chroma averaged over 2 x 2 pixels, laid out as libav reads yuv420p. Height and width are even.
    """
    check_rgb(rgb)
    match _backend(rgb.detach()):
        case "triton":
            return _triton("color").rgb_to_i420(rgb)
        case "numba":
            return import_module("kernels.cpu.bridge").rgb_to_i420(rgb)
        case _:
            return reference.rgb_to_i420(rgb)


def to_rgb24(picture: torch.Tensor) -> torch.Tensor:
    """Bytes RGBRGB... uint8 [..., H, W, 3] of a float picture [..., 3, H, W] in [0, 1], as networks make it.

    Rounded, not cut; what lies outside [0, 1] is clamped, NaN becomes 0. Raises `ValueError` with a sentence for wrong
    shapes or types.
    """
    check_picture(picture)
    match _backend(picture.detach()):
        case "triton":
            return _triton("color").to_rgb24(picture)
        case "numba":
            return import_module("kernels.cpu.bridge").to_rgb24(picture)
        case _:
            return reference.to_rgb24(picture)
