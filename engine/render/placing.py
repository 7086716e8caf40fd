# Typed by the arguments of the first call, which mypy cannot see.
# mypy: ignore-errors
"""The vertices of a scene put in their places in the picture (numba): the head turned, the sheet as far as it goes."""

from __future__ import annotations

import numpy as np

from kernels.cpu.compiled import compiled


@compiled
def place(head, faces, around, follows, drift, oval, turn, back, factor, dense, out):
    """Vertices ``out`` [V, 3] in the order of `engine.render.projection`, but for the ``dense`` rows that follow them.

    head [n, 3]: the face, which has ``faces`` vertices, and what lies behind the skin; around [G, 3]: the sheet, which
    ``follows`` [G, 1] the head, and drifts by [G, 2], or [0, 2] where nothing does; oval [36]: the face's vertices
    whose copies it hangs on. turn = pivot, rotation, shift and whether there is any: without, all is exact. back [V] is
    added to depths; ``factor`` pixels of the picture are one of the portrait.
    """
    pivot, rotation, shift, moves = turn
    around_at, rim = faces, faces + around.shape[0]
    behind = rim + oval.shape[0] + dense
    for n in range(head.shape[0]):
        x, y, z = head[n, 0], head[n, 1], head[n, 2]
        at = n if n < faces else behind + n - faces
        if moves:
            x, y, z = x - pivot[0], y - pivot[1], z - pivot[2]
            for k in range(3):
                out[at, k] = x * rotation[k, 0] + y * rotation[k, 1] + z * rotation[k, 2] + shift[k]
        else:
            out[at, 0], out[at, 1], out[at, 2] = x, y, z
    for n in range(around.shape[0]):
        x, y, z = around[n, 0] - pivot[0], around[n, 1] - pivot[1], around[n, 2] - pivot[2]
        for k in range(3):
            here = around[n, k]
            if moves:
                turned = x * rotation[k, 0] + y * rotation[k, 1] + z * rotation[k, 2] + shift[k]
                here += (turned - here) * follows[n, 0]
            out[around_at + n, k] = here
        if drift.shape[0] > 0:
            out[around_at + n, 0] += drift[n, 0]
            out[around_at + n, 1] += drift[n, 1]
    for n in range(oval.shape[0]):
        for k in range(3):
            out[rim + n, k] = out[oval[n], k]
    half = np.float32(0.5)
    for n in range(out.shape[0]):
        if rim + oval.shape[0] <= n < behind:
            continue
        out[n, 2] += back[n]
        if factor != 1:
            out[n, 0] = (out[n, 0] + half) * factor - half
            out[n, 1] = (out[n, 1] + half) * factor - half
