"""A portrait's mouth: teeth on an arch, tongue and cavity laid out behind its closed lips, and painted.

Upper teeth are fixed to the skull, lower teeth and tongue to the jaw. A portrait that smiles keeps its own upper teeth:
they are laid on the same arch. Places are in centimetres as `MouthFrame` says, so light does not depend on the
portrait's pose.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model
from engine.face.panels import place
from engine.face.surround import smoothstep
from engine.face.teeth import COLUMNS, HALF_ARC, REACH, arch, cutting_edge
from engine.render.parts import tongue
from engine.render.parts.mouth import RING, ROWS, UPPER_ROW, WALLS
from engine.render.parts.prepared_parts import MouthFrame, PreparedMouth
from engine.render.parts.scene_part import Part, grid_triangles
from engine.render.preparation.mouth_light import mouth_light
from engine.render.preparation.mouth_paint import paint_mouth, veiled
from engine.render.preparation.own_teeth import seen_edge

UPPER_EDGE_AT, LOWER_EDGE_AT = 0.27, 0.08  # centimetres below the closed lips' seam: at rest the rows overlap
AT_LEAST = 0.05  # centimetres that upper teeth are seen to reach below the upper lip at rest, were the mouth open
TEETH_BACK, LOWER_BACK = 0.55, 0.25  # centimetres behind the lips, and of lower teeth behind upper ones
WALLS_BACK = 6.0  # centimetres further away, in depth alone: the cavity lies behind teeth and tongue
FADES, OWN_FADES = 0.34, 0.10  # light lost for each centimetre along the upper arch; own teeth carry it already
SEEN_ASIDE = 0.4  # of what depth shifts in a portrait that is turned: more of it would empty the mouth's far half
LOWER_LIGHT = 0.78  # of the teeth's own tone, in the middle of the lower arch
LOWER_SUNK = 0.20  # of it that is lost towards the gum
LOWER_ASIDE = 0.21  # of it that lower molars lose


def prepare_mouth(avatar: Avatar) -> PreparedMouth:
    """The inside of ``avatar``'s mouth."""
    axes = avatar.scale * avatar.rotation.T
    axes[2, :2] *= SEEN_ASIDE
    home = np.asarray(avatar.rotation / avatar.scale, np.float32)
    frame = MouthFrame(avatar.neutral[list(top.LIP_INNER)].mean(0), axes, home)
    width = np.linalg.norm(avatar.reference[61] - avatar.reference[291]) / avatar.scale
    usual = np.linalg.norm(face_model().neutral[61] - face_model().neutral[291])
    wide = float(np.clip(width / usual, 0.85, 1.15))
    upper, lower = _upper(avatar, frame, wide), _lower(wide)
    rest = tongue.at_rest(wide)
    light = mouth_light(avatar)
    panels = paint_mouth(avatar, light, frame.to_pixels(upper).reshape(ROWS, COLUMNS, 3))
    return PreparedMouth(
        frame=frame,
        teeth=np.stack([upper, lower]),
        teeth_light=np.stack([_upper_light(upper, len(avatar.teeth) > 0), _lower_light()]),
        veil=veiled(panels, light.veil),
        tongue=rest,
        parts=_parts(avatar, frame, [upper, lower, rest]),
        panels=panels,
    )


def _upper(avatar: Avatar, frame: MouthFrame, wide: float) -> FloatArray:
    """The upper arch [305, 3] of a mouth ``wide`` times as wide as usual."""
    arc, x, z = arch(True).T
    x = x * wide
    edge = UPPER_EDGE_AT + cutting_edge(arc, True)
    if len(avatar.teeth):
        flat = frame.to_pixels(np.stack([x, np.zeros_like(x), z + TEETH_BACK], 1))
        edge = seen_edge(avatar.teeth, flat, float(frame.axes[1, 1]), edge)
    else:  # corners drawn up lift the lips' mean above their middle, a bowed head the teeth behind them
        at = COLUMNS // 2
        seen = frame.to_pixels(np.array([[x[at], edge[at], z[at] + TEETH_BACK]]))[0, 1]
        reach = float(seen - avatar.neutral[UPPER_ROW[5], 1]) / float(frame.axes[1, 1])
        edge = edge + max(0.0, AT_LEAST - reach)
    down = np.linspace(0, 1, ROWS)[:, None]
    return _grid(x[None], edge[None] - (1 - down) * REACH, z[None] + TEETH_BACK)


