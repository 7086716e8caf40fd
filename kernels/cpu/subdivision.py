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
    place, carried = np.empty(3, np.float32), np.empty(maps.shape[1], np.float32)
    for i in range(which.shape[0]):
        place[:] = np.float32(0.0)
        carried[:] = np.float32(0.0)
        for k in range(which.shape[1]):
            weight, at = weights[i, k], which[i, k]
            if weight == 0:
                continue
            for d in range(3):
                place[d] += weight * vertices[at, d]
            for d in range(maps.shape[1]):
                carried[d] += weight * maps[at, d]
        for d in range(3):
            vertices[first + i, d] = place[d]
        for d in range(maps.shape[1]):
            maps[first + i, d] = carried[d]
