# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Z-buffers on a plain CPU: meshes, what lies behind their openings, and eight points of a pixel (numba).

Arrays go in and out; `kernels.cpu.bridge` wraps them for tensors, the renderer calls them on its own buffers. Compiled
on first use and cached, safe from many threads, without the GIL. What draws triangles stands together in this file:
numba compiles a function anew when its own file changes, not when another does that it takes a part from. The last
lines of the three loops stand in each of them: arrays handed on for every pixel have their references counted, which
made `rasterize` twenty times as slow.

The inside of a mouth reaches far behind the cheeks that hide it, and cheeks of a turned head reach before it. A depth
buffer alone cannot tell; a surface stretched over the opening can: what lies behind the opening is drawn where the
opening is seen, and nowhere else.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled

INSIDE = 1e-5  # how far below zero a barycentric may fall and still count: shared edges leave no gap
SMALLEST = 1e-9  # twice the area in pixels below which a triangle is degenerate
FAR = np.float32(3.0e38)
SAMPLES = 8
TILE = 16
# Eight points of a pixel, no two in one row or column (offsets from its centre).
SAMPLE_X = (np.array([-7, -5, -3, -1, 1, 3, 5, 7]) / 16).astype(np.float64)
SAMPLE_Y = (np.array([1, -5, 5, -1, -7, 7, -3, 3]) / 16).astype(np.float64)


@compiled(inline="always")
def _places(vertices, a, b, c):
    """Where three corners lie in the picture, and twice their triangle's area, signed by its winding."""
    x0, y0 = np.float64(vertices[a, 0]), np.float64(vertices[a, 1])
    x1, y1 = np.float64(vertices[b, 0]), np.float64(vertices[b, 1])
    x2, y2 = np.float64(vertices[c, 0]), np.float64(vertices[c, 1])
    return x0, y0, x1, y1, x2, y2, (x1 - x0) * (y2 - y0) - (x2 - x0) * (y1 - y0)


@compiled(inline="always")
def _span(p0, p1, p2, low, high):
    """The first and the last pixel centre between three coordinates, within ``low`` to ``high``; as floats."""
    return np.ceil(max(min(p0, p1, p2), low) - 1e-6), np.floor(min(max(p0, p1, p2), high) + 1e-6)


@compiled(inline="always")
def _weights(x, y, x0, y0, x1, y1, x2, y2, inverse):
    """The barycentrics of (x, y) in a triangle; ``inverse`` is 1 over twice its area."""
    w1 = ((x - x0) * (y2 - y0) - (x2 - x0) * (y - y0)) * inverse
    w2 = ((x1 - x0) * (y - y0) - (x - x0) * (y1 - y0)) * inverse
    return 1.0 - w1 - w2, w1, w2


@compiled
def rasterize(vertices, triangles, attributes, depth, which, out):
    """Z-buffer one mesh: the nearest triangle at each pixel centre and its interpolated attributes.

    vertices [V, 3] float32, triangles [F, 3] int32, attributes [V, C] float32; written: depth [H, W] float32 (`FAR`
    where nothing is), which [H, W] int32 (-1), out [H, W, C] float32 (0). Ties go to the earlier triangle.
    """
    height, width = depth.shape
    depth[:] = FAR
    which[:] = -1
    out[:] = 0.0
    channels = attributes.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
        if not abs(area) > SMALLEST:  # also refuses NaN
            continue
        left, right = _span(x0, x1, x2, 0.0, width - 1.0)
        top, bottom = _span(y0, y1, y2, 0.0, height - 1.0)
        if right < left or bottom < top:
            continue
        inverse = 1.0 / area
        z0, z1, z2 = vertices[a, 2], vertices[b, 2], vertices[c, 2]
        dw1, dw2 = (y2 - y0) * inverse, -(y1 - y0) * inverse  # per step in x
        for y in range(int(top), int(bottom) + 1):
            dy = y - y0
            w1_row = -(x2 - x0) * dy * inverse - x0 * dw1
            w2_row = (x1 - x0) * dy * inverse - x0 * dw2
            for x in range(int(left), int(right) + 1):
                w1 = w1_row + x * dw1
                w2 = w2_row + x * dw2
                w0 = 1.0 - w1 - w2
                if w0 < -INSIDE or w1 < -INSIDE or w2 < -INSIDE:
                    continue
                z = np.float32(w0 * z0 + w1 * z1 + w2 * z2)
                if z < depth[y, x]:
                    depth[y, x] = z
                    which[y, x] = f
                    for k in range(channels):
                        out[y, x, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]


