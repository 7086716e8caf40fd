"""What `kernels.paint_scenes` takes and gives: tables that never change between frames, checked in sentences."""

from __future__ import annotations

from typing import NamedTuple

import torch

from kernels.checks import _need, _same_device, _shape


class Scenes(NamedTuple):
    """Textured meshes, A of them, as tables of one size; what is not used is zeros."""

    triangles: torch.Tensor  # [A, F, 3] int32; three times the same corner draws nothing
    layers: torch.Tensor  # [A, F] int32: the texture's part that a triangle samples; edges show between layers
    facing: torch.Tensor  # [A, F] int8: 1 or -1 where a triangle of that winding's sign shows its back and is left out
    offsets: torch.Tensor  # [A, L, 2] float32: from texture places to pixels of the atlas, by layer
    atlas: torch.Tensor  # [A, h, w, 3] uint8
    extent: torch.Tensor  # [A, 2] int32: rows and columns of the atlas that are used
    gain: torch.Tensor  # [A, 3] float32: what mirrored colours are multiplied by


class Look(NamedTuple):
    """How edges and shade are drawn."""

    jump: float  # texture pixels between neighbouring pixels that make an edge
    spread: float  # texture pixels within which an edge pixel's points still agree
    warmth: float  # how much redder shade is than light
    most: int  # pixels of a picture that may be refined


class Painted(NamedTuple):
    """What `paint_scenes` returns, R pictures."""

    rgb: torch.Tensor  # [R, S, S, 3] uint8
    triangle: torch.Tensor  # [R, S, S] int32, -1 where nothing is
    maps: torch.Tensor  # [R, S, S, C] float32, interpolated


def check_scenes(
    vertices: torch.Tensor,
    maps: torch.Tensor,
    scene: torch.Tensor,
    shown: torch.Tensor,
    tables: Scenes,
    size: int,
    look: Look,
) -> None:
    """Raise ValueError with a sentence for wrong shapes, types or devices. Reads no values: no GPU is waited for."""
    _need(
        vertices.dim() == 3 and vertices.shape[2] == 3 and vertices.dtype == torch.float32,
        f"vertices were expected as float32 [R, V, 3], but came as {_shape(vertices)}.",
    )
    rows, count = vertices.shape[:2]
    _need(
        maps.dim() == 3 and maps.shape[:2] == (rows, count) and maps.shape[2] in (3, 6) and maps.dtype == torch.float32,
        f"maps were expected as float32 [{rows}, {count}, 3 or 6], but came as {_shape(maps)}.",
    )
    _need(
        scene.shape == (rows,) and scene.dtype == torch.int64,
        f"scene was expected as int64 [{rows}], but came as {_shape(scene)}.",
    )
    _need(
        shown.shape == (rows, 4) and shown.dtype == torch.int32,
        f"shown was expected as int32 [{rows}, 4], but came as {_shape(shown)}.",
    )
    kinds = (torch.int32, torch.int32, torch.int8, torch.float32, torch.uint8, torch.int32, torch.float32)
    for name, tensor, kind in zip(Scenes._fields, tables, kinds, strict=True):
        _need(tensor.dtype == kind, f"tables.{name} was expected as {kind}, but came as {_shape(tensor)}.")
        _need(
            len(tensor) == len(tables.triangles),
            f"tables.{name} was expected to hold {len(tables.triangles)} scenes, but came as {_shape(tensor)}.",
        )
    many = tables.triangles.shape[1]
    _need(
        tables.triangles.dim() == 3 and tables.layers.shape[1:] == (many,) and tables.facing.shape[1:] == (many,),
        f"tables were expected with triangles [A, F, 3], layers and facing [A, F], but came as "
        f"{_shape(tables.triangles)}, {_shape(tables.layers)}, {_shape(tables.facing)}.",
    )
    _need(size > 0, f"A picture of at least 1 x 1 was expected, but {size} x {size} came.")
    _need(look.most > 0, f"look.most was expected to be at least 1, but came as {look.most}.")
    _same_device(vertices, maps=maps, scene=scene, shown=shown, **tables._asdict())
