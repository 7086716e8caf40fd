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
