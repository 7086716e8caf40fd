"""What `kernels.paint_scenes` takes and gives: tables that never change between frames, checked in sentences."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from kernels.checks import check_devices, check_size, described


class Scenes(NamedTuple):
    """Textured meshes, A of them, as tables of one size; what is not used is zeros."""

    triangles: Tensor  # [A, F, 3] int32; three times the same corner draws nothing
    layers: Tensor  # [A, F] int32: the texture's part that a triangle samples; edges show between layers
    facing: Tensor  # [A, F] int8: 1 or -1 where a triangle of that winding's sign shows its back and is left out
    offsets: Tensor  # [A, L, 2] float32: from texture places to pixels of the atlas, by layer
    atlas: Tensor  # [A, h, w, 3] uint8
    extent: Tensor  # [A, 2] int32: rows and columns of the atlas that are used
    gain: Tensor  # [A, 3] float32: what mirrored colours are multiplied by


class Look(NamedTuple):
    """How edges and shade are drawn."""

    jump: float  # texture pixels between neighbouring pixels that make an edge
    spread: float  # texture pixels within which an edge pixel's points still agree
    warmth: float  # how much redder shade is than light
    most: int  # pixels of a picture that may be refined


class Painted(NamedTuple):
    """What `paint_scenes` returns, R pictures."""

    rgb: Tensor  # [R, S, S, 3] uint8
    triangle: Tensor  # [R, S, S] int32, -1 where nothing is
    maps: Tensor  # [R, S, S, C] float32, interpolated


def check_scenes(
    vertices: Tensor, maps: Tensor, scene: Tensor, shown: Tensor, tables: Scenes, size: int, look: Look
) -> None:
    """See `kernels.paint_scenes`. Raises `ValueError`; reads no values: no GPU is waited for."""
    if not (vertices.dim() == 3 and vertices.shape[2] == 3 and vertices.dtype == torch.float32):
        raise ValueError(f"vertices were expected as float32 [R, V, 3], but came as {described(vertices)}.")
    rows, count = vertices.shape[:2]
    if not (
        maps.dim() == 3 and maps.shape[:2] == (rows, count) and maps.shape[2] in (3, 6) and maps.dtype == torch.float32
    ):
        raise ValueError(f"maps were expected as float32 [{rows}, {count}, 3 or 6], but came as {described(maps)}.")
    if not (scene.shape == (rows,) and scene.dtype == torch.int64):
        raise ValueError(f"scene was expected as int64 [{rows}], but came as {described(scene)}.")
    if not (shown.shape == (rows, 4) and shown.dtype == torch.int32):
        raise ValueError(f"shown was expected as int32 [{rows}, 4], but came as {described(shown)}.")
    check_tables(tables)
    check_size(size, size)
    if not look.most > 0:
        raise ValueError(f"look.most was expected to be at least 1, but came as {look.most}.")
    check_devices(vertices, maps=maps, scene=scene, shown=shown, **tables._asdict())


def check_tables(tables: Scenes) -> None:
    """Types, and sizes that fit together. Raises `ValueError`."""
    kinds = (torch.int32, torch.int32, torch.int8, torch.float32, torch.uint8, torch.int32, torch.float32)
    scenes = tables.triangles.shape[0]
    for name, tensor, kind in zip(Scenes._fields, tables, kinds, strict=True):
        if tensor.dtype != kind:
            raise ValueError(f"tables.{name} was expected as {kind}, but came as {described(tensor)}.")
        if tensor.shape[0] != scenes:
            raise ValueError(f"tables.{name} was expected to hold {scenes} scenes, but came as {described(tensor)}.")
    many = tables.triangles.shape[1]
    if not (tables.triangles.dim() == 3 and tables.layers.shape[1:] == (many,) and tables.facing.shape[1:] == (many,)):
        raise ValueError(
            f"tables were expected with triangles [A, F, 3], layers and facing [A, F], but came as "
            f"{described(tables.triangles)}, {described(tables.layers)}, {described(tables.facing)}."
        )
