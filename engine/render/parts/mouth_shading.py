# Typed by the arguments of the first call, which mypy cannot see.
# mypy: ignore-errors
"""What lies in a mouth, point by point (numba): where the cavity's walls are, and how bright everything is.

`engine.render.parts.mouth` says what the numbers are; in numpy these steps took a third of a posed frame's time.
"""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled


@compiled(inline="always")
def _smooth(x):
    """0 below 0, 1 above 1, smooth between."""
    x = min(max(x, np.float32(0.0)), np.float32(1.0))
    return x * x * (np.float32(3.0) - np.float32(2.0) * x)


@compiled
def place_walls(upper, lower, rings, far, depth, throat, out, light):
    """The cavity behind an opening between two rims [11, 3]: rings that darken towards its middle, and that itself.

    rings [r, 2]: size beside the opening's and brightness, of which size 0 is ``far`` [20, 2] from the middle; all lie
    at ``depth``. Written: out [20 r + 1, 3] and light [20 r + 1], ``throat`` in the middle.
    """
    count = far.shape[0]
    ring = np.empty((count, 2), np.float32)
    low_x, high_x, low_y, high_y = upper[0, 0], upper[0, 0], upper[0, 1], upper[0, 1]
    for k in range(count):
        for d in range(2):
            ring[k, d] = upper[k, d] if k < upper.shape[0] else lower[count - k, d]
        low_x, high_x = min(low_x, ring[k, 0]), max(high_x, ring[k, 0])
        low_y, high_y = min(low_y, ring[k, 1]), max(high_y, ring[k, 1])
    x, y = np.float32(0.5) * (low_x + high_x), np.float32(0.5) * (low_y + high_y)
    for r in range(rings.shape[0]):
        size = rings[r, 0]
        for k in range(count):
            at = r * count + k
            out[at, 0] = x + (far[k, 0] if size == 0 else size * (ring[k, 0] - x))
            out[at, 1] = y + (far[k, 1] if size == 0 else size * (ring[k, 1] - y))
            out[at, 2], light[at] = depth, rings[r, 1]
    out[-1, 0], out[-1, 1], out[-1, 2], light[-1] = x, y, depth, throat


@compiled
def light_tongue(points, fades, sun, ambient, strength, light):
    """Brightness of a grid ``points`` [h, w, 3]: what faces ``sun`` [3] is bright; ``fades`` [h w] is what is left."""
    height, width = points.shape[0], points.shape[1]
    for j in range(height):
        j0, j1 = max(j - 1, 0), min(j + 1, height - 1)
        for i in range(width):
            i0, i1 = max(i - 1, 0), min(i + 1, width - 1)
            ax, ay, az = (
                (points[j, i1, 0] - points[j, i0, 0]) / np.float32(i1 - i0),
                (points[j, i1, 1] - points[j, i0, 1]) / np.float32(i1 - i0),
                (points[j, i1, 2] - points[j, i0, 2]) / np.float32(i1 - i0),
            )
            bx, by, bz = (
                (points[j1, i, 0] - points[j0, i, 0]) / np.float32(j1 - j0),
                (points[j1, i, 1] - points[j0, i, 1]) / np.float32(j1 - j0),
                (points[j1, i, 2] - points[j0, i, 2]) / np.float32(j1 - j0),
            )
            x, y, z = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
            length = max(np.sqrt(x * x + y * y + z * z), np.float32(1e-6))
            facing = min(max((x * sun[0] + y * sun[1] + z * sun[2]) / length, np.float32(0.0)), np.float32(1.0))
            light[j * width + i] = (ambient + strength * facing) * fades[j * width + i]


@compiled
def shade(points, ends, upper, shades, light, out):
    """The shade of the upper lip's rim [11, 3] and of the mouth's corners over ``points`` [n, 3], part by part.

    ends [p]: where each part ends; shades [p, 3]: how far below the rim the lip's shade reaches, how dark it is, and
    how dark the corners are. out [n] = light [n] in that shade.
    """
    line = np.empty(upper.shape[0], np.float32)  # lips drawn hard aside may fold
    line[0] = upper[0, 0]
    for k in range(1, line.shape[0]):
        line[k] = max(line[k - 1], upper[k, 0])
    one, part = np.float32(1.0), 0
    for n in range(points.shape[0]):
        while n >= ends[part]:
            part += 1
        x, k = points[n, 0], 0
        while k < line.shape[0] and line[k] <= x:
            k += 1
        if k == 0:
            rim = upper[0, 1]
        elif k == line.shape[0]:
            rim = upper[k - 1, 1]
        else:
            along = (x - line[k - 1]) / (line[k] - line[k - 1])
            rim = upper[k - 1, 1] + along * (upper[k, 1] - upper[k - 1, 1])
        lip = one - shades[part, 1] * (one - _smooth((points[n, 1] - rim) / shades[part, 0]))
        inward = min(x - upper[0, 0], upper[-1, 0] - x)
        out[n] = light[n] * lip * (one - shades[part, 2] * (one - _smooth(inward / np.float32(0.8))))


@compiled
def settle(points, anchor, axes, bright, barely, veil):
    """Points [n, 3] from centimetres to pixels, and brightness [n] to what light and veil [n] leave, in place."""
    for n in range(points.shape[0]):
        x, y, z = points[n, 0], points[n, 1], points[n, 2]
        for k in range(3):
            points[n, k] = anchor[k] + x * axes[0, k] + y * axes[1, k] + z * axes[2, k]
        bright[n] = veil[n] + (np.float32(1.0) - veil[n]) * barely * bright[n]
