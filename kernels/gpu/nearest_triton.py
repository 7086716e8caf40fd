# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""The nearest triangle at every place, in Triton: what the kernels that draw meshes and scenes have in common.

One program walks one triangle's bounding box and keeps, for every place that it covers, the smallest 64-bit key: depth
(as an integer that sorts like the float) above, triangle number below. So equal depths go to the earlier triangle and
the result does not depend on the order of execution. `kernels.plain.nearest` says the same in plain torch.
"""

from __future__ import annotations

import triton
import triton.language as tl

from kernels.plain.nearest import EMPTY, INSIDE, SMALLEST

BOX_X: tl.constexpr = tl.constexpr(16)
BOX_Y: tl.constexpr = tl.constexpr(8)
NOTHING: tl.constexpr = tl.constexpr(EMPTY)
REACH: tl.constexpr = tl.constexpr(INSIDE)
FLAT: tl.constexpr = tl.constexpr(SMALLEST)
# Heights of the eight points, (y + 7 / 16) * 8, four bits each; they stand at x = (2 s - 7) / 16.
HEIGHTS: tl.constexpr = tl.constexpr(0x52703614)


@triton.jit
def point(s):
    """Where the s-th of a pixel's eight points lies, from its centre."""
    return (2 * s - 7) * 0.0625, (((HEIGHTS >> (4 * s)) & 7) * 2 - 7) * 0.0625


@triton.jit
def corner(mesh, v):
    """x, y and z of vertex v of a mesh [V, 3]."""
    return tl.load(mesh + v * 3), tl.load(mesh + v * 3 + 1), tl.load(mesh + v * 3 + 2)


@triton.jit
def _key(x, y, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f):
    """The key of triangle f at (x, y), and whether it covers it."""
    px, py = x - x0, y - y0
    w1 = (px * by - bx * py) * inverse
    w2 = (ax * py - px * ay) * inverse
    w0 = 1.0 - w1 - w2
    z = w0 * z0 + w1 * z1 + w2 * z2
    bits = z.to(tl.int32, bitcast=True)
    sortable = tl.where(bits < 0, bits ^ 0x7FFFFFFF, bits)
    inside = (w0 >= -REACH) & (w1 >= -REACH) & (w2 >= -REACH) & (z == z)
    return (sortable.to(tl.int64) << 32) | f, inside


@triton.jit
def keep_nearest(keys, slots, f, drawn, x0, y0, z0, x1, y1, z1, x2, y2, z2, height, width, FINE: tl.constexpr):
    """Lower the keys of the places that triangle f covers, if it is ``drawn`` and has an area.

    keys [height * width] are of pixel centres; with FINE keys [n * 8] are of eight points of each pixel that has a
    number in slots [height, width]. The atomics order nothing else (the keys are read by a later launch), so they are
    relaxed: with Triton's default each is fenced twice, a tenth of the painting of 64 rows.
    """
    ax, ay, bx, by = x1 - x0, y1 - y0, x2 - x0, y2 - y0
    area = ax * by - bx * ay
    usable = drawn & (tl.abs(area) > FLAT)  # false for NaN as well
    inverse = 1.0 / tl.where(usable, area, 1.0)
    # Clamping before the cast keeps far-off vertices inside the integer's range.
    last_x, last_y = tl.cast(width - 1, tl.float32), tl.cast(height - 1, tl.float32)
    zero = last_x * 0.0
    low_x, high_x = tl.maximum(tl.minimum(tl.minimum(x0, x1), x2), zero), tl.maximum(tl.maximum(x0, x1), x2)
    low_y, high_y = tl.maximum(tl.minimum(tl.minimum(y0, y1), y2), zero), tl.maximum(tl.maximum(y0, y1), y2)
    high_x, high_y = tl.minimum(high_x, last_x), tl.minimum(high_y, last_y)
    if FINE:
        left, top = tl.floor(low_x).to(tl.int32), tl.floor(low_y).to(tl.int32)
        right, bottom = tl.ceil(high_x).to(tl.int32), tl.ceil(high_y).to(tl.int32)
    else:
        left, top = tl.ceil(low_x - 1e-6).to(tl.int32), tl.ceil(low_y - 1e-6).to(tl.int32)
        right, bottom = tl.floor(high_x + 1e-6).to(tl.int32), tl.floor(high_y + 1e-6).to(tl.int32)
    right = tl.where(usable, right, left - 1)
    for y_from in range(top, bottom + 1, BOX_Y):
        y = y_from + tl.arange(0, BOX_Y)[:, None]
        for x_from in range(left, right + 1, BOX_X):
            x = x_from + tl.arange(0, BOX_X)[None, :]
            real = (x <= right) & (y <= bottom)
            at = y.to(tl.int64) * width + x.to(tl.int64)
            fx, fy = x.to(tl.float32), y.to(tl.float32)
            if FINE:
                slot = tl.load(slots + at, mask=real, other=-1).to(tl.int64)
                if tl.max(tl.max(slot, 1), 0) >= 0:
                    for s in range(8):
                        dx, dy = point(s)
                        key, inside = _key(fx + dx, fy + dy, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f)
                        tl.atomic_min(keys + slot * 8 + s, key, mask=inside & real & (slot >= 0), sem="relaxed")
            else:
                key, inside = _key(fx, fy, x0, y0, z0, z1, z2, ax, ay, bx, by, inverse, f)
                tl.atomic_min(keys + at, key, mask=inside & real, sem="relaxed")


@triton.jit
def weights(vertices, triangles, f, row, x, y, covered):
    """The corners of the triangles f at the points (x, y), and the points' weights in them, where they are covered.

    triangles [F, 3] name rows of vertices [rows, 3], counted from ``row``; f, x, y, covered and what returns are one
    number for each of a program's points.
    """
    v0 = row + tl.load(triangles + f * 3, mask=covered, other=0).to(tl.int64)
    v1 = row + tl.load(triangles + f * 3 + 1, mask=covered, other=0).to(tl.int64)
    v2 = row + tl.load(triangles + f * 3 + 2, mask=covered, other=0).to(tl.int64)
    x0 = tl.load(vertices + v0 * 3, mask=covered, other=0.0)
    y0 = tl.load(vertices + v0 * 3 + 1, mask=covered, other=0.0)
    ax = tl.load(vertices + v1 * 3, mask=covered, other=1.0) - x0
    ay = tl.load(vertices + v1 * 3 + 1, mask=covered, other=0.0) - y0
    bx = tl.load(vertices + v2 * 3, mask=covered, other=0.0) - x0
    by = tl.load(vertices + v2 * 3 + 1, mask=covered, other=1.0) - y0
    inverse = 1.0 / (ax * by - bx * ay)
    px, py = x - x0, y - y0
    w1 = (px * by - bx * py) * inverse
    w2 = (ax * py - px * ay) * inverse
    return v0, v1, v2, 1.0 - w1 - w2, w1, w2


@triton.jit
def carry(values, c, v0, v1, v2, w0, w1, w2, covered, other, CHANNELS: tl.constexpr):
    """Channel c of values [rows, CHANNELS] at those weights, ``other`` where nothing is."""
    value = w0 * tl.load(values + v0 * CHANNELS + c, mask=covered, other=0.0)
    value += w1 * tl.load(values + v1 * CHANNELS + c, mask=covered, other=0.0)
    value += w2 * tl.load(values + v2 * CHANNELS + c, mask=covered, other=0.0)
    return tl.where(covered, value, other)
