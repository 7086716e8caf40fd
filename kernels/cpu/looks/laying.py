# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Signed pictures summed by weights, laid on a mesh and added to what is painted already (numba)."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled
from kernels.cpu.lanes import LANES
from kernels.cpu.looks.laying_lanes import lay_luma, lay_tints

SMALLEST = 1e-6  # twice the area in pixels below which a triangle is degenerate
HALF = np.float32(0.5)
ALONE = np.float32(0.7)  # how much it counts that one number is beyond its bounds, beside all being beyond their reach
BLACK, GREY = np.float32(16), np.float32(128)  # what stands for nothing in BT.601's luma and tints
LEAST = np.float32(0.2 / 127)  # grey levels of one step: layers that add at most a fifth of one are not read
NEAR = np.float32(3)  # standard deviations from the nearest single frame beyond which less of it is shown
STEP = 2 * LANES  # pixels by which windows are wide
SLACK = np.float32(1e-4)  # of a triangle beyond its edges: none of a pixel between two of them is left out


@compiled
def hold(z, places, beside, share):
    """Keep ``z`` [n] near ``places`` [K, n], in place: what moves otherwise than a film's face lies beside them all.

    ``beside`` [2]: how near a place is to count, and how far ``z`` may be from the mean of those that do. What is
    farther comes back to that, by a ``share``.
    """
    count = z.shape[0]
    away, middle = np.zeros(places.shape[0], np.float32), np.zeros(count, np.float32)
    for k in range(places.shape[0]):
        for i in range(count):
            away[k] += (z[i] - places[k, i]) ** 2
    nearest, near = away.min(), beside[0]
    total = np.float32(0)
    for k in range(places.shape[0]):
        counts = np.float32(np.exp((nearest - away[k]) / (2 * near * near)))
        total += counts
        for i in range(count):
            middle[i] += counts * places[k, i]
    left = np.float32(0)
    for i in range(count):
        middle[i] /= total
        left += (z[i] - middle[i]) ** 2
    left = np.sqrt(left)
    if left > beside[1]:
        back = share * (1 - beside[1] / left)
        for i in range(count):
            z[i] += back * (middle[i] - z[i])


@compiled
def weigh(raw, axes, low, high, reach, squared, begins, forgets, places, beside, onto, seen, faint, out):
    """What ``raw`` features [T, r] float32 make of m + k layers, into ``out`` [T, m + k] float32.

    Along ``axes`` [r, n], held within ``low`` and ``high`` [n] and near ``places`` [K, n] (`hold`): a constant that is
    there once anything moves, those n numbers, and the products of the first ``squared``. All of it fades from
    ``reach`` to ``forgets`` times as far, and where one of those first goes far beyond its bounds.
    Then k shares of the constant by how near ``onto`` [m, d] brings these m to ``seen`` [k, d]: a Gaussian of unit
    variance, those below ``faint`` left out; none of it where none is near.
    """
    count, single = axes.shape[1], seen.shape[0]
    m = out.shape[1] - single
    z, place, near = np.empty(count, np.float32), np.empty(seen.shape[1], np.float32), np.empty(single, np.float32)
    for t in range(raw.shape[0]):
        z[:] = 0
        for k in range(raw.shape[1]):
            for i in range(count):
                z[i] += raw[t, k] * axes[k, i]
        far = np.float32(0)
        for i in range(count):
            far += z[i] * z[i]
        far = np.sqrt(far / count) / reach
        for i in range(squared):
            bound = high[i] if z[i] > 0 else -low[i]
            far = max(far, ALONE * abs(z[i]) / max(bound, HALF))
        gone = min(max((far - 1) / (forgets - 1), 0.0), 1.0)
        share = np.float32(1 - gone * gone * (3 - 2 * gone))
        moved = 0.0
        for i in range(count):
            z[i] = min(max(z[i], low[i]), high[i])
            moved += z[i] * z[i]
        there = np.float32(1 - np.exp(-begins * moved))
        if places.shape[0] > 0:
            hold(z, places, beside, there)
        out[t, 0] = share * there
        for i in range(count):
            out[t, 1 + i] = share * z[i]
        at = 1 + count
        for i in range(squared):
            for j in range(i, squared):
                out[t, at] = share * z[i] * z[j]
                at += 1
        if single == 0:
            continue
        place[:] = 0
        for i in range(m):
            for k in range(place.shape[0]):
                place[k] += out[t, i] * onto[i, k]
        for j in range(single):
            near[j] = 0
            for k in range(place.shape[0]):
                near[j] -= (place[k] - seen[j, k]) ** 2
        close = min(np.exp((near.max() + NEAR * NEAR) / 2), 1.0)  # 1 unless all are far away
        near[:] = np.exp((near - near.max()) / 2)
        near[:] = np.maximum(near / near.sum() - faint, 0)
        near *= close / near.sum()
        for j in range(single):
            out[t, m + j] = out[t, 0] * near[j]