@compiled
def open_window(which, depth, first, last, window):
    """Take away triangles ``first`` to ``last`` (exclusive) of a drawn mesh, and everything behind them.

    which [H, W] int32 and depth [H, W] float32 as `rasterize` left them are emptied where such a triangle is nearest;
    written: window [H, W] uint8, 1 there. Returns the rows and columns that it spans: top, bottom, left, right,
    inclusive, with bottom < top where nothing was seen.
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
    """`rasterize` of further triangles, numbered from ``first``, where ``window`` [H, W] is 1.

    ``span`` bounds it as `open_window` told. Nothing is cleared: depth, which and out go on from where they are.
    """
    channels = attributes.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
        if not abs(area) > SMALLEST:  # also refuses NaN
            continue
        top, bottom = _span(y0, y1, y2, np.float64(span[0]), np.float64(span[1]))
        left, right = _span(x0, x1, x2, np.float64(span[2]), np.float64(span[3]))
        if right < left or bottom < top:
            continue
        inverse = 1.0 / area
        for y in range(int(top), int(bottom) + 1):
            for x in range(int(left), int(right) + 1):
                if window[y, x] == 0:
                    continue
                w0, w1, w2 = _weights(x, y, x0, y0, x1, y1, x2, y2, inverse)
                if w0 < -INSIDE or w1 < -INSIDE or w2 < -INSIDE:
                    continue
                z = np.float32(w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2])
                if z < depth[y, x]:
                    depth[y, x] = z
                    which[y, x] = first + f
                    for k in range(channels):
                        out[y, x, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]


@compiled
def supersample(vertices, triangles, attributes, slots, tiles, window, first, depth, which, out):
    """Rasterize the pixels that `kernels.cpu.edges.find_edges` numbered at `SAMPLES` points each.

    slots [H, W] int32 and tiles [H / 16, W / 16] uint8 as it wrote them; only where ``window`` [n, 8] uint8 is 1.
    Triangles are numbered from ``first``. depth [n, 8] float32 (`FAR`), which [n, 8] int32 (-1) and out [n, 8, C]
    float32 of the n numbered pixels go on from where they are, so a mesh may be drawn in several calls.
    """
    height, width = slots.shape
    channels = attributes.shape[1]
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
        if not abs(area) > SMALLEST:  # also refuses NaN
            continue
        left = int(max(np.floor(min(x0, x1, x2)), 0.0))
        right = int(min(np.ceil(max(x0, x1, x2)), width - 1.0))
        top = int(max(np.floor(min(y0, y1, y2)), 0.0))
        bottom = int(min(np.ceil(max(y0, y1, y2)), height - 1.0))
        if right < left or bottom < top:
            continue
        touched = False
        for ty in range(top // TILE, bottom // TILE + 1):
            for tx in range(left // TILE, right // TILE + 1):
                touched = touched or tiles[ty, tx] != 0
        if not touched:
            continue
        inverse = 1.0 / area
        for y in range(top, bottom + 1):
            for x in range(left, right + 1):
                slot = slots[y, x]
                if slot < 0:
                    continue
                for s in range(SAMPLES):
                    if window[slot, s] == 0:
                        continue
                    w0, w1, w2 = _weights(x + SAMPLE_X[s], y + SAMPLE_Y[s], x0, y0, x1, y1, x2, y2, inverse)
                    if w0 < -INSIDE or w1 < -INSIDE or w2 < -INSIDE:
                        continue
                    z = np.float32(w0 * vertices[a, 2] + w1 * vertices[b, 2] + w2 * vertices[c, 2])
                    if z < depth[slot, s]:
                        depth[slot, s] = z
                        which[slot, s] = first + f
                        for k in range(channels):
                            out[slot, s, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]
