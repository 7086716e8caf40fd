# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Through a window: what lies behind an opening is drawn where the opening is seen, and nowhere else (numba).

The inside of a mouth reaches far behind the cheeks that hide it, and cheeks of a turned head reach before it. A depth
buffer alone cannot tell; a surface stretched over the opening can.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.numba_kernels import FAR, INSIDE


@compiled
def open_window(which, depth, first, last, window):
    """Take away triangles ``first`` to ``last`` (exclusive) of a drawn mesh, and everything behind them.

    which [H, W] int32 and depth [H, W] float32 as `kernels.cpu.numba_kernels.rasterize` left them are emptied where
    such a triangle is nearest; written: window [H, W] uint8, 1 there. Returns the rows and columns that it spans: top,
    bottom, left, right, inclusive, with bottom < top where nothing was seen.
    """
    top, bottom, left, right = which.shape[0], -1, which.shape[1], -1
    for y in range(which.shape[0]):
        for x in range(which.shape[1]):
            seen = first <= which[y, x] < last
            window[y, x] = seen
            if seen:
                which[y, x] = -1
                depth[y, x] = FAR
                top, bottom = min(top, y), max(bottom, y)
                left, right = min(left, x), max(right, x)
    return top, bottom, left, right


@compiled
def rasterize_within(vertices, triangles, attributes, window, span, first, depth, which, out):
    """`numba_kernels.rasterize` of further triangles, numbered from ``first``, where ``window`` [H, W] is 1.

    ``span`` bounds it as `open_window` told. Nothing is cleared: depth, which and out go on from where they are.
    """
    channels = attributes.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = np.float64(vertices[a, 0]), np.float64(vertices[a, 1])
        x1, y1 = np.float64(vertices[b, 0]), np.float64(vertices[b, 1])
        x2, y2 = np.float64(vertices[c, 0]), np.float64(vertices[c, 1])
        area = (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)
        if not abs(area) > 1e-9:  # also refuses NaN
            continue
        upper = np.ceil(max(min(y0, y1, y2), np.float64(span[0])) - 1e-6)
        lower = np.floor(min(max(y0, y1, y2), np.float64(span[1])) + 1e-6)
        left = np.ceil(max(min(x0, x1, x2), np.float64(span[2])) - 1e-6)
        right = np.floor(min(max(x0, x1, x2), np.float64(span[3])) + 1e-6)
        if right < left or lower < upper:
            continue
        inverse = 1.0 / area
        for y in range(int(upper), int(lower) + 1):
            for x in range(int(left), int(right) + 1):
                if window[y, x] == 0:
                    continue
                w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
                w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
                w0 = 1.0 - w1 - w2
                if w0 < -INSIDE or w1 < -INSIDE or w2 < -INSIDE:
                    continue
                z = np.float32(w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2])
                if z < depth[y, x]:
                    depth[y, x] = z
                    which[y, x] = first + f
                    for k in range(channels):
                        out[y, x, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]
