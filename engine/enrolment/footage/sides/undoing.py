"""Frames of a film laid back onto a portrait's texture by the mesh, and the mesh's values spread over it."""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.face.panels import MARGIN
from engine.imaging.neighbours import border, nearest_points
from engine.imaging.resampling import read_at, to_bytes
from engine.imaging.smoothing import blur
from engine.render.renderer import Renderer

OFF = 3.0  # texture pixels by which what is seen may lie beside what was asked for


def spread(
    renderer: Renderer, places: FloatArray, values: FloatArray, triangles: np.ndarray
) -> tuple[FloatArray, np.ndarray]:
    """``values`` [V, C] of vertices at ``places`` [V, 3] of the texture, on its pixels [h, h, C]; and where any are."""
    from kernels.cpu import numba_kernels

    size = renderer.avatar.size
    side, margin = size + 2 * (size // MARGIN), size // MARGIN
    moved = np.ascontiguousarray(places + np.array([margin, margin, 0]), np.float32)
    depth, which = np.empty((side, side), np.float32), np.empty((side, side), np.int32)
    out = np.empty((side, side, values.shape[1]), np.float32)
    numba_kernels.rasterize(moved, triangles.astype(np.int32), np.ascontiguousarray(values), depth, which, out)
    return out, which >= 0


def on_texture(renderer: Renderer, given: FloatArray, triangles: np.ndarray) -> tuple[FloatArray, np.ndarray]:
    """What is ``given`` of the scene's own vertices [V, C], on the texture's pixels [h, h, C]; and where any is."""
    scene = renderer.scene
    values = np.concatenate([given, scene.dense(given)])
    return spread(renderer, np.pad(scene.maps[: len(values), :2], ((0, 0), (0, 1))), values, triangles)


def lies_at(renderer: Renderer, motion: Motion, on: np.ndarray) -> tuple[FloatArray, np.ndarray]:
    """Where the texture's pixels ``on`` [h, h] lie in a motion's picture [n, 2], and which are seen there [n]."""
    scene = renderer.scene
    posed = renderer.pose(motion)
    scene.thicken(posed.vertices, posed.maps)
    triangles = np.vstack([scene.dense.skin, scene.dense.sheet])
    places = np.concatenate([posed.maps[:, :2], posed.vertices[:, 2:]], axis=1)
    at, drawn = (values[on] for values in spread(renderer, places, posed.vertices[:, :2], triangles))
    renderer.render(motion)
    painter, margin = renderer.painter, renderer.avatar.size // MARGIN
    there = np.where(painter.which < len(triangles), painter.places, np.float32(-1e4))
    y, x = np.nonzero(on)
    off = np.hypot(*(read_at(there[k], at[:, 0], at[:, 1]) + margin - own for k, own in ((0, x), (1, y))))
    within = ((at > 0) & (at < renderer.size - 1)).all(-1)
    return at, drawn & within & (off < OFF)


def undone(renderer: Renderer, motion: Motion, picture: ByteArray) -> tuple[ByteArray, np.ndarray]:
    """A frame's ``picture`` [s, s, C] as a portrait [S, S, C] that ``renderer`` turns into it, and where it is seen."""
    margin, size = renderer.avatar.size // MARGIN, renderer.avatar.size
    on = np.zeros((size + 2 * margin, size + 2 * margin), bool)
    on[margin : margin + size, margin : margin + size] = True
    at, seen = lies_at(renderer, motion, on)
    found = read_at(picture.astype(np.float32), at[:, 0], at[:, 1])
    return to_bytes(found).reshape(size, size, -1), seen.reshape(size, size)


def laid_out(on: np.ndarray, values: np.ndarray) -> FloatArray:
    """``values`` [n, ...] of the pixels where ``on`` [h, h] is true, 0 elsewhere."""
    out = np.zeros((*on.shape, *values.shape[1:]), np.float32)
    out[on] = values
    return out


def closed(on: np.ndarray, colours: FloatArray, known: np.ndarray, wide: float) -> tuple[FloatArray, np.ndarray]:
    """``colours`` [n, 3] and where they are ``known`` [n]; gaps about ``wide`` pixels wide filled from beside.

    Between skin and what surrounds it the mesh leaves one: a line of the portrait would show there.
    """
    there = laid_out(on, known) > 0
    gap = on & ~there & (blur(there.astype(np.float32), wide) > 0.5)
    if not gap.any():
        return colours, known
    beside = border(there)
    nearest, _ = nearest_points(np.argwhere(gap)[:, ::-1].astype(np.float32), beside)
    x, y = beside[nearest].astype(int).T
    filled = laid_out(on, colours)
    filled[gap] = filled[y, x]
    return filled[on], known | gap[on]