def _lower(wide: float) -> FloatArray:
    """And the lower one [305, 3]."""
    arc, x, z = arch(False).T
    down = np.linspace(0, 1, ROWS)[:, None]
    sunk = 0.6 * smoothstep((np.abs(arc) - 1.7) / 1.3)  # molars stay below: cheek and tongue hide them
    edge = LOWER_EDGE_AT + cutting_edge(arc, False) + sunk
    return _grid(x[None] * wide, edge[None] + down * REACH, z[None] + TEETH_BACK + LOWER_BACK)


def _parts(avatar: Avatar, frame: MouthFrame, places: list[FloatArray]) -> tuple[Part, Part, Part, Part]:
    """Upper and lower teeth and tongue at their ``places``, and the cavity, which is nowhere yet."""
    arches = grid_triangles(ROWS, COLUMNS)
    upper, lower, flesh = (place(name, avatar.size) for name in ("upper", "lower", "flesh"))
    drawing = _drawing(upper.width, upper.height, ROWS, COLUMNS)
    surface = _drawing(flesh.width, flesh.height // 2, tongue.ROWS, tongue.COLUMNS)
    count = 1 + len(WALLS) * len(RING)
    dark = np.full((count, 2), (flesh.width / 2, flesh.height * 3 / 4))
    rest = frame.to_pixels(np.vstack([*places, np.zeros((count, 3))]))
    ends = np.cumsum([0, *(len(points) for points in places), count])
    above, below, body, walls = (rest[a:b] for a, b in pairwise(ends))
    return (
        Part(above, drawing, arches, upper.x, upper.y, 0.0),
        Part(below, drawing, arches, lower.x, lower.y, 0.0),
        Part(body, surface, tongue.TRIANGLES, flesh.x, flesh.y, 0.0),
        Part(walls, dark, _rings(), flesh.x, flesh.y, WALLS_BACK * avatar.scale),
    )


def _grid(x: np.ndarray, y: np.ndarray, z: np.ndarray) -> FloatArray:
    return np.stack(np.broadcast_arrays(x, y, z), -1).reshape(-1, 3).astype(np.float32)


def _upper_light(points: FloatArray, own: bool) -> FloatArray:
    """Light is lost along the arch [n]; the portrait's own teeth carry it already where they were seen."""
    return np.exp(-(OWN_FADES if own else FADES) * np.maximum(points[:, 2] - TEETH_BACK, 0)).astype(np.float32)


def _lower_light() -> FloatArray:
    """Lower teeth stand in the shade of the upper ones and of the lip, molars in the dark [n]."""
    sunk = np.repeat(np.linspace(0, REACH, ROWS), COLUMNS)
    aside = np.tile(np.abs(np.linspace(-HALF_ARC, HALF_ARC, COLUMNS)), ROWS)
    molars = 1 - LOWER_ASIDE * smoothstep((aside - 1.3) / 1.5)
    light = LOWER_LIGHT * (1 - LOWER_SUNK * smoothstep(sunk / 0.9)) * molars
    return np.asarray(light, np.float32)


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


def _drawing(width: int, height: int, rows: int, columns: int) -> np.ndarray:
    """Texture places [rows * columns, 2] of a painted grid: columns across, rows down, half a pixel inside."""
    u = np.linspace(0.5, width - 1.5, columns)
    v = np.linspace(0.5, height - 1.5, rows)
    return np.stack(np.meshgrid(u, v), -1).reshape(-1, 2)
