# Kernels are typed by the arguments of their first call, which mypy cannot see.
# mypy: ignore-errors
"""What the networks need warped between motion and paint (numba): as `engine.render.learned.mouth_patch.warp` does.

Pictures are sampled bilinearly, pixel centres on pixel centres, their edge repeated. A runtime's own sampler takes six
times as long.
"""

import numpy as np

from engine.render.learned.finishing import between, mixed
from kernels.cpu.compiled import compiled


@compiled
def warp_square(picture, motion, x, y, out):
    """Sample ``picture`` [C, S, S] at the square's places + motion: ``out`` [C, n, n], whose corner is pixel (x, y).

    ``motion`` [2, g, g], in units in which the picture spans [-1, 1], is brought to the pixels' number.
    """
    side, grid, last = out.shape[1], motion.shape[1], picture.shape[1] - 1
    pixels = np.float32(0.5) * np.float32(picture.shape[1])
    for r in range(side):
        i0, i1, b = between(r, side, grid)
        for c in range(side):
            j0, j1, a = between(c, side, grid)
            u = mixed(motion[0], i0, i1, j0, j1, b, a) * pixels + np.float32(c + x)
            v = mixed(motion[1], i0, i1, j0, j1, b, a) * pixels + np.float32(r + y)
            p0, p1, s = _held(u, last)
            q0, q1, t = _held(v, last)
            for k in range(picture.shape[0]):
                out[k, r, c] = mixed(picture[k], q0, q1, p0, p1, t, s)


@compiled
def follow(features, flow, motion, x, y, out):
    """The portrait's ``features`` [C, S, S] where the whole motion takes them: ``out`` [C, n, n], the square's alone.

    ``flow`` [2, S, S] is where geometry looked, in [-1, 1], and ``motion`` [2, n, n] the residual to it.
    """
    last, half = features.shape[1] - 1, np.float32(0.5)
    pixels = half * np.float32(features.shape[1])
    for r in range(out.shape[1]):
        for c in range(out.shape[2]):
            p0, p1, s = _held(motion[0, r, c] * pixels + np.float32(c + x), last)
            q0, q1, t = _held(motion[1, r, c] * pixels + np.float32(r + y), last)
            u = (mixed(flow[0], q0, q1, p0, p1, t, s) + np.float32(1)) * pixels - half
            v = (mixed(flow[1], q0, q1, p0, p1, t, s) + np.float32(1)) * pixels - half
            p0, p1, s = _held(u, last)
            q0, q1, t = _held(v, last)
            for k in range(features.shape[0]):
                out[k, r, c] = mixed(features[k], q0, q1, p0, p1, t, s)


@compiled(inline="always")
def _held(place, last):
    """The two pixels around a place that is held between 0 and ``last``, and the share of the second."""
    place = min(max(place, np.float32(0)), np.float32(last))
    first = int(place)
    return first, min(first + 1, last), place - np.float32(first)
