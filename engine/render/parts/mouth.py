"""Inside the mouth: teeth on an arch, tongue and cavity, seen through the opening between the lips.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw; the cavity's walls follow the lips and lose the
light with depth. Places are in centimetres as `MouthFrame` says, so light does not depend on the portrait's pose.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.blendshapes import INDEX
from engine.face.morphable_model import face_model
from engine.face.surround import smoothstep
from engine.face.teeth import COLUMNS
from engine.render.parts import tongue
from engine.render.parts.lip_ring import rounding
from engine.render.parts.mouth_shading import place_walls, settle, shade
from engine.render.parts.prepared_parts import PreparedMouth

ROWS = 5
TIGHT, PEEPS = (0.5, 0.85), 0.05  # from an O to a U; centimetres that a U leaves of the upper teeth
HIDDEN = 0.12  # centimetres below the lip's rim, where rounded lips hide the lower teeth
JAW_BONE = (18, 200)  # skin that moves with the bone below the lower lip
JAW_SHARE = np.array([1.0, 0.75, 0.3])  # of it that teeth and tongue follow: an open mouth bares the lower teeth
LAZY, PARTS = 0.46, (0.05, 0.4)  # of a slight jawOpen that teeth follow; jawOpen over which they come to follow all
JAW_SHAPES = ("jawOpen", "jawLeft", "jawRight", "jawForward")
UPPER_ROW, LOWER_ROW, RING = (np.array(row) for row in (top.LIP_INNER_UPPER, top.LIP_INNER_LOWER, top.LIP_INNER))
NARROW_LIGHT, FADES = 1.3, (0.5, 1.2)  # what narrow mouths' walls gain; openings (centimetres) over which they lose it
WALLS = ((0.0, 1.0), (1.15, 1.0), (0.80, 0.62), (0.45, 0.30))  # rings: size beside the opening's, brightness
# The upper lip's shade and the corners', for upper and lower teeth, tongue and walls: how far below it (centimetres)
# the lip's shade reaches, how dark it is, and how dark the corners are.
SHADES = ((0.40, 0.37, 0.58), (0.65, 0.48, 0.20), (0.52, 0.26, 0.18), (1.4, 0.36, 0.05))
BARELY, WELL_OPEN = 0.25, 0.95  # of the light that finds its way through barely open lips; centimetres that let in all
COMES_OUT = 0.7  # how far out the tongue is when it is first drawn before the lips
WALL_DEPTH = 1.0  # centimetres: close behind the lips, so that no turn uncovers the cavity's rim
FAR_RIM = np.array([5.0, 4.5])  # centimetres from the middle to the cavity's outermost ring
THROAT = 0.16  # brightness in the middle
DARK, RINGS = np.array(SHADES, np.float32), np.array(WALLS, np.float32)
_ANGLE = np.pi * (1 + np.arange(len(RING)) / 10)
FAR = np.stack([np.cos(_ANGLE) * FAR_RIM[0], np.sin(_ANGLE) * FAR_RIM[1]], 1).astype(np.float32)  # [20, 2]


class Mouth:
    """`pose` places the four parts of the scene and says how bright each vertex is."""

    def __init__(self, mouth: PreparedMouth) -> None:
        model = face_model()
        self._mouth, self._frame = mouth, mouth.frame
        jaw = model.expressions[[INDEX[name] for name in JAW_SHAPES]][:, list(JAW_BONE)].mean(1) * JAW_SHARE  # [4, 3]
        # Rounded lips reach further down than the bone: the lower teeth stay behind them.
        self._jaw = np.vstack([jaw, model.expressions[INDEX["mouthFunnel"], 14] * [0, 1, 0]]).astype(np.float32)
        counts = [len(part.points) for part in mouth.parts]
        self._ends = np.cumsum(counts)  # of each part's points among all
        self._veil = np.repeat(mouth.veil, counts).astype(np.float32)
        # `pose` where nothing of it will be seen.
        self.unseen = np.zeros((self._ends[-1], 3), np.float32), np.ones(self._ends[-1], np.float32), False
        self._jaw_index = [INDEX[name] for name in (*JAW_SHAPES, "mouthFunnel")]

    def pose(self, beta: FloatArray, face: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
        """The inside for the driven ``face`` [468, 3].

        Returns vertices [n, 3] before the head turns, their brightness [n], and whether the tongue comes out.
        """
        moved = beta[self._jaw_index]
        moved[0] *= _followed(float(moved[0]))
        jaw = moved @ self._jaw
        upper, lower = ((face[row] - self._frame.anchor) @ self._frame.home for row in (UPPER_ROW, LOWER_ROW))
        opening = float(np.linalg.norm((lower - upper)[2:-2], axis=1).max())
        teeth = self._mouth.teeth[1] + jaw
        rounded = rounding(beta)
        if rounded > 0:
            seen = self._frame.to_pixels(teeth[COLUMNS // 2])  # how high they stand depends on the head's pitch, too
            lack = float(face[LOWER_ROW[5], 1] - seen[1]) / float(self._frame.axes[1, 1]) + HIDDEN
            teeth[:, 1] += min(1.0, 2 * rounded) * max(lack, 0.0)
        body, out = tongue.pose(self._mouth.tongue, jaw, beta, lower, opening)
        points, light = np.empty((self._ends[-1], 3), np.float32), np.empty(self._ends[-1], np.float32)
        first, second, third = self._ends[:3]
        points[:first] = self._mouth.teeth[0] - self._covered(rounded, face)
        points[first:second], points[second:third] = teeth, body
        light[:second] = self._mouth.teeth_light.reshape(-1)
        tongue.light(points[second:third], light[second:third])
        place_walls(upper, lower, RINGS, FAR, WALL_DEPTH, THROAT, points[third:], light[third:])
        light[third:] *= _lightened(opening)
        bright = np.empty_like(light)
        shade(points, self._ends, upper, DARK, light, bright)
        if out.any():  # what leaves the mouth leaves its shade
            shaded = bright[second:third]
            shaded += out * (0.35 + 0.75 * light[second:third] - shaded)
        barely = BARELY + (1 - BARELY) * float(smoothstep(opening / WELL_OPEN))
        settle(points, self._frame.anchor, self._frame.axes, bright, np.float32(barely), self._veil)
        return points, bright, bool(out.max() > COMES_OUT)

    def _covered(self, rounded: float, face: FloatArray) -> FloatArray:
        """How far [3] upper teeth are drawn higher: tightly rounded lips come down before them, the mesh's do not."""
        edge = self._mouth.teeth[0][(ROWS - 1) * COLUMNS + COLUMNS // 2]
        seen = float(self._frame.to_pixels(edge[None])[0, 1] - face[UPPER_ROW[5], 1]) / float(self._frame.axes[1, 1])
        tight = float(smoothstep((rounded - TIGHT[0]) / (TIGHT[1] - TIGHT[0])))
        return np.array([0, tight * max(seen - PEEPS, 0.0), 0], np.float32)


def _lightened(opening: float) -> float:
    """How many times as light a narrow mouth's walls are: in films there is no black between such lips."""
    return 1 + NARROW_LIGHT * (1 - float(smoothstep((opening - FADES[0]) / (FADES[1] - FADES[0]))))


def _followed(jaw_open: float) -> float:
    """Share of ``jawOpen`` that lower teeth and tongue follow: lips part by their own muscles first, as films show."""
    return LAZY + (1 - LAZY) * float(smoothstep((jaw_open - PARTS[0]) / (PARTS[1] - PARTS[0])))
