"""Which row belongs to which vertex: the same for every portrait, so that one step can place all of a batch.

What differs in number between portraits, the surroundings, comes last and is filled up.
"""

from __future__ import annotations

from itertools import accumulate, pairwise

import numpy as np

from engine.face import topology as top
from engine.face.teeth import COLUMNS
from engine.render.parts.eyes import SPOKES
from engine.render.parts.mouth import ROWS, WALLS
from engine.render.parts.tongue import COLUMNS as TONGUE_COLUMNS
from engine.render.parts.tongue import ROWS as TONGUE_ROWS
from engine.render.projection import Scene

VERTICES = 8192  # rows of one scene
EXTRA = 1398  # the vertices that make a face dense: the same on every face, for all have one topology
LASHES = 3 * len(top.EYE_RIGHT_UPPER)
EYE = (1 + len(top.EYE_RIGHT), 1 + SPOKES, LASHES, 2 * len(top.EYE_RIGHT_UPPER))  # white, iris, lashes, lid
MOUTH = (ROWS * COLUMNS, ROWS * COLUMNS, TONGUE_ROWS * TONGUE_COLUMNS, 1 + len(WALLS) * len(top.LIP_INNER))

_ENDS = accumulate((0, top.VERTICES, len(top.OVAL), EXTRA, 2 * sum(EYE), sum(MOUTH)))
FACE, RIM, DENSE, EYES, INSIDE = (slice(a, b) for a, b in pairwise(_ENDS))
AROUND = slice(INSIDE.stop, VERTICES)
GIVEN = slice(FACE.start, RIM.stop)  # what the dense vertices follow from


def places(scene: Scene) -> np.ndarray:
    """The row [V] of each of a scene's vertices, in the scene's own order: face, surroundings, rim, dense, parts."""
    around = scene.base - RIM.stop
    rows = np.r_[FACE, AROUND.start : AROUND.start + around, RIM, DENSE, EYES, INSIDE]
    if len(rows) != len(scene.maps):
        raise ValueError(f"A scene of {len(rows)} vertices was expected, but it has {len(scene.maps)}.")
    return rows
