"""The verbs on tensors: checked, and carried out by the backend that suits (`kernels.torch_operators`)."""

from __future__ import annotations

from torch import Tensor

from kernels.checks import Raster, check_picture, check_raster, check_rgb, check_warp
from kernels.plain import reference
from kernels.plain.nearest import POINTS
from kernels.scenes import Look, Painted, Scenes, check_scenes
from kernels.torch_operators import run


def rasterize(
    vertices: Tensor,  # [B, V, 3] float32: x, y in pixels (centres on whole numbers), smaller z is nearer
    triangles: Tensor,  # [F, 3] int32 or int64
    attributes: Tensor,  # [B, V, C] or [V, C] float32
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
    return Raster(*run("rasterize", vertices, triangles, attributes, height, width))


def barycentrics(
    vertices: Tensor,  # [B, V, 3] as `rasterize` was given
    triangles: Tensor,  # [F, 3]
    triangle: Tensor,  # [B, H, W] int32, the nearest triangles that `rasterize` found
) -> Tensor:
    """Barycentric weights [B, H, W, 3] of the pixel centres in their triangles, 0 where nothing is.

    Differentiable in ``vertices``; the same on every backend. Raises `ValueError` with a sentence for wrong shapes.
    """
    check_raster(vertices, triangles, vertices, max(triangle.shape[-2], 1), max(triangle.shape[-1], 1))
    return reference.weights(vertices, triangles, triangle)


def rasterize_smooth(
    vertices: Tensor,  # [B, V, 3] float32
    triangles: Tensor,  # [F, 3]
    attributes: Tensor,  # [B, V, C] or [V, C] float32
    height: int,
    width: int,
) -> tuple[Tensor, Tensor]:
    """`rasterize` with anti-aliased edges: the mean of eight points a pixel.

    Returns attributes [B, H, W, C], averaged over the points that something covers (0 where nothing does), and the
    share of points covered [B, H, W]. Raises `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_raster(vertices, triangles, attributes, height, width)
    total: Tensor | float = 0.0
    covered: Tensor | float = 0.0
    for x, y in POINTS:
        moved = vertices - vertices.new_tensor([x, y, 0.0])
        seen = rasterize(moved, triangles, attributes, height, width)
        total, covered = total + seen.attributes, covered + (seen.triangle >= 0).float()
    assert isinstance(total, Tensor)
    assert isinstance(covered, Tensor)
    return total / covered.clamp(min=1)[..., None], covered / len(POINTS)


def paint_scenes(
    vertices: Tensor,  # [R, V, 3] float32, as for `rasterize`
    maps: Tensor,  # [R, V, 3 or 6] float32: texture x, y, brightness; mirrored x, y and its share
    scene: Tensor,  # [R] int64: which of the scenes each row is
    shown: Tensor,  # [R, 4] int32: before, first, last, behind (see below)
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
    return Painted(*run("paint_scenes", vertices, maps, scene, shown, list(tables), size, *look))


def warp_grid(
    image: Tensor,  # [B, C, H, W] float32, or [B, H, W, C] with channels_last
    grid: Tensor,  # [B, h, w, 2] float32: where each output pixel comes from, in pixels of the image
    height: int,
    width: int,
    occlusion: Tensor | None = None,  # [B, h, w] in [0, 1]; 1 shows the image
    background: Tensor | None = None,  # like the output; black when left out
    channels_last: bool = False,
) -> Tensor:
    """Backward warp by a grid that may be coarser than the output: upsample, sample, occlude, composite in one pass.

    The grid is upsampled bilinearly, corners on corners; sampling is bilinear and repeats the image's edge. Returns
    [B, C, height, width] (or channels last). Raises `ValueError` with a sentence for wrong shapes, types or devices.
    """
    check_warp(image, grid, height, width, occlusion, background, channels_last)
    out: Tensor = run("warp_grid", image, grid, height, width, occlusion, background, channels_last)
    return out


def rgb_to_i420(rgb: Tensor) -> Tensor:
    """Planar I420 uint8 [..., H * 3 // 2, W] of RGB [..., H, W, 3], uint8 or float in [0, 255].

    BT.601 limited range, chroma averaged over 2 x 2 pixels, laid out as libav reads yuv420p. Height and width are even.
    """
    check_rgb(rgb)
    planes: Tensor = run("rgb_to_i420", rgb)
    return planes


def to_rgb24(picture: Tensor) -> Tensor:
    """Bytes RGBRGB... uint8 [..., H, W, 3] of a float picture [..., 3, H, W] in [0, 1], as networks make it.

    Rounded, not cut; what lies outside [0, 1] is clamped, NaN becomes 0. Raises `ValueError` with a sentence for wrong
    shapes or types.
    """
    check_picture(picture)
    packed: Tensor = run("to_rgb24", picture)
    return packed
