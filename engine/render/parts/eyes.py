"""Eyes: a fixed eyeball behind the lids with an iris that looks around, and lashes that keep their height.

With the gaze at rest they show the portrait's own pixels.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.eye_panels import DISC
from engine.render.parts.prepared_parts import PreparedEye

UNFOLDS = 0.15  # blink from which the smoothed skin of the lid is seen
SPOKES = 28
BARE, FREED = 1.10, 1.5  # radii of the moving iris; pixels of movement until it is cut out that closely


class Eye:
    """One eye, the person's ``right`` or left: where its four parts go."""

    def __init__(self, eye: PreparedEye, right: bool) -> None:
        side = "Right" if right else "Left"
        self._eye = eye
        self._shapes = {k: INDEX[f"eyeLook{k}{side}"] for k in ("In", "Out", "Up", "Down")}
        self._blink = INDEX[f"eyeBlink{side}"]
        self._outward = -1.0 if right else 1.0
        self.rim, self._crease = lid_rows(right)

    def closing(self, beta: FloatArray) -> float:
        """How far the lid is closed beyond the portrait's own, 0 to 1."""
        return min(max((float(beta[self._blink]) - self._eye.shut) / (1 - self._eye.shut), 0.0), 1.0)

    def look(self, beta: FloatArray) -> FloatArray:
        """Where the iris' vertices go [n, 3], before the head turns."""
        value = {k: float(beta[i]) for k, i in self._shapes.items()}
        aside = (value["Out"] - value["In"]) * self._outward
        down = value["Down"] - value["Up"]
        if aside == 0 and down == 0:
            return self._eye.iris.points
        move = aside * self._eye.gaze[0] + down * self._eye.gaze[1]
        # At rest the disc carries the white around the iris, to be exact; on its way it shrinks to the iris alone.
        share = min(float(np.hypot(*move)) / FREED, 1.0)
        size = 1 - share * share * (3 - 2 * share) * (1 - BARE / DISC)
        centre = self._eye.iris.points[0, :2]
        return on_plane(self._eye.plane, centre + size * (self._eye.iris.points[:, :2] - centre) + move)

    def look_texture(self, points: FloatArray) -> np.ndarray:
        """Texture places of the iris' vertices [n, 2] as `look` placed them: the shrunken disc shows its middle."""
        shift = points[0, :2] - self._eye.iris.points[0, :2]
        return points[:, :2] - shift

    def pose(self, beta: FloatArray, face: FloatArray) -> list[FloatArray]:
        """Vertices of white, iris, lashes and lid, before the head turns, on the driven ``face`` [468, 3]."""
        lashes = self.fringe(beta, face)
        lid = np.concatenate([lashes[-len(self.rim) :], face[self._crease]])
        if self.closing(beta) < UNFOLDS:
            lid[:] = lid[0]  # folded away: nothing is drawn
        return [self._eye.white.points, self.look(beta), lashes, lid]

    def fringe(self, beta: FloatArray, face: FloatArray) -> FloatArray:
        """Where the lashes go [n, 3] on the driven ``face`` [468, 3]: on the lid's rim, as tall as in the portrait.

        A little of what the portrait shows under the rim moves along, so that a wider eye uncovers no line there.
        """
        blink = self.closing(beta)
        if blink <= 0 and np.array_equal(face[self.rim], self._eye.lashes.points[len(self.rim) : 2 * len(self.rim)]):
            return self._eye.lashes.points
        rim, crease = face[self.rim], face[self._crease]
        reach = np.maximum(np.hypot(*(crease - rim)[:, :2].T), 1e-3)
        share = np.minimum(self._eye.tall / reach, 1.0)[:, None]
        under = rim + (1 - blink) * self._eye.under
        return np.concatenate([under, rim, rim + share * (crease - rim)])


def lid_rows(right: bool) -> tuple[list[int], list[int]]:
    """Vertices of the lid's rim [9] and of its crease [9], which meet in the eye's corners."""
    rim = list(top.EYE_RIGHT_UPPER if right else top.EYE_LEFT_UPPER)
    return rim, [rim[0], *(top.EYE_RIGHT_RING if right else top.EYE_LEFT_RING), rim[-1]]


def on_plane(plane: np.ndarray, xy: np.ndarray) -> FloatArray:
    """``xy`` [n, 2] on an eyeball's ``plane`` [3]: places [n, 3]."""
    out = np.empty((len(xy), 3), np.float32)
    out[:, :2], out[:, 2] = xy, xy @ plane[:2] + plane[2]
    return out
