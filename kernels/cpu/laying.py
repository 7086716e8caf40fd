# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""Signed pictures summed by weights, laid on a mesh and added to what is painted already (numba)."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled

SMALLEST = 1e-6  # twice the area in pixels below which a triangle is degenerate
HALF = np.float32(0.5)
ALONE = np.float32(0.7)  # how much it counts that one number is beyond its bounds, beside all being beyond their reach
BLACK, GREY = np.float32(16), np.float32(128)  # what stands for nothing in BT.601's luma and tints
LEAST = np.float32(0.2 / 127)  # grey levels of one step: layers that add at most a fifth of one are not read
NEAR = np.float32(3)  # standard deviations from the nearest single frame beyond which less of it is shown
SLACK = np.float32(1e-4)  # of a triangle beyond its edges: none of a pixel between two of them is left out


@compiled
def weigh(raw, axes, low, high, reach, squared, begins, forgets, onto, seen, faint, out):
    """What ``raw`` features [T, r] float32 make of m + k layers, into ``out`` [T, m + k] float32.

    Along ``axes`` [r, n], held within ``low`` and ``high`` [n]: a constant that is there once anything moves, those n
    numbers, and the products of the first ``squared``. All of it fades from ``reach`` to ``forgets`` times as far, and
    where one of those first goes far beyond its bounds.
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
            out[t, 1 + i] = share * z[i]
        out[t, 0] = share * np.float32(1 - np.exp(-begins * moved))
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
def blend(weights, layers, blank, spans, fade, limits, hidden, under, colours, picture):
    """Sum ``layers`` [h, m, 3 * w] int8 by ``weights`` [m] float32 into ``picture`` [h, 4, w] float32.

    Only within ``spans`` [h, 2] of each row; layers without weight are not read, nor are ``blank`` [h, m] rows of
    theirs. What is added is held within ``limits``: light by the first, what colours differ from it by the second; then
    multiplied by ``fade`` [h, w]. Where ``hidden`` [h, w] says so nothing of what was painted is left (the picture's
    fourth number, its share), but the colour ``under`` [3]; there the third and fourth limits hold. ``colours`` [3, 3]
    float32 makes the picture's three numbers of RGB.
    """
    total = np.empty(layers.shape[2], np.float32)
    width = picture.shape[2]
    red, green, blue = total[:width], total[width : 2 * width], total[2 * width :]
    one = np.float32(1)
    strongest, tinted = np.float32(limits[0]), np.float32(limits[1])
    more, tint = np.float32(limits[2]) - strongest, np.float32(limits[3]) - tinted
    for y in range(picture.shape[0]):
        total[:] = 0
        for m in range(weights.shape[0]):
            weight = weights[m]
            if abs(weight) > LEAST and not blank[y, m]:
                layer = layers[y, m]
                for x in range(total.shape[0]):
                    total[x] += weight * np.float32(layer[x])
        first, last = spans[y, 0], spans[y, 1]
        reds, greens, blues = red[first:last], green[first:last], blue[first:last]
        share, gone, left = fade[y, first:last], hidden[y, first:last], picture[y, 3, first:last]
        for x in range(last - first):
            r, g, b = reds[x], greens[x], blues[x]
            light = np.float32(0.299) * r + np.float32(0.587) * g + np.float32(0.114) * b
            most, off = strongest + gone[x] * more, tinted + gone[x] * tint
            held = min(max(light, -most), most)
            reds[x] = (held + min(max(r - light, -off), off)) * share[x] + gone[x] * under[0]
            greens[x] = (held + min(max(g - light, -off), off)) * share[x] + gone[x] * under[1]
            blues[x] = (held + min(max(b - light, -off), off)) * share[x] + gone[x] * under[2]
            left[x] = one - gone[x]
        for k in range(3):
            out = picture[y, k, first:last]
            of_red, of_green, of_blue = colours[k, 0], colours[k, 1], colours[k, 2]
            for x in range(last - first):
                out[x] = of_red * reds[x] + of_green * greens[x] + of_blue * blues[x]


@compiled
def lay_on(vertices, triangles, places, picture, first, level, stamps, stamp, out):
    """Lay ``picture`` [h, 4, w] float32 over ``out`` [C, H, W] uint8 where ``triangles`` lie; each pixel once.

    Its C numbers from the ``first`` on are added to what its fourth leaves of how far a pixel is from ``level``; of
    triangles that lie over each other the first counts.

    vertices [V, >= 2] float32 pixels of ``out``; triangles [F, 3] int32, those wound clockwise in the picture left out;
    places [V, 2] float32 pixels of ``picture``; stamps [H, W] uint8 holds ``stamp`` where it was laid.
    """
    height, width = out.shape[1], out.shape[2]
    wide, tall = np.float32(picture.shape[2] - 1.001), np.float32(picture.shape[0] - 1.001)
    for f in range(triangles.shape[0]):
        a, b, c = triangles[f, 0], triangles[f, 1], triangles[f, 2]
        x0, y0 = vertices[a, 0], vertices[a, 1]
        x1, y1 = vertices[b, 0] - x0, vertices[b, 1] - y0
        x2, y2 = vertices[c, 0] - x0, vertices[c, 1] - y0
        area = x1 * y2 - x2 * y1
        if not area < -SMALLEST:
            continue
        zero, one = np.float32(0), np.float32(1)
        # The shares of b and c at the origin, and what a step to the right or down adds to them.
        second, second_right, second_down = (x2 * y0 - x0 * y2) / area, y2 / area, -x2 / area
        third, third_right, third_down = (x0 * y1 - x1 * y0) / area, -y1 / area, x1 / area
        first_right = -second_right - third_right
        # How many columns an edge lies beside the origin for each unit of a share; upright edges bound rows instead.
        to_b = one / second_right if abs(second_right) > SLACK else zero
        to_c = one / third_right if abs(third_right) > SLACK else zero
        to_a = one / first_right if abs(first_right) > SLACK else zero
        across_b, across_c = places[b, 0] - places[a, 0], places[c, 0] - places[a, 0]
        down_b, down_c = places[b, 1] - places[a, 1], places[c, 1] - places[a, 1]
        u_step, v_step = second_right * across_b + third_right * across_c, second_right * down_b + third_right * down_c
        top = max(int(np.ceil(y0 + min(zero, y1, y2))), 0)
        bottom = min(int(np.floor(y0 + max(zero, y1, y2))), height - 1)
        leftmost = max(np.ceil(x0 + min(zero, x1, x2)), zero)
        rightmost = min(np.floor(x0 + max(zero, x1, x2)), np.float32(width - 1))
        for y in range(top, bottom + 1):
            of_b, of_c = second + np.float32(y) * second_down, third + np.float32(y) * third_down
            begin, end = leftmost, rightmost
            for share, reach in ((of_b, to_b), (of_c, to_c), (one - of_b - of_c, to_a)):
                if reach > 0:
                    begin = max(begin, np.ceil(-(share + SLACK) * reach))
                elif reach < 0:
                    end = min(end, np.floor(-(share + SLACK) * reach))
                elif share < -SLACK:
                    end = begin - one
            u = places[a, 0] + of_b * across_b + of_c * across_c
            v = places[a, 1] + of_b * down_b + of_c * down_c
            marks = stamps[y]
            for x in range(int(begin), int(end) + 1):
                if marks[x] == stamp:
                    continue
                marks[x] = stamp
                across = min(max(u + np.float32(x) * u_step, zero), wide)
                down = min(max(v + np.float32(x) * v_step, zero), tall)
                i, j = int(across), int(down)
                p, q = across - np.float32(i), down - np.float32(j)
                upper, lower = picture[j], picture[j + 1]
                above = upper[3, i] + p * (upper[3, i + 1] - upper[3, i])
                below = lower[3, i] + p * (lower[3, i + 1] - lower[3, i])
                own = above + q * (below - above)
                for k in range(out.shape[0]):
                    c = first + k
                    above = upper[c, i] + p * (upper[c, i + 1] - upper[c, i])
                    below = lower[c, i] + p * (lower[c, i + 1] - lower[c, i])
                    value = level + own * (np.float32(out[k, y, x]) - level) + above + q * (below - above) + HALF
                    out[k, y, x] = np.uint8(min(max(value, zero), np.float32(255)))


@compiled
def lay_on_planes(vertices, triangles, places, picture, stamps, stamp, out):
    """`lay_on` of a ``picture`` of BT.601's numbers over planar I420 ``out`` [S * 3 // 2, S]; uses two stamps."""
    size = out.shape[1]
    lay_on(vertices, triangles, places, picture, 0, BLACK, stamps, stamp, out[:size].reshape(1, size, size))
    half = np.empty((vertices.shape[0], 2), np.float32)  # each of the tints' pixels lies in the middle of four
    for k in range(len(half)):
        half[k, 0], half[k, 1] = (vertices[k, 0] - HALF) * HALF, (vertices[k, 1] - HALF) * HALF
    tints = out[size:].reshape(2, size // 2, size // 2)
    lay_on(half, triangles, places, picture, 1, GREY, stamps, stamp + 1, tints)
