"""Inside the mouth: teeth on an arch, tongue and cavity, seen through the opening between the lips.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw. A portrait that smiles keeps its own upper teeth:
the same arch then samples the portrait, and ends where its teeth end.
"""

from __future__ import annotations

import numpy as np

from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.model import face_model
from engine.face.panels import place, window
from engine.face.surround import smoothstep
from engine.face.teeth import COLUMNS, REACH, arch, cutting_edge
from engine.render.parts import Part, grid_triangles
from engine.render.ring import rounding
from engine.types import FloatArray

ROWS = 5
TONGUE = (7, 11)  # rows from tip to back, columns
UPPER_EDGE_AT, LOWER_EDGE_AT = 0.25, 0.45  # centimetres below the closed lips' seam
TEETH_BACK = 0.55  # centimetres behind the lips
HIDDEN = 0.12  # centimetres below the lip's rim, where rounded lips hide the lower teeth
BACK = 0.20  # outer-eye-corner distances: the whole inside lies behind every lip
JAW_BONE = (18, 200)  # skin that moves with the bone below the lower lip
JAW_SHAPES = ("jawOpen", "jawLeft", "jawRight", "jawForward")
UPPER_ROW, LOWER_ROW = np.array(top.LIP_INNER_UPPER), np.array(top.LIP_INNER_LOWER)


