"""A portrait's eyes: where white, iris, lashes and lid lie in it, and how dark its closed lids must meet.

The white (iris taken out) and the iris (lids taken out) were painted at enrolment as windows of the portrait.
"""

from __future__ import annotations

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.eye_panels import DISC, LASHES, under_rim
from engine.face.lids import open_eyes
from engine.face.panels import LUMA, MARGIN, place, window
from engine.face.surround import smoothstep
from engine.render.parts.eyes import SPOKES, lid_rows, on_plane
from engine.render.parts.prepared_parts import PreparedEye
from engine.render.parts.scene_part import Part, grid_triangles

BEHIND = 0.2  # outer-eye-corner distances behind the lids, in depth only: lids slide over it, nothing shifts
OVERLAP = np.array([1.35, 2.0])  # how much larger than the opening the white is: lids wander with the whole face
BARELY = 1.06  # the same towards the outline of a turned face, which the far eye may touch
SIDEWAYS, VERTICAL = 0.42, 0.28  # centimetres the iris moves for a coefficient of 1
LID_FRONT = -2.5  # pixels of depth: lids and lashes lie before the skin they continue, which bulges a little
LASHES_ARE = 0.32  # of the skin's brightness
LEAST_DARK, MOST_DARK = 0.20, 0.65  # bounds of what is taken away to get there


def prepare_eye(avatar: Avatar, side: str) -> PreparedEye:
    """The person's ``side`` eye, "right" or "left"."""
    right = side == "right"
    rows = list(top.EYE_RIGHT if right else top.EYE_LEFT)
    loop = avatar.reference[rows]
    corner = window(loop, place(f"white_{side}", avatar.size))
    plane = np.linalg.lstsq(np.c_[loop[:, :2], np.ones(len(loop))], loop[:, 2], rcond=None)[0]
    rim, crease = (avatar.reference[row] for row in lid_rows(right))
    under = np.zeros_like(rim)
    under[:, 1] = under_rim(avatar.size)
    lashes = _lashes(avatar, rim, crease, under)
    skin = place(f"lid_{side}", avatar.size)
    ends = np.vstack([lashes.points[-len(rim) :], crease])
    across, down = avatar.rotation[:2, 0], avatar.rotation[:2, 1]
    return PreparedEye(
        white=_white(avatar, side, plane, corner),
        iris=_iris(avatar, side, plane, corner),
        lashes=lashes,
        lid=Part(ends, ends[:, :2], grid_triangles(2, len(rim)), skin.x - corner[0], skin.y - corner[1], LID_FRONT),
        under=under,
        tall=np.linalg.norm(LASHES * (crease - rim)[:, :2], axis=1),
        line=lash_line(avatar, top.EYE_RIGHT_UPPER if right else top.EYE_LEFT_UPPER),
        fold=np.ascontiguousarray((crease - rim)[1:-1, :2]),
        plane=plane,
        gaze=avatar.scale * np.stack([SIDEWAYS * across, VERTICAL * down]),
        shut=float(avatar.shut[0 if right else 1]),
    )


def _white(avatar: Avatar, side: str, plane: np.ndarray, corner: tuple[int, int]) -> Part:
    """The eyeball, larger than the opening of the lids; ``corner`` is that of the window it was painted as."""
    right = side == "right"
    rows = list(top.EYE_RIGHT if right else top.EYE_LEFT)
    opened = open_eyes(avatar.reference, avatar.shut)[rows]
    outward = -1.0 if right else 1.0
    reach = opened[:, :2] - opened[:, :2].mean(0)
    turned = smoothstep((outward * float(avatar.rotation[2, 0]) - 0.3) / 0.2)  # 1 for the far eye
    wide = np.where(reach[:, 0] * outward > 0, OVERLAP[0] + turned * (BARELY - OVERLAP[0]), OVERLAP[0])
    xy = opened[:, :2].mean(0) + reach * np.stack([wide, np.full(len(reach), OVERLAP[1])], 1)
    xy = np.vstack([xy.mean(0), xy])
    spot = place(f"white_{side}", avatar.size)
    back = BEHIND * avatar.unit
    return Part(on_plane(plane, xy), xy, _fan(len(rows)), spot.x - corner[0], spot.y - corner[1], back)


def _iris(avatar: Avatar, side: str, plane: np.ndarray, corner: tuple[int, int]) -> Part:
    """A disc that carries some of the white around it."""
    iris = avatar.irises[0 if side == "right" else 1]
    angle = np.linspace(0, 2 * np.pi, SPOKES, endpoint=False)
    ring = iris[:2] + DISC * iris[2] * np.stack([np.cos(angle), np.sin(angle)], 1)
    xy = np.vstack([iris[:2], ring])
    spot = place(f"iris_{side}", avatar.size)
    back = BEHIND * avatar.unit * 0.95
    return Part(on_plane(plane, xy), xy, _fan(SPOKES), spot.x - corner[0], spot.y - corner[1], back)


def _lashes(avatar: Avatar, rim: FloatArray, crease: FloatArray, under: FloatArray) -> Part:
    """A strip of the portrait from ``under`` the rim to the lashes' ends."""
    points = np.vstack([rim + under, rim, rim + LASHES * (crease - rim)]).astype(np.float32)
    margin = avatar.size // MARGIN
    above = -(avatar.size + 2 * margin)  # offsets of parts count from the panels; lashes are in the portrait itself
    return Part(points, points[:, :2], grid_triangles(3, len(rim)), margin, margin + above, 1.2 * LID_FRONT)


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
