# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Vertices as combinations of others (numba)."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled


@compiled
def combine(which, weights, values, out):
    """out [n, D] = sum over k of weights [n, k] float32 * values [V, D] float32 at which [n, k]."""
    for i in range(which.shape[0]):
        for d in range(values.shape[1]):
            total = np.float32(0.0)
            for k in range(which.shape[1]):
                total += weights[i, k] * values[which[i, k], d]
            out[i, d] = total


@compiled
def thicken(which, weights, first, vertices, maps):
    """`combine` in place for the rows from ``first`` on of vertices [V, 3] and maps [V, C] float32."""
    channels = maps.shape[1]
    for i in range(which.shape[0]):
        x = y = z = u = v = shade = np.float32(0.0)
        for k in range(which.shape[1]):
            weight, at = weights[i, k], which[i, k]
            x, y, z = x + weight * vertices[at, 0], y + weight * vertices[at, 1], z + weight * vertices[at, 2]
            u, v, shade = u + weight * maps[at, 0], v + weight * maps[at, 1], shade + weight * maps[at, 2]
        row = first + i
        vertices[row, 0], vertices[row, 1], vertices[row, 2] = x, y, z
        maps[row, 0], maps[row, 1], maps[row, 2] = u, v, shade
        for d in range(3, channels):
            total = np.float32(0.0)
            for k in range(which.shape[1]):
                total += weights[i, k] * maps[which[i, k], d]
            maps[row, d] = total