class Mouth:
    """Four parts of the scene; `pose` places them and says how bright each vertex is."""

    def __init__(self, avatar: Avatar) -> None:
        model = face_model()
        self._scale = avatar.scale
        self._axes = avatar.scale * avatar.rotation.T  # head centimetres -> pixels, [3, 3]
        self._anchor = avatar.neutral[list(top.LIP_INNER)].mean(0)
        width = np.linalg.norm(avatar.reference[61] - avatar.reference[291]) / avatar.scale
        usual = np.linalg.norm(model.neutral[61] - model.neutral[291])
        self._wide = float(np.clip(width / usual, 0.85, 1.15))
        jaw = model.expressions[[INDEX[name] for name in JAW_SHAPES]][:, list(JAW_BONE)].mean(1)  # [4, 3] cm
        jaw[:, 2] *= 0.3
        # Rounded lips reach further down than the bone: the lower teeth stay behind them.
        jaw = np.vstack([jaw, model.expressions[INDEX["mouthFunnel"], 14] * np.array([0, 1, 0])])
        self._jaw_index = [INDEX[name] for name in (*JAW_SHAPES, "mouthFunnel")]
        self._jaw = (jaw @ self._axes).astype(np.float32)
        own = len(avatar.teeth) > 0
        upper, lower = self._teeth(avatar, own), self._lower_teeth(avatar)
        self.parts = [upper, lower, self._tongue(avatar), self._cavity(avatar)]
        sizes = [len(p.points) for p in self.parts]
        self.points = np.vstack([p.points for p in self.parts]).astype(np.float32)
        self._lower = slice(sizes[0], sizes[0] + sizes[1])
        self._follow = np.repeat(np.array([0, 1, 0.9, 0], np.float32), sizes)[:, None]
        depth = (self.points - self._anchor) @ avatar.rotation[:, 2] / avatar.scale  # centimetres behind the lips
        glow = np.repeat(np.array([0.0 if own else 0.22, 0.30, 0.20, 0.0], np.float32), sizes)
        dim = np.repeat(np.array([1.0, 0.80, 1.0, 1.0], np.float32), sizes)
        self._light = dim * np.exp(-glow * np.maximum(depth - TEETH_BACK, 0))
        # The portrait's own teeth carry its light already.
        self._corner = np.repeat(np.array([0.10 if own else 0.45, 0.45, 0.45, 0.45], np.float32), sizes)
        count = sizes[0]
        sunk = np.repeat(np.linspace(0, 1, ROWS), COLUMNS)
        self._light[count : count + sizes[1]] *= 1 - 0.5 * smoothstep(sunk * REACH / 0.8)  # in the lower lip's shade
        aside = np.tile(np.abs(arch(False)[:, 0]), ROWS)  # centimetres along the arch: molars stand in the dark
        self._light[self._lower] *= 1 - 0.7 * smoothstep((aside - 1.4) / 1.4)
        tongue = slice(count + sizes[1], count + sizes[1] + sizes[2])
        rim = np.abs(np.linspace(-1, 1, TONGUE[1])) ** 3  # its sides fall away into the dark, and so does its back
        back = np.linspace(0, 1, TONGUE[0])[:, None] ** 2
        self._light[tongue] *= ((1 - 0.6 * rim[None]) * (1 - 0.45 * back)).reshape(-1) * 0.88
        self._shadow = np.repeat(np.array([0.10 if own else 0.40, 0.35, 0.5, 0.6], np.float32), sizes)

        self._fall = np.repeat(np.array([0.45, 0.45, 1.1, 1.6], np.float32), sizes)  # reach of the upper lip's shadow

    def _place(self, x: np.ndarray, y: np.ndarray, z: np.ndarray) -> FloatArray:
        points = np.stack(np.broadcast_arrays(x * self._wide, y, z), -1).reshape(-1, 3)
        return (self._anchor + points @ self._axes).astype(np.float32)

    def _teeth(self, avatar: Avatar, own: bool) -> Part:
        arc, x, z = arch(True).T
        spot = place("upper", avatar.size)
        down = np.linspace(0, 1, ROWS)[:, None]
        edge = UPPER_EDGE_AT + cutting_edge(arc, True)
        if own:
            edge = self._seen_edge(avatar, x, z, edge)
        points = self._place(x[None], edge[None] - (1 - down) * REACH, z[None] + TEETH_BACK)
        triangles = grid_triangles(ROWS, COLUMNS)
        back = BACK * avatar.unit
        if not own:
            return Part(points, _drawing(spot.width, spot.height), triangles, spot.x, spot.y, back)
        corner = window(avatar.reference[list(top.LIP_INNER)], spot)
        low, high = np.array(corner) + 1, np.array(corner) + np.array([spot.width - 2, spot.height - 2])
        return Part(points, np.clip(points[:, :2], low, high), triangles, spot.x - corner[0], spot.y - corner[1], back)

    def _seen_edge(self, avatar: Avatar, x: np.ndarray, z: np.ndarray, usual: np.ndarray) -> np.ndarray:
        """Edge heights in centimetres that put the arch's end where the portrait's teeth end."""
        flat = self._place(x, np.zeros_like(x), z + TEETH_BACK)
        seen = np.interp(flat[:, 0], avatar.teeth[:, 0], avatar.teeth[:, 1])
        return np.asarray((seen - flat[:, 1]) / self._axes[1, 1])

    def _lower_teeth(self, avatar: Avatar) -> Part:
        arc, x, z = arch(False).T
        spot = place("lower", avatar.size)
        down = np.linspace(0, 1, ROWS)[:, None]
        edge = LOWER_EDGE_AT + cutting_edge(arc, False)
        points = self._place(x[None], edge[None] + down * REACH, z[None] + TEETH_BACK + 0.25)
        texture = _drawing(spot.width, spot.height)
        return Part(points, texture, grid_triangles(ROWS, COLUMNS), spot.x, spot.y, BACK * avatar.unit)

    def _tongue(self, avatar: Avatar) -> Part:
        spot = place("flesh", avatar.size)
        across = np.linspace(-1, 1, TONGUE[1])[None]
        rise = np.linspace(0, 1, TONGUE[0])[:, None]
        y = LOWER_EDGE_AT + 0.65 - 0.95 * rise * (1 - 0.45 * across**2)
        points = self._place(1.75 * across * (1 - 0.15 * rise), y, TEETH_BACK + 0.75 + 1.9 * rise + 0.4 * across**2)
        texture = np.full((len(points), 2), (spot.width / 2, spot.height / 4))
        return Part(points, texture, grid_triangles(*TONGUE), spot.x, spot.y, BACK * avatar.unit)

    def _cavity(self, avatar: Avatar) -> Part:
        spot = place("flesh", avatar.size)
        # Close behind the lips, so that no turn uncovers its rim, and pushed back in depth alone.
        points = self._place(np.linspace(-5, 5, 5)[None], np.linspace(-3, 6, 5)[:, None], np.array(1.0))
        texture = np.full((len(points), 2), (spot.width / 2, spot.height * 3 / 4))
        return Part(points, texture, grid_triangles(5, 5), spot.x, spot.y, BACK * avatar.unit + 6 * avatar.scale)

    def pose(self, beta: FloatArray, face: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Vertices [n, 3] before the head turns, and their brightness [n], behind the driven ``face`` [468, 3]."""
        points = self.points + self._follow * (beta[self._jaw_index] @ self._jaw)
        self._sink_lower_teeth(points, beta, face)
        upper, lower = face[UPPER_ROW], face[LOWER_ROW]
        opening = float(np.linalg.norm((lower - upper)[2:-2], axis=1).max()) / self._scale
        order = np.argsort(upper[:, 0])
        under = points[:, 1] - np.interp(points[:, 0], upper[order, 0], upper[order, 1])
        shade = self._light * (1 - self._shadow * (1 - smoothstep(under / (self._fall * self._scale))))
        inward = np.minimum(points[:, 0] - upper[order[0], 0], upper[order[-1], 0] - points[:, 0])
        shade *= 1 - self._corner * (1 - smoothstep(inward / (0.7 * self._scale)))
        shade *= 0.18 + 0.82 * smoothstep(opening / 0.55)
        return points, shade

    def _sink_lower_teeth(self, points: FloatArray, beta: FloatArray, face: FloatArray) -> None:
        """Rounded lips hide the lower teeth: their edge stays below the lip's."""
        rounded = rounding(beta)
        if rounded <= 0:
            return
        down = self._axes[1] / self._axes[1, 1]  # one pixel downwards in the picture
        lack = float(face[LOWER_ROW[5], 1] - points[self._lower.start + COLUMNS // 2, 1]) + HIDDEN * self._scale
        points[self._lower] += min(1.0, 2 * rounded) * max(lack, 0.0) * down


def _drawing(width: int, height: int) -> np.ndarray:
    """Texture places of a painted arch: columns across, rows down, half a pixel inside the panel."""
    u = np.linspace(0.5, width - 1.5, COLUMNS)
    v = np.linspace(0.5, height - 1.5, ROWS)
    return np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
