"""What posing must know of a portrait: one row of numbers, laid out once in a table whose address never changes.

A step takes its portraits' rows out of the table at once. They hold what the CPU's renderer reads, too
(`engine.render.prepared`), laid out so that rows of one batch are alike.
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
from engine.render.parts.prepared_parts import PreparedEye, PreparedLips, PreparedMouth
from engine.render.prepared import Prepared
from engine.render.renderer import LID_SLIDE

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
    "veil": (len(MOUTH),),  # of each part's brightness that no shade takes
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


def described(known: Prepared) -> FloatArray:
    """A portrait's row [WIDTH]."""
    given = _face(known) | _lips(known.lips) | _eyes(known.eyes) | _mouth(known.mouth) | _surroundings(known)
    row, at = np.zeros(WIDTH, np.float32), 0
    for name, shape in LAYOUT.items():
        value, count = np.asarray(given[name], np.float32), prod(shape)
        if value.size != count:
            raise ValueError(f"{name} was expected with shape {shape}, but came as {value.shape}.")
        row[at : at + count] = value.reshape(-1)
        at += count
    return row


def _face(known: Prepared) -> dict[str, np.ndarray | float]:
    head, face = known.head, known.face
    tuck, slide = np.zeros((2, FACES, 2), np.float32)
    tuck[face.soft] = face.tuck
    for eye, rim in zip(known.eyes, (top.EYE_RIGHT_UPPER, top.EYE_LEFT_UPPER), strict=True):
        slide[list(rim[1:-1])] = LID_SLIDE * eye.fold
    return {
        "basis": face.basis,
        "neutral": face.neutral,
        "reference": face.reference,
        "unexplained": face.unexplained,
        "normals": face.normals,
        "free": face.free,
        "tuck": tuck,
        "slide": slide,
        "rotation": head.rotation,
        "pivot": head.pivot,
        "smiles": float(known.lips.apart),
        "scale": head.scale,
        "unit": head.unit,
    }


def _lips(lips: PreparedLips) -> dict[str, np.ndarray]:
    thick = np.concatenate([np.zeros_like(lips.thick[:, :1]), lips.thick], axis=1)  # the rim itself comes first
    return {"thick": thick, "angle": lips.angle, "seam": lips.seam}


def _eyes(eyes: tuple[PreparedEye, PreparedEye]) -> dict[str, np.ndarray]:
    return {
        "whites": np.stack([eye.white.points for eye in eyes]),
        "irises": np.stack([eye.iris.points for eye in eyes]),
        "lashes": np.stack([eye.lashes.points for eye in eyes]),
        "under": np.stack([eye.under for eye in eyes]),
        "tall": np.stack([eye.tall for eye in eyes]),
        "line": np.stack([eye.line for eye in eyes]),
        "plane": np.stack([eye.plane for eye in eyes]),
        "gaze": eyes[0].gaze,  # of the head: the same for both eyes
        "shut": np.array([eye.shut for eye in eyes]),
    }


def _mouth(mouth: PreparedMouth) -> dict[str, np.ndarray]:
    return {
        "teeth": mouth.teeth,
        "teeth_light": mouth.teeth_light,
        "veil": mouth.veil,
        "tongue": mouth.tongue,
        "anchor": mouth.frame.anchor,
        "axes": mouth.frame.axes,
        "home": mouth.frame.home,
    }


def _surroundings(known: Prepared) -> dict[str, np.ndarray]:
    """The sheet, and what each vertex samples; rows that no vertex has are zeros."""
    sheet, scene = known.sheet, known.scene
    rows, count = places(scene), len(sheet.points)
    maps, back = np.zeros((VERTICES, 6), np.float32), np.zeros(VERTICES, np.float32)
    maps[rows, : scene.maps.shape[1]], back[rows] = scene.maps, scene.back
    hang, around, head = (np.zeros((SHEET, n), np.float32) for n in (OVAL, 3, 1))
    hang[sheet.moved], around[:count], head[:count] = sheet.hang, sheet.points, sheet.head
    mirrored = scene.maps.shape[1] == 6
    return {
        "hang": hang,
        "around": around,
        "around_head": head,
        "maps": maps,
        "back": back,
        "mirror": known.face.mirror_share if mirrored else np.zeros(FACES),
        "rim_beyond": known.face.rim_beyond,
    }


def table(most: int, device: torch.device) -> Tensor:
    """An empty table [most, WIDTH]. Ones keep rows that no portrait has filled finite."""
    return torch.ones(most, WIDTH, device=device)
