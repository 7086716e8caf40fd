"""A portrait's face mesh: what each coefficient moves of it, and what of its own expression no coefficient gives."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.contracts import FloatArray
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX, NAMES
from engine.face.hidden_side import facing
from engine.face.lids import open_eyes
from engine.face.morphable_model import face_model
from engine.face.own_expression import own_expression
from engine.render.parts.driven_face import LIPS, DrivenFace
from engine.render.parts.prepared_parts import PreparedFace, PreparedHead, PreparedLips

GAIN = {"mouthPucker": 1.7, "mouthFunnel": 1.2}  # the fitted shapes round the lips too little to be read as U and O
ROUNDED = {"mouthPucker": 1.3, "mouthFunnel": 0.7}  # how much of a lasting smile rounding the lips takes away
UNSMILED = 0.7  # the most of it, as a coefficient of the smile
SOFT = 0.05  # pixels from which it is worth to move a texture place off the outline


def prepare_face(avatar: Avatar, head: PreparedHead, lips: PreparedLips) -> PreparedFace:
    """``avatar``'s face; its ``head`` and ``lips`` shape what is left unexplained."""
    own = own_expression(avatar)
    free = 1 - avatar.stiff[:, None]
    tuck = avatar.tucked - avatar.reference[:, :2]
    soft = np.flatnonzero(np.abs(tuck).max(1) > SOFT)
    face = PreparedFace(
        neutral=avatar.neutral,
        reference=avatar.reference,
        basis=np.ascontiguousarray((_basis(avatar) * free).reshape(len(NAMES), -1), np.float32),
        free=free,
        own=own,
        own_lips=own * LIPS,
        unexplained=np.zeros_like(avatar.reference),
        normals=facing(avatar.reference, face_model().triangles),
        soft=soft,
        tuck=tuck[soft],
        mirror_share=avatar.mirror_share,
        rim_beyond=avatar.rim_beyond,
    )
    if not face.own_lips.any():
        return face
    seen = open_eyes(avatar.reference, avatar.shut)
    return replace(face, unexplained=seen - DrivenFace(head, face, lips).lipped(face.own_lips))


def _basis(avatar: Avatar) -> np.ndarray:
    """Pixels [52, 468, 3] that each coefficient of 1 moves a face without glasses by."""
    model = face_model()
    basis = avatar.scale * model.expressions @ avatar.rotation.T
    for side in ("Left", "Right"):
        basis[INDEX["eyeBlink" + side]] = 0  # lids follow their own rule
    lips = model.neutral[list(top.LIP_INNER)]
    away = np.linalg.norm(model.neutral[:, None] - lips[None], axis=2).min(1)
    near = np.exp(-((away / 2.0) ** 2))  # the lips alone: cheeks and jaw would swell with them
    for name, gain in GAIN.items():
        basis[INDEX[name]] *= 1 + (gain - 1) * near[:, None]
    smile = basis[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].sum(0) * near[:, None]
    lasting = _lasting_smile(avatar)
    for name, share in ROUNDED.items():
        basis[INDEX[name]] -= share * lasting * smile
    return basis


def _lasting_smile(avatar: Avatar) -> float:
    """The smile that the neutral face keeps, as a coefficient: how far its mouth's corners are lifted."""
    model = face_model()
    corners, middle = [top.LIP_INNER_UPPER[0], top.LIP_INNER_UPPER[-1]], [13, 14]

    def lift(face: FloatArray) -> float:  # centimetres above the middle of the lips
        return float((face[middle] - face[corners])[:, 1].mean())

    head = (avatar.neutral - avatar.shift) @ avatar.rotation / avatar.scale
    smile = model.expressions[[INDEX["mouthSmileLeft"], INDEX["mouthSmileRight"]]].sum(0)
    return float(np.clip((lift(head) - lift(model.neutral)) / lift(smile), 0, UNSMILED))
