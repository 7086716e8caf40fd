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
    Rows are mixed once; where nothing moves and nothing is added, the picture stays as it is.
    """
    side = size * residual.shape[1] // 64
    grid, fine = residual.shape[1], added.shape[1]
    height, width = near.shape[0], near.shape[1]
    half, one, zero = np.float32(0.5), np.float32(1.0), np.float32(0)
    pixels = half * np.float32(size)
    moves, adds = np.empty((2, grid), np.float32), np.empty((3, fine), np.float32)
    for r in range(side):
        i0, i1, b = between(r, side, grid)
        m0, m1, d = between(r, side, fine)
        busy = False
        for k in range(2):
            for j in range(grid):
                moves[k, j] = (residual[k, i0, j] * (one - b) + residual[k, i1, j] * b) * pixels
                busy |= moves[k, j] != zero
        for k in range(3):
            for j in range(fine):
                adds[k, j] = (added[k, m0, j] * (one - d) + added[k, m1, j] * d) * np.float32(255)
                busy |= adds[k, j] != zero
        if not busy:
            continue
        for c in range(side):
            j0, j1, a = between(c, side, grid)
            n0, n1, e = between(c, side, fine)
            du = moves[0, j0] * (one - a) + moves[0, j1] * a
            dv = moves[1, j0] * (one - a) + moves[1, j1] * a
            red = adds[0, n0] * (one - e) + adds[0, n1] * e
            green = adds[1, n0] * (one - e) + adds[1, n1] * e
            blue = adds[2, n0] * (one - e) + adds[2, n1] * e
            if du == zero and dv == zero and red == zero and green == zero and blue == zero:
                continue
            u = min(max(du + np.float32(c + dx), zero), np.float32(width - 1))
            v = min(max(dv + np.float32(r + dy), zero), np.float32(height - 1))
            p, q = int(u), int(v)
            p1, q1 = min(p + 1, width - 1), min(q + 1, height - 1)
            s, t = u - np.float32(p), v - np.float32(q)
            for k, more in enumerate((red, green, blue)):
                upper = near[q, p, k] * (one - s) + near[q, p1, k] * s
                lower = near[q1, p, k] * (one - s) + near[q1, p1, k] * s
                value = upper * (one - t) + lower * t + more + half
                out[y + r, x + c, k] = np.uint8(min(max(value, zero), np.float32(255)))


@compiled(inline="always")
def between(at, side, count):
    """Of ``count`` cells across ``side`` pixels: the two around pixel ``at``, and the share of the second."""
    place = max((np.float32(at) + np.float32(0.5)) * np.float32(count / side) - np.float32(0.5), np.float32(0))
    first = min(int(place), count - 1)
    return first, min(first + 1, count - 1), place - np.float32(first)


@compiled(inline="always")
def mixed(values, i0, i1, j0, j1, b, a):
    """Bilinear: ``b`` of row i1, ``a`` of column j1."""
    one = np.float32(1.0)
    upper = values[i0, j0] * (one - a) + values[i0, j1] * a
    lower = values[i1, j0] * (one - a) + values[i1, j1] * a
    return upper * (one - b) + lower * b
