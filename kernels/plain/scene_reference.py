"""`kernels.paint_scenes` in plain torch: the definition of correct, and what a GPU without Triton would run."""

from __future__ import annotations

import torch
from torch import Tensor

from kernels.plain.nearest import EMPTY, POINTS, barycentrics, corners_of, nearest, nearest_points, triangle_of
from kernels.scenes import Look, Painted, Scenes

MIRRORED = 0.004  # share from which a mirrored place counts
SAME_SHADE = 0.02  # within which an edge pixel's points still agree


def paint_scenes(
    vertices: Tensor, maps: Tensor, scene: Tensor, shown: Tensor, tables: Scenes, size: int, look: Look
) -> Painted:
    """See `kernels.paint_scenes`; the arguments were checked there."""
    triangles = tables.triangles[scene]  # [R, F, 3]
    front, inside = drawn(vertices, triangles, tables.facing[scene], shown)
    outer, inner = (nearest(vertices, triangles, part, size, size) for part in (front, inside))
    keys = through(outer, inner, shown)
    which = triangle_of(keys)  # [R, S, S]
    at = torch.arange(size, device=vertices.device, dtype=torch.float64)
    rows = torch.arange(len(vertices), device=vertices.device)[:, None, None]
    places = carried(vertices, maps, triangles, rows, which, at, at[:, None])
    layer = tables.layers[scene].gather(1, which.flatten(1).clamp(min=0).long()).view_as(which)
    slots = number(edges(which, places, layer, look.jump), look.most)
    outer, inner = (nearest_points(vertices, triangles, part, slots, look.most) for part in (front, inside))
    fine = through(outer, inner, shown)
    rgb = shaded(fetch_all(places, layer, scene, tables), places, look.warmth) * (which >= 0)[..., None]
    rgb = refined(rgb, which, places, slots, fine, vertices, maps, triangles, scene, tables, look)
    return Painted((rgb + 0.5).clamp(0, 255).to(torch.uint8), which, places)


def drawn(vertices: Tensor, triangles: Tensor, facing: Tensor, shown: Tensor) -> tuple[Tensor, Tensor]:
    """Which triangles [R, F] are drawn, and which only through the opening."""
    x, y = corners_of(vertices[..., :2], triangles).unbind(-1)  # [R, F, 3]
    turned = (x[..., 1] - x[..., 0]) * (y[..., 2] - y[..., 0]) - (y[..., 1] - y[..., 0]) * (x[..., 2] - x[..., 0])
    number = torch.arange(triangles.shape[1], device=vertices.device)[None]
    before, first, last, behind = shown[:, :, None].unbind(1)
    front = (number < before) & ~(facing * turned > 0)
    return front, (number >= behind) & (last > first)


def through(front: Tensor, inside: Tensor, shown: Tensor) -> Tensor:
    """Keys [R, ...]: where the nearest triangle is of the opening, what lies inside is seen instead."""
    first, last = (shown[:, k].view(-1, *[1] * (front.dim() - 1)) for k in (1, 2))
    triangle = front & 0xFFFFFFFF
    return torch.where((front != EMPTY) & (triangle >= first) & (triangle < last), inside, front)


def carried(
    vertices: Tensor, maps: Tensor, triangles: Tensor, rows: Tensor, which: Tensor, x: Tensor, y: Tensor
) -> Tensor:
    """Maps [..., C] of ``rows`` and their triangles ``which`` [...] at the points (x, y), 0 where nothing is."""
    names = triangles[rows, which.clamp(min=0).long()].long()  # [..., 3]
    weights = barycentrics(vertices[rows[..., None], names].double(), x, y)
    values = (weights[..., None] * maps[rows[..., None], names]).sum(-2).float()
    return torch.where((which >= 0)[..., None], values, 0.0)


def edges(which: Tensor, places: Tensor, layer: Tensor, jump: float) -> Tensor:
    """Where surfaces end [R, S, S] bool: pixels whose neighbour's layer differs, or looks far away in the texture."""
    out = torch.zeros_like(which, dtype=torch.bool)
    for axis in (1, 2):
        count = which.shape[axis] - 1
        one, other = which.narrow(axis, 0, count), which.narrow(axis, 1, count)
        away = (places.narrow(axis, 0, count) - places.narrow(axis, 1, count))[..., :2].abs().amax(-1)
        alike = (one >= 0) & (other >= 0) & (layer.narrow(axis, 0, count) == layer.narrow(axis, 1, count))
        edge = torch.where(alike, away > jump, (one >= 0) | (other >= 0))
        for start in (0, 1):
            out.narrow(axis, start, count).logical_or_(edge)
    return out