@compiled
def blend(called, steps, layers, begins, blank, spans, fade, limits, share, hidden, under, colours, picture):
    """Sum layers, ``called`` [m] times their ``steps`` [m], into ``picture`` [h, 4, w], float32.

    Only within ``spans`` [h, 2] of each row. layers int8: of each row, from ``begins`` [h] on, one layer after the
    other, red, green and blue of what lies within its span. Layers without weight are not read, nor are ``blank``
    [h, m] rows of theirs. What is added is held within ``limits``: light by the first, what colours differ from it by
    the second; then multiplied by ``fade`` [h, w]. Of what was painted a ``share`` is not left where ``hidden`` [h, w]
    is 1 (the picture's fourth number), but the colour ``under`` [3]; there the third and fourth limits hold.
    ``colours`` [3, 3] float32 makes the picture's three numbers of RGB.
    """
    row = np.empty(3 * picture.shape[2], np.float32)
    weights = called * steps
    used, at = np.flatnonzero(np.abs(weights) > LEAST), np.empty(weights.shape[0] + 3, np.int64)
    count, of = len(used), np.empty(weights.shape[0] + 3, np.float32)
    one = np.float32(1)
    strongest, tinted = np.float32(limits[0]), np.float32(limits[1])
    more, tint = np.float32(limits[2]) - strongest, np.float32(limits[3]) - tinted
    for y in range(picture.shape[0]):
        first, last = spans[y, 0], spans[y, 1]
        wide = last - first
        total = row[: 3 * wide]
        total[:] = 0
        found = 0
        for k in range(count):
            if not blank[y, used[k]]:
                at[found] = begins[y] + 3 * wide * used[k]
                of[found] = weights[used[k]]
                found += 1
        while found % 4:  # four in one go: their sum is read and written once
            at[found], of[found] = begins[y], 0
            found += 1
        for k in range(0, found, 4):
            a, b, c, d = layers[at[k] :], layers[at[k + 1] :], layers[at[k + 2] :], layers[at[k + 3] :]
            for x in range(total.shape[0]):
                some = of[k] * np.float32(a[x]) + of[k + 1] * np.float32(b[x])
                total[x] += some + (of[k + 2] * np.float32(c[x]) + of[k + 3] * np.float32(d[x]))
        reds, greens, blues = total[:wide], total[wide : 2 * wide], total[2 * wide :]
        shown, inside, left = fade[y, first:last], hidden[y, first:last], picture[y, 3, first:last]
        for x in range(wide):
            r, g, t, gone = reds[x], greens[x], blues[x], share * inside[x]
            light = np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * t
            most, off = strongest + gone * more, tinted + gone * tint
            held = min(max(light, -most), most)
            reds[x] = (held + min(max(r - light, -off), off)) * shown[x] + gone * under[0]
            greens[x] = (held + min(max(g - light, -off), off)) * shown[x] + gone * under[1]
            blues[x] = (held + min(max(t - light, -off), off)) * shown[x] + gone * under[2]
            left[x] = one - gone
        for k in range(3):
            out = picture[y, k, first:last]
            of_red, of_green, of_blue = colours[k, 0], colours[k, 1], colours[k, 2]
            for x in range(wide):
                out[x] = of_red * reds[x] + of_green * greens[x] + of_blue * blues[x]


