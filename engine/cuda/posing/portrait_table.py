"""What posing must know of a portrait: one row of numbers, laid out once in a table whose address never changes.

A step takes its portraits' rows out of the table at once. Everything here was prepared by the renderer's parts
(`engine.render`) for the CPU; this file alone looks into them.
"""

from __future__ import annotations

from math import prod

import numpy as np
import torch
from torch import Tensor

from engine.contracts import FloatArray
from engine.cuda.posing.layout import AROUND, EYE, FACE, MOUTH, RIM, VERTICES, places
from engine.face import topology as top
from engine.face.blendshapes import NAMES
from engine.render.parts.eyes import Eye
from engine.render.renderer import LID_SLIDE, Renderer

FACES, LID = FACE.stop, len(top.EYE_RIGHT_UPPER)
SHEET, OVAL = AROUND.stop - AROUND.start, RIM.stop - RIM.start
# Names and shapes; pixels of the portrait before the head turns, where nothing else is said. Large ones first: they
# are aligned. Pairs are the person's right and left eye, or the upper and the lower lip.
LAYOUT: dict[str, tuple[int, ...]] = {
    "basis": (len(NAMES), 3 * FACES),  # what a coefficient of 1 moves
    "hang": (SHEET, OVAL),  # how much the sheet's vertices follow the oval's
    "maps": (VERTICES, 6),  # as `Scene.maps`, at rest
    "back": (VERTICES,),  # how much further away in depth alone
    "around": (SHEET, 3),
    "around_head": (SHEET, 1),  # how much each follows the head's turn
    "neutral": (FACES, 3),
    "reference": (FACES, 3),
    "unexplained": (FACES, 3),  # what the own expression's coefficients do not give of it
    "normals": (FACES, 3),
    "free": (FACES, 1),  # what glasses let move
    "tuck": (FACES, 2),  # where texture places go that lie on the outline's soft pixels
    "slide": (FACES, 2),  # and those above a lid that closes
    "mirror": (FACES,),
    "rim_beyond": (OVAL, 2),
    "whites": (2, EYE[0], 3),
    "irises": (2, EYE[1], 3),
    "lashes": (2, EYE[2], 3),
    "under": (2, LID, 3),  # from a lid's rim to what is seen under it
    "tall": (2, LID),  # the lashes' height
    "line": (2, LID),  # how much darker closed lids meet
    "plane": (2, 3),  # of the eyeball: depth = x, y, 1 times these
    "gaze": (2, 2),  # what looking outwards and down moves an iris
    "shut": (2,),  # how far the eyes are shut at rest, as a blink
    "thick": (2, 4, 11),  # rounded lips, row by row from the inside: centimetres from the rim
    "angle": (2, 11),  # and where on the ring their columns stand
    "seam": (9,),  # left between lips that the portrait shows apart
    "teeth": (2, MOUTH[0], 3),  # centimetres from the middle of closed lips, as all within the mouth
    "teeth_light": (2, MOUTH[0]),
    "tongue": (MOUTH[2], 3),
    "anchor": (1, 3),  # the middle of the closed lips
    "axes": (3, 3),  # centimetres within the mouth -> pixels
    "home": (3, 3),  # and back
    "rotation": (3, 3),  # of the head in the portrait
    "pivot": (1, 3),
    "smiles": (1,),  # 1 for a portrait whose lips stand open
    "scale": (1,),  # pixels per centimetre
    "unit": (1,),  # pixels between the outer eye corners
}
WIDTH = -(-sum(map(prod, LAYOUT.values())) // 32) * 32


class Known:
    """The tables' rows of R portraits: for each name of `LAYOUT` a tensor [R, ...], fresh for this step."""

    def __init__(self, rows: Tensor) -> None:
        at = 0
        for name, shape in LAYOUT.items():
            count = prod(shape)
            setattr(self, name, rows[:, at : at + count].view(-1, *shape))
            at += count

    def __getattr__(self, name: str) -> Tensor:
        raise AttributeError(name)


def described(renderer: Renderer) -> FloatArray:
    """A portrait's row [WIDTH]."""
    given = _face(renderer) | _lips(renderer) | _eyes(renderer) | _mouth(renderer) | _surroundings(renderer)
    row, at = np.zeros(WIDTH, np.float32), 0
    for name, shape in LAYOUT.items():
        value, count = np.asarray(given[name], np.float32), prod(shape)
        if value.size != count:
            raise ValueError(f"{name} was expected with shape {shape}, but came as {value.shape}.")
        row[at : at + count] = value.reshape(-1)
        at += count
    return row


def _face(renderer: Renderer) -> dict[str, np.ndarray | float]:
    avatar, drive = renderer.avatar, renderer._drive
    tuck, slide = np.zeros((2, FACES, 2), np.float32)
    soft = renderer._soft
    tuck[soft] = avatar.tucked[soft] - avatar.reference[soft, :2]
    for rows, ring in renderer._rings:
        slide[rows] = LID_SLIDE * (avatar.reference[ring] - avatar.reference[rows])[:, :2]
    return {
        "basis": drive._basis,
        "neutral": avatar.neutral,
        "reference": avatar.reference,
        "unexplained": drive._unexplained,
        "normals": renderer._normals,
        "free": 1 - avatar.stiff,
        "tuck": tuck,
        "slide": slide,
        "rotation": avatar.rotation,
        "pivot": avatar.pivot,
        "smiles": float(avatar.smile > 0),
        "scale": avatar.scale,
        "unit": avatar.unit,
    }


def _lips(renderer: Renderer) -> dict[str, np.ndarray]:
    drive = renderer._drive
    thick = np.stack([thick for _, _, thick, _, _ in drive._ring._sides])  # [2, 3, 11]
    return {
        "thick": np.concatenate([np.zeros_like(thick[:, :1]), thick], axis=1),  # the rim itself comes first
        "angle": np.stack([angle for _, _, _, angle, _ in drive._ring._sides]),
        "seam": drive._seam,
    }


def _eyes(renderer: Renderer) -> dict[str, np.ndarray]:
    def both(name: str) -> np.ndarray:
        return np.stack([np.asarray(getattr(eye, name)) for eye in eyes])

    eyes: list[Eye] = renderer._eyes
    return {
        "whites": np.stack([eye.white.points for eye in eyes]),
        "irises": np.stack([eye.iris.points for eye in eyes]),
        "lashes": np.stack([eye.lashes.points for eye in eyes]),
        "under": both("_under"),
        "tall": both("_tall"),
        "plane": both("_plane"),
        "shut": both("_shut"),
        "gaze": eyes[0]._moves,  # of the head: the same for both eyes
        "line": np.stack(renderer._lash_lines),
    }


def _mouth(renderer: Renderer) -> dict[str, np.ndarray]:
    mouth = renderer._mouth
    return {
        "teeth": np.stack(mouth._points),
        "teeth_light": np.stack(mouth._light),
        "tongue": mouth._tongue.points,
        "anchor": mouth._anchor,
        "axes": mouth._axes,
        "home": mouth._home,
    }


def _surroundings(renderer: Renderer) -> dict[str, np.ndarray]:
    """The sheet, and what each vertex samples; rows that no vertex has are zeros."""
    avatar, scene, field = renderer.avatar, renderer.scene, renderer._field
    rows, count = places(scene), len(avatar.around)
    maps, back = np.zeros((VERTICES, 6), np.float32), np.zeros(VERTICES, np.float32)
    maps[rows, : scene.maps.shape[1]], back[rows] = scene.maps, scene.back
    hang, around, head = (np.zeros((SHEET, n), np.float32) for n in (OVAL, 3, 1))
    hang[field._moved], around[:count], head[:count, 0] = field._hang, avatar.around, avatar.around_head
    mirrored = scene.maps.shape[1] == 6
    return {
        "hang": hang,
        "around": around,
        "around_head": head,
        "maps": maps,
        "back": back,
        "mirror": avatar.mirror_share if mirrored else np.zeros(FACES),
        "rim_beyond": avatar.rim_beyond,
    }


def table(most: int, device: torch.device) -> Tensor:
    """An empty table [most, WIDTH]. Ones keep rows that no portrait has filled finite."""
    return torch.ones(most, WIDTH, device=device)
