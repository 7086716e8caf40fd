# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Z-buffers on a plain CPU: meshes, what lies behind their openings, and eight points of a pixel (numba).

Arrays go in and out; `kernels.cpu.bridge` wraps them for tensors, the renderer calls them on its own buffers. Compiled
on first use and cached, safe from many threads, without the GIL. What draws triangles stands together in this file:
numba compiles a function anew when its own file changes, not when another does that it takes a part from. Loops hand
numbers on, not arrays: arrays handed on for every pixel have their references counted, twenty times as slow.

First it is decided which triangle each pixel sees, and where in the texture (`see`): row by row of a triangle, a span
found from its edges, eight pixels at a time. What else a triangle carries is asked for later and elsewhere
(`interpolate`). What draws takes the rows it may touch, so that several cores can share a picture.

The inside of a mouth reaches far behind the cheeks that hide it, and cheeks of a turned head reach before it. A depth
buffer alone cannot tell; a surface stretched over the opening can: what lies behind the opening is drawn where the
opening is seen, and nowhere else.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import INSIDE, LANES, SAMPLE_X, SAMPLE_Y, SAMPLES, nearest, nearest_points

SMALLEST = 1e-9  # twice the area in pixels below which a triangle is degenerate
FAR = np.float32(3.0e38)
TILE = 16


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


@compiled(inline="always")
def _plane(at0, at1, at2, w1x, w1y, w2x, w2y, x0, y0):
    """What grows evenly over a triangle: how much along x and y, and what it is at x = y = 0."""
    base = np.float64(at0)
    along_x, along_y = w1x * (at1 - base) + w2x * (at2 - base), w1y * (at1 - base) + w2y * (at2 - base)
    return along_x, along_y, base - x0 * along_x - y0 * along_y


@compiled(inline="always")
def _inverse(step):
    """1 over a barycentric's growth along x, 0 where it does not grow."""
    return 1.0 / step if step != 0.0 else 0.0


@compiled(inline="always")
def _reach(low, high, x0, at, inverse):
    """``low`` and ``high`` as far as ``at`` + (x - x0) / ``inverse`` is not negative; low > high where nowhere."""
    edge = x0 - at * inverse
    low = max(low, edge) if inverse > 0.0 else low
    high = min(high, edge) if inverse < 0.0 else high
    return low, high if inverse != 0.0 or at >= 0.0 else low - 1.0


@compiled(inline="always")
def _around(p0, p1, p2, low, high):
    """The first and the last tile within a pixel of three coordinates, within ``low`` to ``high``."""
    first, last = max(min(p0, p1, p2) - 1.0, low), min(max(p0, p1, p2) + 1.0, high)
    if not first <= last:  # also refuses NaN
        return 1, 0
    return int(first) // TILE, int(last) // TILE


@compiled(inline="always")
def _packed(upper, lower, west, east):
    """Rows and columns of tiles, 255 at most, from the first to the last, as one number; -1 where there are none."""
    if upper > lower or west > east:
        return np.int32(-1)
    return np.int32(upper | lower << 8 | west << 16 | east << 24)


@compiled
def boxes(vertices, triangles, limits, spots):
    """The tiles that triangles may touch within ``limits``, rows and columns of pixels from first to last.

    Written: spots [F] int32, a byte each: first and last row, first and last column of tiles; -1 for none at all.
    """
    for f in range(triangles.shape[0]):
        x0, y0, x1, y1, x2, y2, area = _places(vertices, triangles[f, 0], triangles[f, 1], triangles[f, 2])
        upper, lower = _around(y0, y1, y2, np.float64(limits[0]), np.float64(limits[1]))
        west, east = _around(x0, x1, x2, np.float64(limits[2]), np.float64(limits[3]))
        spots[f] = _packed(upper, lower, west, east) if abs(area) > SMALLEST else -1


