"""Eyes: a fixed eyeball behind the lids with an iris that looks around, and lashes that keep their height.

The white (iris taken out) and the iris (lids taken out) were painted at enrolment as windows of the portrait, so with
the gaze at rest they show the portrait's own pixels.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.eye_panels import DISC, LASHES, under_rim
from engine.face.lids import open_eyes
from engine.face.panels import LUMA, MARGIN, place, window
from engine.face.surround import smoothstep
from engine.render.parts.scene_part import Part, grid_triangles

BEHIND = 0.2  # outer-eye-corner distances behind the lids, in depth only: lids slide over it, nothing shifts
OVERLAP = np.array([1.35, 2.0])  # how much larger than the opening the white is: lids wander with the whole face
BARELY = 1.06  # the same towards the outline of a turned face, which the far eye may touch
UNFOLDS = 0.15  # blink from which the smoothed skin of the lid is seen
SPOKES = 28
SIDEWAYS, VERTICAL = 0.42, 0.28  # centimetres the iris moves for a coefficient of 1
LID_FRONT = -2.5  # pixels of depth: lids and lashes lie before the skin they continue, which bulges a little
LASHES_ARE = 0.32  # of the skin's brightness
LEAST_DARK, MOST_DARK = 0.20, 0.65  # bounds of what is taken away to get there
BARE, FREED = 1.10, 1.5  # radii of the moving iris; pixels of movement until it is cut out that closely


class Eye:
    """One eye as four parts of the scene: white, iris, lashes and the skin of the closing lid."""

    def __init__(self, avatar: Avatar, side: str) -> None:
        right = side == "right"
        rows = list(top.EYE_RIGHT if right else top.EYE_LEFT)
        loop, opened = avatar.reference[rows], open_eyes(avatar.reference, avatar.shut)[rows]
        iris = avatar.irises[0 if right else 1]
        white, seen = place(f"white_{side}", avatar.size), place(f"iris_{side}", avatar.size)
        corner = window(loop, white)
        self._shapes = {k: INDEX[f"eyeLook{k}{side.capitalize()}"] for k in ("In", "Out", "Up", "Down")}
        self._blink = INDEX[f"eyeBlink{side.capitalize()}"]
        self._shut = float(avatar.shut[0 if right else 1])
        self._outward = -1.0 if right else 1.0
        across, down = avatar.rotation[:2, 0], avatar.rotation[:2, 1]
        self._moves = avatar.scale * np.stack([SIDEWAYS * across, VERTICAL * down])  # [2, 2] pixels
        self._plane = np.linalg.lstsq(np.c_[loop[:, :2], np.ones(len(loop))], loop[:, 2], rcond=None)[0]
        back = BEHIND * avatar.unit

        reach = opened[:, :2] - opened[:, :2].mean(0)
        turned = smoothstep((self._outward * float(avatar.rotation[2, 0]) - 0.3) / 0.2)  # 1 for the far eye
        wide = np.where(reach[:, 0] * self._outward > 0, OVERLAP[0] + turned * (BARELY - OVERLAP[0]), OVERLAP[0])
        xy = opened[:, :2].mean(0) + reach * np.stack([wide, np.full(len(reach), OVERLAP[1])], 1)
        fan = _fan(len(loop))
        xy = np.vstack([xy.mean(0), xy])
        self.white = Part(self._on_plane(xy), xy, fan, white.x - corner[0], white.y - corner[1], back)
        angle = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
        ring = iris[:2] + DISC * iris[2] * np.stack([np.cos(angle), np.sin(angle)], 1)
        xy = np.vstack([iris[:2], ring])
        fan = _fan(SPOKES)
        self.iris = Part(self._on_plane(xy), xy, fan, seen.x - corner[0], seen.y - corner[1], back * 0.95)
        self._row = list(top.EYE_RIGHT_UPPER if right else top.EYE_LEFT_UPPER)
        self._crease = [self._row[0], *(top.EYE_RIGHT_RING if right else top.EYE_LEFT_RING), self._row[-1]]
        self.lashes = self._lash_part(avatar)
        skin = place(f"lid_{side}", avatar.size)
        ends = np.vstack([self.lashes.points[-len(self._row) :], avatar.reference[self._crease]])
        cells = grid_triangles(2, len(self._row))
        self.lid = Part(ends, ends[:, :2], cells, skin.x - corner[0], skin.y - corner[1], LID_FRONT)

    def _on_plane(self, xy: np.ndarray) -> FloatArray:
        return np.c_[xy, xy @ self._plane[:2] + self._plane[2]].astype(np.float32)

    def _lash_part(self, avatar: Avatar) -> Part:
        rim, crease = avatar.reference[self._row], avatar.reference[self._crease]
        self._under = np.zeros_like(rim)
        self._under[:, 1] = under_rim(avatar.size)
        points = np.vstack([rim + self._under, rim, rim + LASHES * (crease - rim)]).astype(np.float32)
        self._tall = np.linalg.norm(LASHES * (crease - rim)[:, :2], axis=1)
        margin = avatar.size // MARGIN
        under = -(avatar.size + 2 * margin)  # offsets of parts count from the panels; lashes are in the portrait itself
        return Part(points, points[:, :2], grid_triangles(3, len(rim)), margin, margin + under, 1.2 * LID_FRONT)

    def closing(self, beta: FloatArray) -> float:
        """How far the lid is closed beyond the portrait's own, 0 to 1."""
        return min(max((float(beta[self._blink]) - self._shut) / (1 - self._shut), 0.0), 1.0)

    def look(self, beta: FloatArray) -> FloatArray:
        """Where the iris' vertices go [n, 3], before the head turns."""
        value = {k: float(beta[i]) for k, i in self._shapes.items()}
        aside = (value["Out"] - value["In"]) * self._outward
        down = value["Down"] - value["Up"]
        if aside == 0 and down == 0:
            return self.iris.points
        move = aside * self._moves[0] + down * self._moves[1]
        # At rest the disc carries the white around the iris, to be exact; on its way it shrinks to the iris alone.
        share = min(float(np.hypot(*move)) / FREED, 1.0)
        size = 1 - share * share * (3 - 2 * share) * (1 - BARE / DISC)
        centre = self.iris.points[0, :2]
        return self._on_plane(centre + size * (self.iris.points[:, :2] - centre) + move)

    def look_texture(self, points: FloatArray) -> np.ndarray:
        """Texture places of the iris' vertices [n, 2] as `look` placed them: the shrunken disc shows its middle."""
        shift = points[0, :2] - self.iris.points[0, :2]
        return points[:, :2] - shift

    @property
    def parts(self) -> list[Part]:
        """In the order in which `pose` returns their vertices."""
        return [self.white, self.iris, self.lashes, self.lid]

    def pose(self, beta: FloatArray, face: FloatArray) -> list[FloatArray]:
        """Vertices of each part, before the head turns, on the driven ``face`` [468, 3]."""
        lashes = self.fringe(beta, face)
        lid = np.concatenate([lashes[-len(self._row) :], face[self._crease]])
        if self.closing(beta) < UNFOLDS:
            lid[:] = lid[0]  # folded away: nothing is drawn
        return [self.white.points, self.look(beta), lashes, lid]

    def fringe(self, beta: FloatArray, face: FloatArray) -> FloatArray:
        """Where the lashes go [n, 3] on the driven ``face`` [468, 3]: on the lid's rim, as tall as in the portrait.

        A little of what the portrait shows under the rim moves along, so that a wider eye uncovers no line there.
        """
        blink = self.closing(beta)
        if blink <= 0 and np.array_equal(face[self._row], self.lashes.points[len(self._row) : 2 * len(self._row)]):
            return self.lashes.points
        rim, crease = face[self._row], face[self._crease]
        reach = np.maximum(np.linalg.norm((crease - rim)[:, :2], axis=1), 1e-3)
        share = np.minimum(self._tall / reach, 1.0)[:, None]
        under = rim + (1 - blink) * self._under
        return np.concatenate([under, rim, rim + share * (crease - rim)])


