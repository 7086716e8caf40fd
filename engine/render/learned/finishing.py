# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""What the networks change, brought to the picture's own size in one pass over the square around the lips (numba)."""

import numpy as np

from kernels.cpu.compiled import compiled


@compiled
def finish(near, residual, added, size, x, y, dx, dy, out):
    """Write the square with its upper left pixel at (x, y) of ``out`` [size, size, 3 or 4] bytes anew.

    ``near`` [h, w, 3] bytes is a copy of the picture around the square, which begins at (dx, dy) of it. It is sampled
    at x + residual(x), bilinearly, its edge repeated; residual [2, g, g] is in units in which the picture spans
    [-1, 1]. ``added`` [3, n, n] is added, in [0, 1]. Both are enlarged bilinearly, pixel centres on pixel centres.
    """
    side = size * residual.shape[1] // 64
    grid, fine = residual.shape[1], added.shape[1]
    height, width = near.shape[0], near.shape[1]
    half, one = np.float32(0.5), np.float32(1.0)
    pixels = half * np.float32(size)
    for r in range(side):
        i0, i1, b = _between(r, side, grid)
        m0, m1, d = _between(r, side, fine)
        for c in range(side):
            j0, j1, a = _between(c, side, grid)
            n0, n1, e = _between(c, side, fine)
            u = _mixed(residual[0], i0, i1, j0, j1, b, a) * pixels + np.float32(c + dx)
            v = _mixed(residual[1], i0, i1, j0, j1, b, a) * pixels + np.float32(r + dy)
            u = min(max(u, np.float32(0)), np.float32(width - 1))
            v = min(max(v, np.float32(0)), np.float32(height - 1))
            p, q = int(u), int(v)
            p1, q1 = min(p + 1, width - 1), min(q + 1, height - 1)
            s, t = u - np.float32(p), v - np.float32(q)
            for k in range(3):
                upper = near[q, p, k] * (one - s) + near[q, p1, k] * s
                lower = near[q1, p, k] * (one - s) + near[q1, p1, k] * s
                value = upper * (one - t) + lower * t
                value += np.float32(255) * _mixed(added[k], m0, m1, n0, n1, d, e) + half
                out[y + r, x + c, k] = np.uint8(min(max(value, np.float32(0)), np.float32(255)))


@compiled(inline="always")
def _between(at, side, count):
    """Of ``count`` cells across ``side`` pixels: the two around pixel ``at``, and the share of the second."""
    place = max((np.float32(at) + np.float32(0.5)) * np.float32(count / side) - np.float32(0.5), np.float32(0))
    first = min(int(place), count - 1)
    return first, min(first + 1, count - 1), place - np.float32(first)


@compiled(inline="always")
def _mixed(values, i0, i1, j0, j1, b, a):
    """Bilinear: ``b`` of row i1, ``a`` of column j1."""
    one = np.float32(1.0)
    upper = values[i0, j0] * (one - a) + values[i0, j1] * a
    lower = values[i1, j0] * (one - a) + values[i1, j1] * a
    return upper * (one - b) + lower * b