@compiled
def find_places(vertices, triangles, places, size, room):
    """Where in a canvas the pixels of a picture of ``size`` look, in the smallest window that holds ``triangles``.

    vertices [V, >= 2] float32 pixels of the picture; triangles [F, 3] int32, those wound clockwise in the picture left
    out, and of those that lie over each other the first counts; places [V, 2] float32 pixels of the canvas. Returns the
    window's left, top, width and height, all even, the width a multiple of `STEP`. Written, as far as it reaches: room
    [n] float32, across of all its pixels, then down, 0 where no triangle lies.
    """
    zero, one, most = np.float32(0), np.float32(1), np.float32(size - 1)
    west, east, north, south = most, zero, most, zero
    for f in range(triangles.shape[0]):
        for k in range(3):
            x, y = vertices[triangles[f, k], 0], vertices[triangles[f, k], 1]
            west, east, north, south = min(west, x), max(east, x), min(north, y), max(south, y)
    left, top = int(max(west, zero)) // 2 * 2, int(max(north, zero)) // 2 * 2
    wide, tall = int(min(east, most)) - left + 1, int(min(south, most)) // 2 * 2 + 2 - top
    if wide <= 0 or tall <= 0:
        return 0, 0, 0, 0
    wide = min(-(-wide // STEP) * STEP, size // STEP * STEP)
    left = min(left, size - wide)
    beyond = wide * tall
    room[: 2 * beyond] = 0
    for f in range(triangles.shape[0] - 1, -1, -1):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = vertices[a, 0] - np.float32(left), vertices[a, 1] - np.float32(top)
        x1, y1 = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1]
        x2, y2 = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1]
        area = x1 * y2 - x2 * y1
        if not area < -SMALLEST:
            continue
        per = one / area
        # The shares of b and c at the window's corner, and what a step to the right or down adds to them.
        second, second_right, second_down = (x2 * y0 - x0 * y2) * per, y2 * per, -x2 * per
        third, third_right, third_down = (x0 * y1 - x1 * y0) * per, -y1 * per, x1 * per
        # Between which columns a row lies within each edge, as lines of the row's number: of three edges two bound one
        # side at most. Upright edges bound rows instead.
        low = low_step = high_step = other_low = other_low_step = other_high_step = zero
        high = other_high = np.float32(wide - 1)
        for share, right, below in (
            (second, second_right, second_down),
            (third, third_right, third_down),
            (one - second - third, -second_right - third_right, -second_down - third_down),
        ):
            if abs(right) > SLACK:
                reach = -one / right
                bound, step = (share + SLACK) * reach, below * reach
                if right > 0:
                    other_low, other_low_step, low, low_step = low, low_step, bound, step
                else:
                    other_high, other_high_step, high, high_step = high, high_step, bound, step
        begin_row = max(int(np.ceil(y0 + min(zero, y1, y2))), 0)
        end_row = min(int(np.floor(y0 + max(zero, y1, y2))), tall - 1)
        leftmost, rightmost = max(x0 + min(zero, x1, x2), zero), min(x0 + max(zero, x1, x2), np.float32(wide - 1))
        across_b, across_c = places[b, 0] - places[a, 0], places[c, 0] - places[a, 0]
        down_b, down_c = places[b, 1] - places[a, 1], places[c, 1] - places[a, 1]
        u_step, v_step = second_right * across_b + third_right * across_c, second_right * down_b + third_right * down_c
        u_down, v_down = second_down * across_b + third_down * across_c, second_down * down_b + third_down * down_c
        u0, v0 = places[a, 0] + second * across_b + third * across_c, places[a, 1] + second * down_b + third * down_c
        for y in range(begin_row, end_row + 1):
            row, at = np.float32(y), y * wide
            first = max(low + row * low_step, other_low + row * other_low_step, leftmost)
            last = min(high + row * high_step, other_high + row * other_high_step, rightmost)
            begin, end = int(first), int(last)
            begin += begin < first
            u, v = u0 + row * u_down, v0 + row * v_down
            for x in range(begin, end + 1):
                room[at + x], room[beyond + at + x] = u + np.float32(x) * u_step, v + np.float32(x) * v_step
    return left, top, wide, tall


@compiled
def _taps(picture, k, i, j, p, q):
    """The bilinear ``k``-th number of a ``picture`` [h, C, w] at column i + p and row j + q."""
    above, below = picture[j, k], picture[j + 1, k]
    north = above[i] + p * (above[i + 1] - above[i])
    south = below[i] + p * (below[i + 1] - below[i])
    return north + q * (south - north)


@compiled
def _byte(value):
    """The nearest byte."""
    return np.uint8(min(max(value + HALF, np.float32(0)), np.float32(255)))


@compiled
def lay_on(vertices, triangles, places, picture, room, out):
    """Lay ``picture`` [h, 4, w] float32 over ``out`` [S, S, 3] uint8 where ``triangles`` lie; each pixel once.

    Its three numbers are added to what its fourth leaves of a pixel. All else is as in `find_places`; where no triangle
    lies, the picture's corner is looked at, which is to leave everything as it is.
    """
    left, top, wide, tall = find_places(vertices, triangles, places, out.shape[0], room)
    most_u, most_v = np.float32(picture.shape[2] - 1.001), np.float32(picture.shape[0] - 1.001)
    for y in range(tall):
        for x in range(wide):
            u, v = room[y * wide + x], room[(tall + y) * wide + x]
            if u == 0 and v == 0:
                continue
            u, v = min(max(u, np.float32(0)), most_u), min(max(v, np.float32(0)), most_v)
            i, j = int(u), int(v)
            p, q = u - np.float32(i), v - np.float32(j)
            own = _taps(picture, 3, i, j, p, q)
            for k in range(3):
                here = np.float32(out[top + y, left + x, k])
                out[top + y, left + x, k] = _byte(own * here + _taps(picture, k, i, j, p, q))


@compiled
def lay_on_planes(vertices, triangles, places, picture, room, out):
    """`lay_on` of a ``picture`` of BT.601's numbers over planar I420 ``out`` [S * 3 // 2, S]."""
    size, shape = out.shape[1], picture.shape
    left, top, wide, tall = find_places(vertices, triangles, places, size, room)
    last_u, last_v = np.float32(shape[2] - 1.001), np.float32(shape[0] - 1.001)
    for y in range(tall):
        for x in range(0, wide, LANES):
            at, to = y * wide + x, (top + y) * size + left + x
            lay_luma(picture, shape[2], last_u, last_v, room, tall * wide, at, BLACK, out, to)
    tints = out[size:].reshape(2, size // 2 * (size // 2))
    for y in range(0, tall, 2):
        for x in range(0, wide, 2 * LANES):
            at, to = y * wide + x, (top + y) // 2 * (size // 2) + (left + x) // 2
            lay_tints(picture, shape[2], last_u, last_v, room, tall * wide, at, wide, GREY, tints[0], tints[1], to)
