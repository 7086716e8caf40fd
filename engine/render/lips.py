"""The shape of open lips: an arch instead of a wedge, and a smooth rim.

The face mesh has eleven columns of lip vertices, and its shapes open them like a wedge. Here what the shapes open is
spread over the columns along an arch, and the rims are drawn as one closed curve through their vertices.
"""

from __future__ import annotations

import numpy as np

from engine.face import topology as top
from engine.face.model import face_model
from engine.face.surround import smoothstep
from engine.types import FloatArray

UPPER, LOWER = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)
LENS, ARCH = 1.0, 0.55  # exponents of the opening's outline: pointed when barely open, round when wide
WIDE = 1.3  # centimetres of opening that count as wide
KEPT = 0.85  # of the arch is followed, the rest is the shapes' own
BARELY = 0.2  # centimetres of opening from which it is
REACH = 0.9  # centimetres of skin around the lips that follow
ROWS = (1.0, 0.97, 0.90, 0.72)  # how much of it the lips' own rows follow, inner rim first
TEETH_SHOW, BARED = 0.28, 0.16  # centimetres of teeth seen in an F, and how much of it the upper lip bares
POINTS = 4  # pieces into which each edge of the rim is cut


class LipArch:
    """Spreads the parting of the lips along an arch; nothing moves while they part no further than at rest."""

    def __init__(self, neutral: FloatArray, scale: float, down: FloatArray) -> None:
        model = face_model().neutral
        across = model[UPPER, 0]
        self._share = ((across - across[0]) / (across[-1] - across[0]))[:, None]  # [11, 1] from corner to corner
        self._place = (2 * self._share[:, 0] - 1)[1:-1]  # [9] from -1 to 1
        self._scale, self._down = scale, down / scale
        self._rest = neutral
        self._up = _follow(model, UPPER, top.LIP_ROWS_UPPER, above=True)
        self._low = _follow(model, LOWER, top.LIP_ROWS_LOWER, above=False)

    def shape(self, face: FloatArray) -> None:
        """Move ``face`` [468, 3] in place."""
        moved = (face - self._rest) @ self._down  # [468] centimetres downwards
        corners = moved[UPPER[0]] + self._share[:, 0] * (moved[UPPER[-1]] - moved[UPPER[0]])
        upper, lower = (corners - moved[UPPER])[1:-1], (moved[LOWER] - corners)[1:-1]  # away from the corners' line
        most = float((upper + lower)[2:-2].max())
        if most <= 0:
            return
        power = LENS + float(smoothstep(most / WIDE)) * (ARCH - LENS)
        outline = (1 - self._place**2) ** power
        kept = KEPT * float(smoothstep(most / BARELY))
        rise, fall = kept * (upper[4] * outline - upper), kept * (lower[4] * outline - lower)
        self._shift(face, rise, fall)

    def tuck(self, face: FloatArray, amount: float) -> None:
        """Bring the lower lip to the upper teeth's ends and bare those a little, in place: 0 nothing, 1 an F."""
        if amount <= 0:
            return
        arch = 1 - self._place**2
        gap = (face[LOWER] - face[UPPER])[1:-1] @ self._down  # [9] centimetres
        want = amount * (TEETH_SHOW * arch - gap)
        bare = np.clip(want, -0.3, BARED * amount)  # what the upper lip does of it
        self._shift(face, bare, want - bare)

    def _shift(self, face: FloatArray, rise: FloatArray, fall: FloatArray) -> None:
        """Move the lips' columns [9] up and down by centimetres, with the skin that follows them."""
        face += ((self._low @ fall - self._up @ rise) * self._scale**2)[:, None] * self._down


def _follow(model: FloatArray, rim: np.ndarray, rows: tuple[tuple[int, ...], ...], above: bool) -> FloatArray:
    """How much each vertex follows each inner column [468, 9]: the lip as a whole, the skin beyond it less and less."""
    outer = np.array(rows[-1])
    line = np.interp(model[:, 0], model[outer, 0], model[outer, 1])
    beyond = (line - model[:, 1]) if above else (model[:, 1] - line)
    inside = (model[:, 0] > model[rim[0], 0]) & (model[:, 0] < model[rim[-1], 0])
    fade = ROWS[-1] * np.exp(-((beyond / REACH) ** 2)) * (beyond > 0) * inside
    columns = np.stack([np.interp(model[:, 0], model[rim, 0], row) for row in np.eye(len(rim))], 1)
    out = columns * fade[:, None]
    for row, share in zip((tuple(rim), *rows), ROWS, strict=True):
        out[list(row)] = share * np.eye(len(rim))
    return out[:, 1:-1].astype(np.float32)


class LipRim:
    """The inner rim as a closed Catmull-Rom curve: vertices between those of the mesh, and the triangles they cut."""

    def __init__(self) -> None:
        ring = np.array(top.LIP_INNER)
        count = len(ring)
        self.ring = ring
        rows = []
        for i in range(count):
            for k in range(1, POINTS):
                t = k / POINTS
                row = np.zeros(count)
                row[(i - 1) % count] = -0.5 * t + t**2 - 0.5 * t**3
                row[i] = 1 - 2.5 * t**2 + 1.5 * t**3
                row[(i + 1) % count] = 0.5 * t + 2 * t**2 - 1.5 * t**3
                row[(i + 2) % count] = -0.5 * t**2 + 0.5 * t**3
                rows.append(row)
        self._curve = np.array(rows, np.float32)  # [n, 20]

    def __call__(self, points: FloatArray) -> FloatArray:
        """The curve's own vertices [n, D] for the mesh's [468, D]."""
        return np.asarray(self._curve @ points[self.ring], np.float32)

    def patch(self, first: int) -> np.ndarray:
        """Triangles [t, 3] that fill the opening between the rims; the curve begins at ``first``."""
        path = []
        for i, vertex in enumerate(self.ring.tolist()):
            path += [vertex, *range(first + i * (POINTS - 1), first + (i + 1) * (POINTS - 1))]
        half, out = len(path) // 2, []
        for k in range(half):
            a, b, c, d = path[k], path[k + 1], path[-k - 1], path[-k]
            out += [[a, b, c], [a, c, d]]
        return np.array([t for t in out if len(set(t)) == 3], np.int32)

    def cut(self, triangles: np.ndarray, first: int) -> np.ndarray:
        """``triangles`` [t, 3] of the skin with those at the rim cut into fans; the curve begins at ``first``."""
        ring = self.ring.tolist()
        edges = {frozenset((ring[i - 1], ring[i])): (i - 1) % len(ring) for i in range(len(ring))}
        out = []
        for corners in triangles.tolist():
            for a, b, c in (corners, corners[1:] + corners[:1], corners[2:] + corners[:2]):
                i = edges.get(frozenset((a, b)))
                if i is not None:
                    between = [first + i * (POINTS - 1) + k for k in range(POINTS - 1)]
                    path = [a, *(between if a == ring[i] else between[::-1]), b]
                    out += [[path[k], path[k + 1], c] for k in range(POINTS)]
                    break
            else:
                out.append(corners)
        return np.array(out, triangles.dtype)
