"""One portrait prepared for posing: all that the renderer on a CPU and the table on a GPU read of it.

Worked out once and shared. What its parts hold, with shapes and units, `engine.render.parts.prepared_parts` says.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.face.avatar import Avatar
from engine.render.parts.prepared_parts import (
    PreparedEye,
    PreparedFace,
    PreparedHead,
    PreparedLips,
    PreparedMouth,
    PreparedSheet,
)
from engine.render.preparation.eye_preparation import prepare_eye
from engine.render.preparation.face_preparation import prepare_face
from engine.render.preparation.lip_preparation import prepare_lips
from engine.render.preparation.mouth_preparation import prepare_mouth
from engine.render.preparation.sheet_preparation import prepare_sheet
from engine.render.projection import Scene


@dataclass(frozen=True)
class Prepared:
    """One portrait as posing reads it."""

    head: PreparedHead
    face: PreparedFace
    lips: PreparedLips
    eyes: tuple[PreparedEye, PreparedEye]  # the person's right one, and the left
    mouth: PreparedMouth
    sheet: PreparedSheet
    scene: Scene  # triangles, texture, and what each vertex samples at rest: posing fills in where they are


def prepare(avatar: Avatar) -> Prepared:
    """What posing must know of ``avatar``."""
    head = PreparedHead(avatar.rotation, avatar.pivot, avatar.scale, avatar.unit)
    lips = prepare_lips(avatar)
    eyes = prepare_eye(avatar, "right"), prepare_eye(avatar, "left")
    mouth = prepare_mouth(avatar)
    return Prepared(
        head=head,
        face=prepare_face(avatar, head, lips),
        lips=lips,
        eyes=eyes,
        mouth=mouth,
        sheet=prepare_sheet(avatar),
        scene=Scene(avatar, [part for eye in eyes for part in eye.parts], list(mouth.parts), mouth.panels),
    )
