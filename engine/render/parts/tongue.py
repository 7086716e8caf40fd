"""The tongue: a rounded body whose tip rests behind the lower teeth, whose back stays up when the jaw drops, and that
can be put out over the lower lip. Centimetres along the head's axes from the middle of the closed lips.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face.blendshapes import INDEX
from engine.face.surround import smoothstep
from engine.render.parts.scene_part import grid_triangles

ROWS, COLUMNS = 10, 13  # from tip to back, from side to side
TIP = 0.95  # centimetres from the lips to the tip
LENGTH = 3.2  # to the visible back
WIDE = 1.75  # half the width of its body
TOP = 0.62  # centimetres below the seam, where its tip lies
FOLLOWS = 0.62  # of the jaw's drop that its back follows
LIGHT = np.array([0.0, -0.55, -0.83], np.float32)  # from above and in front
OUT, BEFORE = 1.8, 1.1  # centimetres behind the lower lip's rim of what stays inside, and before it of what is out
NEEDS = 0.55  # centimetres of opening that it needs to come out


class Tongue:
    """A grid of vertices from the tip (first row) to the back."""

    def __init__(self, wide: float) -> None:
        self._along = np.linspace(0, 1, ROWS)[:, None] ** 1.2
        self._across = np.linspace(-1, 1, COLUMNS)[None]
        t, u = self._along, self._across
        taper = np.sqrt(1 - (1 - np.clip(0.12 + t / 0.55, 0, 1)) ** 2)  # a round tip
        x = wide * WIDE * taper * u
        rise = 0.55 * smoothstep(t / 0.35) + 0.25 * t
        drop = 0.50 * np.abs(u) ** 2.4 * (0.6 + 0.4 * t) + 0.06 * np.exp(-((u / 0.25) ** 2)) * smoothstep(t / 0.3)
        y = TOP - rise + drop
        z = TIP + LENGTH * t + 0.35 * u**2 * (1 - t)
        under = np.arange(ROWS)[:, None] == 0  # the tip's underside, which fills the floor of the mouth
        x, y, z = x * (1 + 0.25 * under), y + 0.9 * under, z + 0.1 * under
        self.points = np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)
        self.triangles = grid_triangles(ROWS, COLUMNS)
        self._follow = np.repeat(1 - (1 - FOLLOWS) * self._along[:, 0], COLUMNS)[:, None].astype(np.float32)
        self._out = np.repeat(smoothstep((0.9 - self._along[:, 0]) / 0.25), COLUMNS).astype(np.float32)
        sides, back = 1 - 0.6 * np.abs(self._across) ** 2.5, 1 - 0.7 * smoothstep((t - 0.1) / 0.9)
        self._fades = (sides * back * (1 - 0.45 * under)).reshape(-1)

    def texture(self, width: int, height: int) -> np.ndarray:
        """Where each vertex samples a painted tongue [n, 2], half a pixel inside."""
        u, v = np.linspace(0.5, width - 1.5, COLUMNS), np.linspace(0.5, height - 1.5, ROWS)
        return np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)

    def pose(
        self, jaw: FloatArray, beta: FloatArray, lower: FloatArray, opening: float
    ) -> tuple[FloatArray, FloatArray]:
        """Its places [n, 3] for a ``jaw`` moved by [3], and how far each vertex is out of the mouth [n], 0 to 1.

        ``lower`` [11, 3] is the lower lip's rim: a tongue put out lies on it.
        """
        points = self.points + self._follow * jaw
        wanted = float(np.clip(beta[INDEX["tongueOut"]], 0, 1)) * float(smoothstep(opening / NEEDS))
        if wanted <= 0:
            return points, np.zeros(len(points), np.float32)
        grid = points.reshape(ROWS, COLUMNS, 3)
        t, u = self._along, self._across
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
        return points, (smoothstep(wanted / 0.3) * self._out).astype(np.float32)

    def light(self, points: FloatArray) -> FloatArray:
        """Brightness [n]: what faces the light is bright, and light is lost towards its back and sides."""
        grid = points.reshape(ROWS, COLUMNS, 3)
        along, across = np.gradient(grid, axis=0), np.gradient(grid, axis=1)
        normal = np.cross(across, along)  # out of its upper side, which looks forward once it hangs over the lip
        normal /= np.maximum(np.linalg.norm(normal, axis=2, keepdims=True), 1e-6)
        facing = np.clip(normal @ LIGHT, 0, 1).reshape(-1)
        return np.asarray((0.28 + 0.56 * facing) * self._fades, np.float32)


def paint_tongue(width: int, height: int, lips: FloatArray, skin: FloatArray) -> FloatArray:
    """Its surface [height, width, 3], tip first: paler in the middle, a soft groove, and a grain."""
    base = 0.62 * lips * np.array([1.0, 0.74, 0.76]) + 0.2 * skin * np.array([1.0, 0.5, 0.5])
    u = np.linspace(-1, 1, width)[None, :, None]
    v = np.linspace(0, 1, height)[:, None, None]
    pale = 1.06 - 0.14 * np.abs(u) ** 2
    groove = 1 - 0.10 * np.exp(-((u / 0.12) ** 2)) * smoothstep((v - 0.1) / 0.3)
    grain = np.random.default_rng(0).normal(0, 0.03, (height // 2, width // 2, 1)).repeat(2, 0).repeat(2, 1)
    return np.clip(base * pale * groove * (1 + grain), 0, 255).astype(np.float32)
