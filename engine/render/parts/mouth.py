"""Inside the mouth: teeth on an arch, tongue and cavity, seen through the opening between the lips.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw; the cavity's walls follow the lips and lose the
light with depth. A portrait that smiles keeps its own upper teeth: they are laid on the same arch. Places are in
centimetres along the head's axes from the middle of the closed lips, so light does not depend on the portrait's pose.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.morphable_model import face_model
from engine.face.panels import CAVITY, LIPS, SKIN, TEETH, place
from engine.face.surround import smoothstep
from engine.face.teeth import COLUMNS, HALF_ARC, REACH, arch, cutting_edge, paint_arch
from engine.render.parts.lip_ring import rounding
from engine.render.parts.own_teeth import lay_on_arch, seen_edge
from engine.render.parts.scene_part import Part, grid_triangles
from engine.render.parts.tongue import Tongue, paint_tongue

ROWS = 5
UPPER_EDGE_AT, LOWER_EDGE_AT = 0.25, 0.20  # centimetres below the closed lips' seam: at rest the rows overlap
AT_LEAST = 0.05  # centimetres that upper teeth are seen to reach below the upper lip at rest, were the mouth open
TEETH_BACK, LOWER_BACK = 0.55, 0.25  # centimetres behind the lips, and of lower teeth behind upper ones
LOWER_TINT = np.array([1.0, 0.94, 0.86], np.float32)  # lower teeth stand in reddish light
TIGHT, PEEPS = (0.5, 0.85), 0.05  # from an O to a U; centimetres that a U leaves of the upper teeth
HIDDEN = 0.12  # centimetres below the lip's rim, where rounded lips hide the lower teeth
WALLS_BACK = 6.0  # centimetres further away, in depth alone: the cavity lies behind teeth and tongue
SEEN_ASIDE = 0.4  # of what depth shifts in a portrait that is turned: more of it would empty the mouth's far half
JAW_BONE = (18, 200)  # skin that moves with the bone below the lower lip
JAW_SHARE = np.array([1.0, 0.86, 0.3])  # of it that teeth and tongue follow: a wide mouth bares the lower teeth
LAZY, PARTS = 0.5, (0.05, 0.3)  # of a slight jawOpen that teeth follow; jawOpen over which they come to follow all
JAW_SHAPES = ("jawOpen", "jawLeft", "jawRight", "jawForward")
UPPER_ROW, LOWER_ROW, RING = (np.array(row) for row in (top.LIP_INNER_UPPER, top.LIP_INNER_LOWER, top.LIP_INNER))
NARROW_LIGHT, FADES = 0.7, (0.5, 1.2)  # what narrow mouths' walls gain; openings (centimetres) over which they lose it
WALLS = ((0.0, 1.0), (1.15, 1.0), (0.80, 0.62), (0.45, 0.30))  # rings: size beside the opening's, brightness
LOWER_LIGHT = 0.7  # of the teeth's own tone, in the middle of the lower arch
LOWER_ASIDE = 0.45  # of it that lower molars lose
# The upper lip's shade and the corners', for upper and lower teeth, tongue and walls: how far below it (centimetres)
# the lip's shade reaches, how dark it is, and how dark the corners are.
SHADES = ((0.45, 0.24, 0.25), (0.5, 0.24, 0.28), (1.3, 0.5, 0.3), (1.4, 0.36, 0.12))
TONGUE = 2  # its place among the parts
COMES_OUT = 0.7  # how far out the tongue is when it is first drawn before the lips
WALL_DEPTH = 1.0  # centimetres: close behind the lips, so that no turn uncovers the cavity's rim
FAR_RIM = np.array([5.0, 4.5])  # centimetres from the middle to the cavity's outermost ring
THROAT = 0.16  # brightness in the middle


class Mouth:
    """Four parts of the scene; `pose` places them and says how bright each vertex is."""

    def __init__(self, avatar: Avatar) -> None:
        model = face_model()
        self._scale = avatar.scale
        self._axes = avatar.scale * avatar.rotation.T  # head centimetres -> pixels, [3, 3]
        self._axes[2, :2] *= SEEN_ASIDE
        self._home = np.asarray(avatar.rotation / avatar.scale, np.float32)  # and back
        self._anchor = avatar.neutral[list(top.LIP_INNER)].mean(0)
        width = np.linalg.norm(avatar.reference[61] - avatar.reference[291]) / avatar.scale
        usual = np.linalg.norm(model.neutral[61] - model.neutral[291])
        self._wide = float(np.clip(width / usual, 0.85, 1.15))
        jaw = model.expressions[[INDEX[name] for name in JAW_SHAPES]][:, list(JAW_BONE)].mean(1) * JAW_SHARE  # [4, 3]
        # Rounded lips reach further down than the bone: the lower teeth stay behind them.
        self._jaw = np.vstack([jaw, model.expressions[INDEX["mouthFunnel"], 14] * [0, 1, 0]]).astype(np.float32)
        self._jaw_index = [INDEX[name] for name in (*JAW_SHAPES, "mouthFunnel")]
        self._tongue = Tongue(self._wide)
        own = len(avatar.teeth) > 0
        self._points = [self._upper(avatar), self._lower()]
        self._light = [_upper_light(self._points[0], own), _lower_light(self._points[1])]
        self.parts = self._build(avatar)
        self.panels = self._paint(avatar)

    def _upper(self, avatar: Avatar) -> FloatArray:
        arc, x, z = arch(True).T
        x = x * self._wide
        edge = UPPER_EDGE_AT + cutting_edge(arc, True)
        if len(avatar.teeth):
            flat = self.to_pixels(np.stack([x, np.zeros_like(x), z + TEETH_BACK], 1))
            edge = seen_edge(avatar.teeth, flat, float(self._axes[1, 1]), edge)
        else:  # corners drawn up lift the lips' mean above their middle, a bowed head the teeth behind them
            at = COLUMNS // 2
            seen = self.to_pixels(np.array([[x[at], edge[at], z[at] + TEETH_BACK]]))[0, 1]
            reach = float(seen - avatar.neutral[UPPER_ROW[5], 1]) / float(self._axes[1, 1])
            edge = edge + max(0.0, AT_LEAST - reach)
        down = np.linspace(0, 1, ROWS)[:, None]
        return _grid(x[None], edge[None] - (1 - down) * REACH, z[None] + TEETH_BACK)

    def _lower(self) -> FloatArray:
        arc, x, z = arch(False).T
        down = np.linspace(0, 1, ROWS)[:, None]
        sunk = 0.6 * smoothstep((np.abs(arc) - 1.7) / 1.3)  # molars stay below: cheek and tongue hide them
        edge = LOWER_EDGE_AT + cutting_edge(arc, False) + sunk
        return _grid(x[None] * self._wide, edge[None] + down * REACH, z[None] + TEETH_BACK + LOWER_BACK)

    def to_pixels(self, points: np.ndarray) -> FloatArray:
        """Head centimetres from the closed lips [n, 3] as portrait pixels, before the head turns."""
        return (self._anchor + points @ self._axes).astype(np.float32)

    def _build(self, avatar: Avatar) -> list[Part]:
        arches = grid_triangles(ROWS, COLUMNS)
        spots = {name: place(name, avatar.size) for name in ("upper", "lower", "flesh")}
        drawing = _drawing(spots["upper"].width, spots["upper"].height)
        flesh = spots["flesh"]
        tongue = self._tongue.texture(flesh.width, flesh.height // 2)
        count = 1 + len(WALLS) * len(RING)
        dark = np.full((count, 2), (flesh.width / 2, flesh.height * 3 / 4))
        self._sizes = [len(self._points[0]), len(self._points[1]), len(tongue), count]
        rest = self.to_pixels(np.vstack([*self._points, self._tongue.points, np.zeros((count, 3))]))
        first = np.cumsum([0, *self._sizes])
        pieces = [rest[a:b] for a, b in pairwise(first)]
        return [
            Part(pieces[0], drawing, arches, spots["upper"].x, spots["upper"].y, 0.0),
            Part(pieces[1], drawing, arches, spots["lower"].x, spots["lower"].y, 0.0),
            Part(pieces[2], tongue, self._tongue.triangles, flesh.x, flesh.y, 0.0),
            Part(pieces[3], dark, _rings(), flesh.x, flesh.y, WALLS_BACK * avatar.scale),
        ]

    def _paint(self, avatar: Avatar) -> dict[str, np.ndarray]:
        """What is invented, in the portrait's tones: panels by name, float [h, w, 3]."""
        tones = avatar.tones
        gum = 0.5 * tones[LIPS] * np.array([1.0, 0.8, 0.85]) + 0.3 * tones[SKIN] * np.array([0.95, 0.42, 0.45])
        spots = {name: place(name, avatar.size) for name in ("upper", "lower", "flesh")}
        upper = paint_arch(spots["upper"].width, spots["upper"].height, tones[TEETH], gum, True)
        if len(avatar.teeth):
            arc = np.linspace(-HALF_ARC, HALF_ARC, COLUMNS)
            at = self.to_pixels(self._points[0]).reshape(ROWS, COLUMNS, 3)
            upper = lay_on_arch(avatar, upper, at, arc)
        lower = paint_arch(spots["lower"].width, spots["lower"].height, tones[TEETH] * LOWER_TINT, gum, False)
        flesh = np.empty((spots["flesh"].height, spots["flesh"].width, 3), np.float32)
        half = len(flesh) // 2
        flesh[:half] = paint_tongue(flesh.shape[1], half, tones[LIPS], tones[SKIN])
        flesh[half:] = 1.35 * tones[CAVITY]
        return {"upper": upper, "lower": lower, "flesh": flesh}

    def pose(self, beta: FloatArray, face: FloatArray) -> tuple[FloatArray, FloatArray, bool]:
        """The inside for the driven ``face`` [468, 3].

        Returns vertices [n, 3] before the head turns, their brightness [n], and whether the tongue comes out.
        """
        moved = beta[self._jaw_index]
        moved[0] *= _followed(float(moved[0]))
        jaw = moved @ self._jaw
        upper, lower = ((face[row] - self._anchor) @ self._home for row in (UPPER_ROW, LOWER_ROW))
        opening = float(np.linalg.norm((lower - upper)[2:-2], axis=1).max())
        teeth = self._points[1] + jaw
        rounded = rounding(beta)
        if rounded > 0:
            seen = self.to_pixels(teeth[COLUMNS // 2])  # how high they stand depends on the head's pitch, too
            lack = float(face[LOWER_ROW[5], 1] - seen[1]) / float(self._axes[1, 1]) + HIDDEN
            teeth[:, 1] += min(1.0, 2 * rounded) * max(lack, 0.0)
        tongue, out = self._tongue.pose(jaw, beta, lower, opening)
        walls, wall_light = _walls(upper, lower)
        wall_light = wall_light * _lightened(opening)
        places = [self._points[0] - self._covered(rounded, face), teeth, tongue, walls]
        light = [*self._light, self._tongue.light(tongue), wall_light]
        shade = [
            bright * _shadow(points, upper, *amounts)
            for points, bright, amounts in zip(places, light, SHADES, strict=True)
        ]
        shade[2] += out * (0.35 + 0.75 * light[2] - shade[2])  # what leaves the mouth leaves its shade
        barely = 0.25 + 0.75 * float(smoothstep(opening / 0.5))  # little light finds its way through barely open lips
        bright = (barely * np.concatenate(shade)).astype(np.float32)
        return self.to_pixels(np.concatenate(places)), bright, bool(out.max() > COMES_OUT)

    def _covered(self, rounded: float, face: FloatArray) -> FloatArray:
        """How far [3] upper teeth are drawn higher: tightly rounded lips come down before them, the mesh's do not."""
        edge = self._points[0][(ROWS - 1) * COLUMNS + COLUMNS // 2]
        seen = float(self.to_pixels(edge[None])[0, 1] - face[UPPER_ROW[5], 1]) / float(self._axes[1, 1])
        tight = float(smoothstep((rounded - TIGHT[0]) / (TIGHT[1] - TIGHT[0])))
        return np.array([0, tight * max(seen - PEEPS, 0.0), 0], np.float32)


def _lightened(opening: float) -> float:
    """How many times as light a narrow mouth's walls are: in films there is no black between such lips."""
    return 1 + NARROW_LIGHT * (1 - float(smoothstep((opening - FADES[0]) / (FADES[1] - FADES[0]))))


def _followed(jaw_open: float) -> float:
    """Share of ``jawOpen`` that lower teeth and tongue follow: lips part by their own muscles first, as films show."""
    return LAZY + (1 - LAZY) * float(smoothstep((jaw_open - PARTS[0]) / (PARTS[1] - PARTS[0])))


def _grid(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> FloatArray:
    return np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)


def _upper_light(points: FloatArray, own: bool) -> FloatArray:
    """Light is lost along the arch [n]; the portrait's own teeth carry it already where they were seen."""
    fade = 0.10 if own else 0.26
    return np.exp(-fade * np.maximum(points[:, 2] - TEETH_BACK, 0)).astype(np.float32)


def _lower_light(points: FloatArray) -> FloatArray:
    """Lower teeth stand in the shade of the upper ones and of the lip, molars in the dark [n]."""
    sunk = np.repeat(np.linspace(0, REACH, ROWS), COLUMNS)
    aside = np.tile(np.abs(np.linspace(-HALF_ARC, HALF_ARC, COLUMNS)), ROWS)
    molars = 1 - LOWER_ASIDE * smoothstep((aside - 1.3) / 1.5)
    light = LOWER_LIGHT * (1 - 0.35 * smoothstep(sunk / 0.9)) * molars
    return np.asarray(light, np.float32)


def _shadow(points: FloatArray, upper: FloatArray, fall: float, dark: float, side: float) -> FloatArray:
    """The shade of the upper lip and of the mouth's corners over ``points`` [n, 3]: factors [n]."""
    line = np.maximum.accumulate(upper[:, 0])  # lips drawn hard aside may fold
    under = points[:, 1] - np.interp(points[:, 0], line, upper[:, 1])
    inward = np.minimum(points[:, 0] - upper[0, 0], upper[-1, 0] - points[:, 0])
    lip = 1 - dark * (1 - smoothstep(under / fall))
    return np.asarray(lip * (1 - side * (1 - smoothstep(inward / 0.8))), np.float32)


def _walls(upper: FloatArray, lower: FloatArray) -> tuple[FloatArray, FloatArray]:
    """The cavity behind an opening between two rims [11, 3]: rings that darken towards its middle."""
    ring = np.concatenate([upper, lower[-2:0:-1]])
    middle = 0.5 * (ring.min(0) + ring.max(0)) * [1, 1, 0]
    away = (ring - middle) * [1, 1, 0]
    points, light = [], []
    angle = np.pi * (1 + np.arange(len(ring)) / 10)
    far = np.stack([np.cos(angle) * FAR_RIM[0], np.sin(angle) * FAR_RIM[1], np.zeros(len(ring))], 1)
    for size, bright in WALLS:
        points.append(middle + (far if size == 0 else size * away))
        light.append(np.full(len(ring), bright))
    points.append(middle[None])
    light.append(np.array([THROAT]))
    out = np.concatenate(points).astype(np.float32)
    out[:, 2] = WALL_DEPTH
    return out, np.concatenate(light).astype(np.float32)


def _rings() -> np.ndarray:
    """Triangles between the cavity's rings and its middle [t, 3]."""
    count, out = len(RING), []
    for k in range(len(WALLS) - 1):
        a = k * count + np.arange(count)
        b = k * count + (np.arange(count) + 1) % count
        out += [np.stack([a, b, a + count], 1), np.stack([b, b + count, a + count], 1)]
    a = (len(WALLS) - 1) * count + np.arange(count)
    b = (len(WALLS) - 1) * count + (np.arange(count) + 1) % count
    out.append(np.stack([a, b, np.full(count, len(WALLS) * count)], 1))
    return np.vstack(out)


def _drawing(width: int, height: int) -> np.ndarray:
    """Texture places of a painted arch: columns across, rows down, half a pixel inside the panel."""
    u = np.linspace(0.5, width - 1.5, COLUMNS)
    v = np.linspace(0.5, height - 1.5, ROWS)
    return np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