def lash_line(avatar: Avatar, row: tuple[int, ...]) -> FloatArray:
    """How much darker each vertex of a lid's rim [9] must be for closed lids to meet in a dark line.

    Bright pixels of the eye lie among the lashes; where the portrait is dark already, nothing is added.
    """
    at = np.clip(avatar.reference[list(row), :2].round().astype(int), 2, avatar.size - 3)
    cheek = at + np.array([0, int(0.16 * avatar.unit)])  # skin under the eye
    own = np.array([_brightest(avatar.portrait, x, y) for x, y in at])
    skin = np.array([_brightest(avatar.portrait, x, min(y, avatar.size - 3)) for x, y in cheek])
    dark = np.clip(1 - LASHES_ARE * np.median(skin) / np.maximum(own, 1), LEAST_DARK, MOST_DARK)
    return np.asarray(dark * np.sin(np.linspace(0.25, np.pi - 0.25, len(row))) ** 0.5, np.float32)


def _brightest(picture: ByteArray, x: int, y: int) -> float:
    return float((picture[y - 1 : y + 2, x - 1 : x + 2] @ LUMA).max())


def _fan(count: int) -> np.ndarray:
    """Triangles between a first vertex in the middle and a closed ring of ``count`` around it."""
    spoke = np.arange(count)
    return np.stack([np.zeros(count, int), 1 + spoke, 1 + (spoke + 1) % count], 1)
