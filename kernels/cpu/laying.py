# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""A signed picture laid on a mesh and added to what is painted already (numba)."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled

SMALLEST = 1e-6  # twice the area in pixels below which a triangle is degenerate


@compiled
def lay_on(vertices, triangles, places, picture, stamps, stamp, out):
    """Add ``picture`` to ``out`` [H, W, 3] uint8 where ``triangles`` lie; each pixel once, the first triangle's.

    vertices [V, 3] float32 pixels of ``out``; triangles [F, 3] int32, those wound clockwise in the picture left out;
    places [V, 2] float32 pixels of ``picture`` [h, w, 3] float32; stamps [H, W] int32 holds ``stamp`` where it was
    added.
    """
    height, width = out.shape[0], out.shape[1]
    tall, wide = picture.shape[0], picture.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = vertices[a, 0], vertices[a, 1]
        x1, y1 = vertices[b, 0], vertices[b, 1]
        x2, y2 = vertices[c, 0], vertices[c, 1]
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if not area < -SMALLEST:
            continue
        top, bottom = max(int(np.ceil(min(y0, y1, y2))), 0), min(int(np.floor(max(y0, y1, y2))), height - 1)
        left, right = max(int(np.ceil(min(x0, x1, x2))), 0), min(int(np.floor(max(x0, x1, x2))), width - 1)
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 < 0.0 or w1 < 0.0 or w2 < 0.0 or stamps[y, x] == stamp:
                    continue
                stamps[y, x] = stamp
                u = min(max(w0 * places[a, 0] + w1 * places[b, 0] + w2 * places[c, 0], 0.0), wide - 1.001)
                v = min(max(w0 * places[a, 1] + w1 * places[b, 1] + w2 * places[c, 1], 0.0), tall - 1.001)
                i, j = int(u), int(v)
                p, q = u - i, v - j
                for k in range(3):
                    above = picture[j, i, k] * (1 - p) + picture[j, i + 1, k] * p
                    below = picture[j + 1, i, k] * (1 - p) + picture[j + 1, i + 1, k] * p
                    value = out[y, x, k] + above * (1 - q) + below * q + 0.5
                    out[y, x, k] = np.uint8(min(max(value, 0.0), 255.0))
