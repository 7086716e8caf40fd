# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Pictures as the networks take them, planes of floats at 256 pixels (numba)."""

import numpy as np

from kernels.cpu.compiled import compiled


@compiled
def averaged(picture, factor, out):
    """``picture`` [f n, f n, 3] bytes -> ``out`` [3, n, n] in [0, 1], each the mean of f x f."""
    share = np.float32(1 / (255 * factor * factor))
    for i in range(out.shape[1]):
        for j in range(out.shape[2]):
            r, g, b = 0, 0, 0
            for row in range(factor * i, factor * (i + 1)):
                for column in range(factor * j, factor * (j + 1)):
                    r += picture[row, column, 0]
                    g += picture[row, column, 1]
                    b += picture[row, column, 2]
            out[0, i, j] = np.float32(r) * share
            out[1, i, j] = np.float32(g) * share
            out[2, i, j] = np.float32(b) * share


@compiled
def planes_over(which, inner, outside, out):
    """``inner`` [n, n, 3] where a triangle is (``which`` >= 0), else ``outside`` [3, n, n]: ``out`` [3, n, n]."""
    for i in range(which.shape[0]):
        for j in range(which.shape[1]):
            if which[i, j] >= 0:
                for k in range(3):
                    out[k, i, j] = inner[i, j, k]
            else:
                for k in range(3):
                    out[k, i, j] = outside[k, i, j]