def number(edge: Tensor, most: int) -> Tensor:
    """Numbers [R, S, S] int32 of the pixels on edges, row after row, -1 elsewhere and beyond ``most``."""
    count = torch.cumsum(edge.flatten(1), 1).view_as(edge) - 1
    return torch.where(edge & (count < most), count, -1).int()


def fetch(tables: Scenes, scene: Tensor, u: Tensor, v: Tensor) -> Tensor:
    """The bilinear colours [n, 3] of the atlases ``scene`` [n] at (u, v) [n], edges repeated."""
    extent = tables.extent[scene].float()
    u = torch.minimum(u.clamp(min=0), extent[:, 1] - 1.001)
    v = torch.minimum(v.clamp(min=0), extent[:, 0] - 1.001)
    i, j = u.long(), v.long()
    a, b = (u - i)[:, None], (v - j)[:, None]
    above = tables.atlas[scene, j, i] * (1 - a) + tables.atlas[scene, j, i + 1] * a
    below = tables.atlas[scene, j + 1, i] * (1 - a) + tables.atlas[scene, j + 1, i + 1] * a
    return above * (1 - b) + below * b


def fetch_all(places: Tensor, layer: Tensor, scene: Tensor, tables: Scenes) -> Tensor:
    """Colours [R, ..., 3] before shading, mirrored ones mixed in."""
    flat = places.reshape(-1, places.shape[-1])
    scenes = scene.view(-1, *[1] * (layer.dim() - 1)).expand_as(layer).reshape(-1)
    shift = tables.offsets[scenes, layer.reshape(-1).long()]  # [n, 2]
    rgb = fetch(tables, scenes, flat[:, 0] + shift[:, 0], flat[:, 1] + shift[:, 1])
    if flat.shape[1] == 6:
        share = torch.where(flat[:, 5] > MIRRORED, flat[:, 5], 0.0)[:, None]
        twin = fetch(tables, scenes, flat[:, 3] + shift[:, 0], flat[:, 4] + shift[:, 1])
        rgb = rgb + share * (twin * tables.gain[scenes] - rgb)
    return rgb.view(*places.shape[:-1], 3)


def shaded(rgb: Tensor, places: Tensor, warmth: float) -> Tensor:
    """Colours [..., 3] times the brightness; what is dark turns redder, as light in flesh does."""
    shade = places[..., 2:3]
    tint = torch.tensor([0.0, 1.0, 1.5], device=rgb.device) * warmth
    return rgb * shade * (1 - tint * (1 - shade))


def refined(
    rgb: Tensor, which: Tensor, places: Tensor, slots: Tensor, fine: Tensor,
    vertices: Tensor, maps: Tensor, triangles: Tensor, scene: Tensor, tables: Scenes, look: Look,
) -> Tensor:  # fmt: skip
    """``rgb`` [R, S, S, 3] with the numbered pixels replaced by the mean of their points that something covers."""
    r, y, x = torch.nonzero(slots >= 0, as_tuple=True)  # [n]
    keys = fine[r, slots[r, y, x].long()]  # [n, 8]
    triangle = triangle_of(keys)
    points = torch.tensor(POINTS, dtype=torch.float64, device=rgb.device)  # [8, 2]
    px, py = x[:, None] + points[:, 0], y[:, None] + points[:, 1]
    found = carried(vertices, maps, triangles, r[:, None], triangle, px, py)  # [n, 8, C]
    layer = tables.layers[scene[r][:, None], triangle.clamp(min=0).long()]
    colours = shaded(fetch_all(found, layer, scene[r], tables), found, look.warmth)
    covered = (triangle >= 0).float()[..., None]
    mean = (colours * covered).sum(1) / covered.sum(1).clamp(min=1)
    away = (found - places[r, y, x][:, None]).abs()  # [n, 8, C]
    agree = (away[..., :2].amax(-1) <= look.spread) & (away[..., 2] <= SAME_SHADE) & (triangle >= 0)
    smooth = agree.all(1) & (which[r, y, x] >= 0)
    rgb[r, y, x] = torch.where(smooth[:, None], rgb[r, y, x], mean)
    return rgb