@compiled
def see(vertices, triangles, facing, maps, plain, wary, jump, rows, depth, which, places, special, odd, ending, spots):
    """Z-buffer one mesh in the rows from rows[0] to before rows[1]: the nearest triangle at each pixel centre.

    vertices [V, 3] float32, triangles [F, 3] int32, facing [F] int8 = the sign that twice a triangle's area has where
    it shows its back and is left out, or 0; maps [V, 3 or 6] float32 = texture x, y, shade (and a mirrored x, y, its
    share). Go on from where they are: depth [H, W] float32 (`FAR` where nothing is yet), which [H, W] int32 (-1) and
    places [2, H, W] float32: texture x, y. Written: special [F] bool: which triangles in the rows do not show their
    texture as it is, but shaded or mixed with its mirrored place; odd and ending [H / 16, W / 16] uint8, 1 where a tile
    may hold such a triangle or one from number ``plain`` on, and where surfaces may end: neighbouring pixels more than
    ``jump`` apart in the texture. Those of one surface are so only where it folds, overlaps or is that much smaller
    than the texture, or at its border: triangles there are ``wary`` [F] bool; and spots [F] int32 as `boxes` writes
    them. W is at least 8. Ties go to the earlier triangle.
    """
    width, mirrors = depth.shape[1], maps.shape[1] == 6
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
        if max(y0, y1, y2) < rows[0] - 1.0 or min(y0, y1, y2) > rows[1]:
            spots[f] = -1
            continue
        drawn = abs(area) > SMALLEST and not facing[f] * area > 0.0  # also refuses NaN
        top, bottom = _span(y0, y1, y2, np.float64(rows[0]), rows[1] - 1.0)
        left, right = _span(x0, x1, x2, 0.0, width - 1.0)
        ends = not drawn or right < left or bottom < top
        unlike = False
        if not ends:
            inverse = 1.0 / area
            w1x, w1y = (y2 - y0) * inverse, (x0 - x2) * inverse  # how barycentrics grow along x and y
            w2x, w2y = (y0 - y1) * inverse, (x1 - x0) * inverse
            w0x, w0y = -(w1x + w2x), -(w1y + w2y)
            zx, zy, z_at = _plane(vertices[a, 2], vertices[b, 2], vertices[c, 2], w1x, w1y, w2x, w2y, x0, y0)
            ux, uy, u_at = _plane(maps[a, 0], maps[b, 0], maps[c, 0], w1x, w1y, w2x, w2y, x0, y0)
            vx, vy, v_at = _plane(maps[a, 1], maps[b, 1], maps[c, 1], w1x, w1y, w2x, w2y, x0, y0)
            shown = maps[a, 2] == 1.0 and maps[b, 2] == 1.0 and maps[c, 2] == 1.0
            if mirrors:
                shown = shown and maps[a, 5] == 0.0 and maps[b, 5] == 0.0 and maps[c, 5] == 0.0
            special[f] = not shown
            unlike = f >= plain or not shown
            ends = wary[f] or max(abs(ux), abs(uy), abs(vx), abs(vy)) > jump
            i0, i1, i2 = _inverse(w0x), _inverse(w1x), _inverse(w2x)
            for y in range(int(top), int(bottom) + 1):
                low, high = _reach(left, right, x0, w1y * (y - y0) + INSIDE, i1)
                low, high = _reach(low, high, x0, w2y * (y - y0) + INSIDE, i2)
                low, high = _reach(low, high, x0, 1.0 + w0y * (y - y0) + INSIDE, i0)
                x, end = int(np.ceil(low)), int(np.floor(high)) + 1
                z, u, v = z_at + zy * y, u_at + uy * y, v_at + vy * y
                while x < end:
                    at = min(x, width - LANES)
                    given = np.float32(z + zx * at), np.float32(zx), np.float32(u + ux * at), np.float32(ux)
                    more = np.float32(v + vx * at), np.float32(vx), np.int32(f)
                    ends |= nearest(depth, which, places, depth.size, y * width + at, x - at, end - at, *given, *more)
                    x = at + LANES
        upper, lower = _around(y0, y1, y2, np.float64(rows[0]), rows[1] - 1.0)
        west, east = _around(x0, x1, x2, 0.0, width - 1.0)
        spots[f] = _packed(upper, lower, west, east) if drawn else -1
        if ends or unlike:
            for ty in range(upper, lower + 1):
                for tx in range(west, east + 1):
                    ending[ty, tx] |= ends
                    odd[ty, tx] |= unlike


@compiled
def interpolate(vertices, triangles, attributes, which, out):
    """What the triangle that each pixel sees carries there: attributes [V, C] float32 -> out [H, W, C] float32, or 0.

    which [H, W] int32 as `see` wrote it, numbers of ``triangles`` [F, 3].
    """
    for y in range(which.shape[0]):
        for x in range(which.shape[1]):
            f = which[y, x]
            if f < 0:
                out[y, x] = 0.0
                continue
            a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
            x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
            w0, w1, w2 = _weights(x, y, x0, y0, x1, y1, x2, y2, 1.0 / area)
            for k in range(out.shape[2]):
                out[y, x, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]


