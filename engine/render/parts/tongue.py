"""The tongue: a rounded body whose tip rests behind the lower teeth, whose back stays up when the jaw drops, and that
can be put out over the lower lip. Centimetres along the head's axes from the middle of the closed lips.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX
from engine.face.surround import smoothstep
from engine.render.parts.mouth_shading import light_tongue
from engine.render.parts.scene_part import grid_triangles

ROWS, COLUMNS = 10, 13  # from tip to back, from side to side
TIP = 0.95  # centimetres from the lips to the tip
LENGTH = 3.2  # to the visible back
WIDE = 1.75  # half the width of its body
TOP = 0.62  # centimetres below the seam, where its tip lies
FOLLOWS = 0.62  # of the jaw's drop that its back follows
AMBIENT, SUN = 0.31, 0.55  # how bright it is in no light but the mouth's, and what facing the light adds
LIGHT = np.array([0.0, -0.55, -0.83], np.float32)  # from above and in front
OUT, BEFORE = 1.8, 1.1  # centimetres behind the lower lip's rim of what stays inside, and before it of what is out
NEEDS = 0.55  # centimetres of opening that it needs to come out

# The same in every mouth, row by row from the tip: 130 vertices.
ALONG = np.linspace(0, 1, ROWS)[:, None] ** 1.2  # [10, 1] from the tip (first row) to the back
ACROSS = np.linspace(-1, 1, COLUMNS)[None]  # [1, 13] from side to side
UNDER = np.arange(ROWS)[:, None] == 0  # [10, 1] the tip's underside, which fills the floor of the mouth
FOLLOW = np.repeat(1 - (1 - FOLLOWS) * ALONG[:, 0], COLUMNS)[:, None].astype(np.float32)  # [130, 1] of the jaw's way
LEAVES = np.repeat(smoothstep((0.9 - ALONG[:, 0]) / 0.25), COLUMNS).astype(np.float32)  # [130] how far, put out
SIDES, BACK = 1 - 0.6 * np.abs(ACROSS) ** 2.5, 1 - 0.7 * smoothstep((ALONG - 0.1) / 0.9)  # light left there
FADES = (SIDES * BACK * (1 - 0.45 * UNDER)).reshape(-1).astype(np.float32)  # [130] and at each vertex
TRIANGLES = grid_triangles(ROWS, COLUMNS)  # [216, 3]


def at_rest(wide: float) -> FloatArray:
    """Its vertices [130, 3] in a mouth ``wide`` times as wide as usual."""
    t, u = ALONG, ACROSS
    taper = np.sqrt(1 - (1 - np.clip(0.12 + t / 0.55, 0, 1)) ** 2)  # a round tip
    x = wide * WIDE * taper * u
    rise = 0.55 * smoothstep(t / 0.35) + 0.25 * t
    drop = 0.50 * np.abs(u) ** 2.4 * (0.6 + 0.4 * t) + 0.06 * np.exp(-((u / 0.25) ** 2)) * smoothstep(t / 0.3)
    y = TOP - rise + drop
    z = TIP + LENGTH * t + 0.35 * u**2 * (1 - t)
    x, y, z = x * (1 + 0.25 * UNDER), y + 0.9 * UNDER, z + 0.1 * UNDER
    return np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)


def pose(
    rest: FloatArray, jaw: FloatArray, beta: FloatArray, lower: FloatArray, opening: float
) -> tuple[FloatArray, FloatArray]:
    """Places [130, 3] of one that is at ``rest`` [130, 3] for a ``jaw`` moved by [3], and how far out each is [130].

    ``lower`` [11, 3] is the lower lip's rim: a tongue put out lies on it.
    """
    points = rest + FOLLOW * jaw
    wanted = float(np.clip(beta[INDEX["tongueOut"]], 0, 1)) * float(smoothstep(opening / NEEDS))
    if wanted <= 0:
        return points, np.zeros(len(points), np.float32)
    grid = points.reshape(ROWS, COLUMNS, 3)
    t, u = ALONG, ACROSS
    narrow = min(1.0, 0.30 * float(lower[-1, 0] - lower[0, 0]) / WIDE)
    reach = 1 - np.clip(t / 0.75, 0, 1)  # 1 at the tip, 0 where it stays inside
    taper = np.sqrt(1 - (1 - np.clip(0.08 + t / 0.4, 0, 1)) ** 2)
    goal = np.empty_like(grid)
    goal[..., 0] = WIDE * narrow * taper * u
    goal[..., 1] = lower[5, 1] - 0.35 + 1.6 * wanted * reach**1.5 + 0.25 * u**2 * (1 - reach)
    before = smoothstep(reach / 0.3)  # from where it passes the lower lip it lies before it
    goal[..., 2] = lower[5, 2] + OUT * (1 - before) - BEFORE * before
    share = smoothstep(wanted / 0.4) * smoothstep(reach / 0.5)[..., None]
    grid += share * (goal - grid)
    return points, (smoothstep(wanted / 0.3) * LEAVES).astype(np.float32)


def light(points: FloatArray, out: FloatArray) -> None:
    """Brightness ``out`` [130] of ``points`` [130, 3]: what faces the light is bright, back and sides lose it."""
    light_tongue(points.reshape(ROWS, COLUMNS, 3), FADES, LIGHT, np.float32(AMBIENT), np.float32(SUN), out)
