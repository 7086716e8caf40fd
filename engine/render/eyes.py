"""Eyes: a fixed eyeball behind the lids, with an iris that looks around.

The white (iris taken out) and the iris (lids taken out) were painted at enrolment as windows of the portrait, so with
the gaze at rest they show the portrait's own pixels.
"""

from __future__ import annotations

import numpy as np

from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.panels import place, window
from engine.render.parts import Part, grid_triangles
from engine.types import FloatArray

BEHIND = 0.35  # outer-eye-corner distances behind the lids, in depth only: lids slide over it, nothing shifts
SPOKES = 24
GAZE = np.array([0.50, 0.34], np.float32)  # centimetres the iris moves for a coefficient of 1, sideways and vertically


class Eye:
    """One eye as two parts of the scene: the white and the iris."""

    def __init__(self, avatar: Avatar, side: str) -> None:
        loop = avatar.reference[list(top.EYE_RIGHT if side == "right" else top.EYE_LEFT)]
        iris = avatar.irises[0 if side == "right" else 1]
        white, seen = place(f"white_{side}", avatar.size), place(f"iris_{side}", avatar.size)
        corner = window(loop, white)
        self._name = side.capitalize()
        self._outward = -1.0 if side == "right" else 1.0
        self._move = avatar.scale * avatar.rotation[:, :2].T * GAZE[:, None]  # [2, 3] pixels for 1 sideways, 1 down
        plane = np.linalg.lstsq(np.c_[loop[:, :2], np.ones(len(loop))], loop[:, 2], rcond=None)[0]
        back = BEHIND * avatar.unit

        def on_plane(xy: np.ndarray, depth: float) -> FloatArray:
            return np.c_[xy, xy @ plane[:2] + plane[2] + depth].astype(np.float32)

        low, high = loop[:, :2].min(0) - 6, loop[:, :2].max(0) + 6
        xy = np.stack(np.meshgrid(np.linspace(low[0], high[0], 5), np.linspace(low[1], high[1], 4)), -1).reshape(-1, 2)
        self.white = Part(on_plane(xy, 0.0), xy, grid_triangles(4, 5), white.x - corner[0], white.y - corner[1], back)
        angle = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
        ring = iris[:2] + 1.14 * iris[2] * np.stack([np.cos(angle), np.sin(angle)], 1)
        xy = np.vstack([iris[:2], ring])
        spoke = np.arange(SPOKES)
        fan = np.stack([np.zeros(SPOKES, int), 1 + spoke, 1 + (spoke + 1) % SPOKES], 1)
        self.iris = Part(on_plane(xy, 0.0), xy, fan, seen.x - corner[0], seen.y - corner[1], back * 0.98)

    def look(self, beta: FloatArray) -> FloatArray:
        """Where the iris' vertices go [n, 3], before the head turns."""
        get = {k: float(beta[INDEX[f"eyeLook{k}{self._name}"]]) for k in ("In", "Out", "Up", "Down")}
        sideways = (get["Out"] - get["In"]) * self._outward
        down = get["Down"] - get["Up"]
        if sideways == 0 and down == 0:
            return self.iris.points
        return self.iris.points + (sideways * self._move[0] + down * self._move[1])