@compiled
def rasterize(vertices, triangles, attributes, depth, which, out):
    """Z-buffer one mesh: the nearest triangle at each pixel centre and its interpolated attributes.

    vertices [V, 3] float32, triangles [F, 3] int32, attributes [V, C] float32; written: depth [H, W] float32 (`FAR`
    where nothing is), which [H, W] int32 (-1), out [H, W, C] float32 (0). Ties go to the earlier triangle.
    """
    height, width = depth.shape
    wide = max(width, LANES)
    near, seen = np.full((height, wide), FAR, np.float32), np.full((height, wide), -1, np.int32)
    nowhere, places = np.ones((vertices.shape[0], 3), np.float32), np.empty((2, height, wide), np.float32)
    either, special = np.zeros(triangles.shape[0], np.int8), np.empty(triangles.shape[0], np.bool_)
    tiles, wary = np.empty((height // TILE + 1, wide // TILE + 1), np.uint8), np.zeros(triangles.shape[0], np.bool_)
    view = near, seen, places, special, tiles, tiles, np.empty(triangles.shape[0], np.int32)
    see(vertices, triangles, either, nowhere, len(triangles), wary, 0.0, (0, height), *view)
    depth[:], which[:] = near[:, :width], seen[:, :width]
    interpolate(vertices, triangles, attributes, which, out)


@compiled
def see_within(vertices, triangles, maps, first, window, span, depth, which, places, special, odd, ending, _):
    """`see` of further triangles, numbered from ``first``, where ``window`` [H, W] is 1; all of them are odd.

    ``span`` bounds it as `kernels.cpu.scene_steps.open_window` told.
    """
    for ty in range(span[0] // TILE, span[1] // TILE + 1):
        for tx in range(span[2] // TILE, span[3] // TILE + 1):
            odd[ty, tx] = ending[ty, tx] = 1
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
        special[first + f] = True
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
                    for k in range(2):
                        places[k, y, x] = w0 * maps[a, k] + w1 * maps[b, k] + w2 * maps[c, k]


@compiled
def supersample(vertices, triangles, spots, limits, slots, edged, tiles, window, first, depth, which):
    """Rasterize the pixels that `kernels.cpu.edges.find_edges` numbered at `SAMPLES` points each, within ``limits``.

    slots [H, W] int32, edged [H, W / 16] uint16 and tiles [H / 16, W / 16] uint8 as it wrote them; only where
    ``window`` [n, 8] uint8 is 1. spots [F] int32 and limits are those of `boxes`; triangles are numbered from
    ``first``. depth [n, 8] float32 (`FAR`) and which [n, 8] int32 (-1) of the n numbered pixels go on from where they
    are, so a mesh may be drawn in several calls.
    """
    points = window.view(np.uint64)  # all of a pixel at once
    for f in range(triangles.shape[0]):
        spot = spots[f]
        if spot == -1:
            continue
        upper, lower, west, east = spot & 255, spot >> 8 & 255, spot >> 16 & 255, spot >> 24 & 255
        touched = False
        for ty in range(upper, lower + 1):
            for tx in range(west, east + 1):
                touched = touched or tiles[ty, tx] != 0
        if not touched:
            continue
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
        left, right = int(max(min(x0, x1, x2), np.float64(limits[2]))), int(np.ceil(min(max(x0, x1, x2), limits[3])))
        top, bottom = int(max(min(y0, y1, y2), np.float64(limits[0]))), int(np.ceil(min(max(y0, y1, y2), limits[1])))
        inverse = 1.0 / area
        w1x, w1y = (y2 - y0) * inverse, (x0 - x2) * inverse  # how barycentrics grow along x and y
        w2x, w2y = (y0 - y1) * inverse, (x1 - x0) * inverse
        zx, zy, z = _plane(vertices[a, 2], vertices[b, 2], vertices[c, 2], w1x, w1y, w2x, w2y, x0, y0)
        growth = w1x, w1y, w2x, w2y
        for y in range(top, bottom + 1):
            for tx in range(left // TILE, right // TILE + 1):
                low, high = max(left - tx * TILE, 0), min(right - tx * TILE, TILE - 1)
                here, x = edged[y, tx] & ((2 << high) - (1 << low)), tx * TILE - 1
                while here != 0:
                    x, lowest, here = x + 1, here & 1, here >> 1
                    if lowest == 0:
                        continue
                    slot = slots[y, x]
                    if points[slot, 0] == 0:
                        continue
                    w0, w1, w2 = _weights(x, y, x0, y0, x1, y1, x2, y2, inverse)
                    near = z + zx * x + zy * y
                    nearest_points(depth, which, window, slot, w0, w1, w2, *growth, near, zx, zy, np.int32(first + f))


@compiled
def interpolate_points(vertices, triangles, attributes, rows, slots, edged, which, out):
    """What the triangle carries that each point of a numbered pixel sees, as `supersample` found it.

    attributes [V, C] float32; written where a point sees any: out [n, 8, C] float32.
    """
    for y in range(rows[0], rows[1]):
        for tx in range(edged.shape[1]):
            if edged[y, tx] == 0:
                continue
            for x in range(tx * TILE, min(tx * TILE + TILE, slots.shape[1])):
                if (edged[y, tx] >> (x % TILE)) & 1 == 0:
                    continue
                slot = slots[y, x]
                for s in range(SAMPLES):
                    f = which[slot, s]
                    if f < 0:
                        continue
                    a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
                    x0, y0, x1, y1, x2, y2, area = _places(vertices, a, b, c)
                    w0, w1, w2 = _weights(x + SAMPLE_X[s], y + SAMPLE_Y[s], x0, y0, x1, y1, x2, y2, 1.0 / area)
                    for k in range(out.shape[2]):
                        out[slot, s, k] = w0 * attributes[a, k] + w1 * attributes[b, k] + w2 * attributes[c, k]
