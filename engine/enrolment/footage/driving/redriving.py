"""A film's motion as an avatar would have to make it: what its renderer is told to show the film's pictures again."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from engine.contracts import SAMPLES_PER_FRAME, FloatArray, Motion
from engine.enrolment.footage.driving.closing import lids_closed
from engine.enrolment.footage.driving.film_fit import fit
from engine.enrolment.footage.driving.registration import registered
from engine.enrolment.landmarks import FaceMesh
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.lids import open_eyes
from engine.face.morphable_model import face_model
from engine.render.renderer import Renderer


def tracked_neutral(avatar: Avatar) -> FloatArray:
    """The avatar's neutral face [468, 3] in the model's frame (centimetres), lids and lips as a tracker sees them.

    An avatar's own lie a little beside: lids off the eyeball, closed lips on their seam.
    """
    with FaceMesh(faces=1) as net:
        found = net.find(avatar.portrait)
    face = np.asarray(found[0][: top.VERTICES] if found else avatar.reference, np.float32)
    neutral = np.asarray(face + avatar.neutral - open_eyes(avatar.reference, avatar.shut), np.float32)
    if avatar.shut.any():
        neutral = open_eyes(neutral, avatar.shut)
    return np.asarray((neutral - avatar.shift) @ avatar.rotation / avatar.scale, np.float32)


def redriven(renderer: Renderer, shots: list[FloatArray]) -> list[list[Motion]]:
    """Motions of ``shots``, each [T, 478, 3] landmarks in pixels of the portrait's crop, one list for each."""
    avatar, model = renderer.avatar, face_model()
    used = np.flatnonzero(model.pose_weights > 0)
    out = []
    fits = fit(shots, model, tracked_neutral(avatar))
    for landmarks, found, blendshapes in zip(shots, fits, lids_closed([f.blendshapes for f in fits]), strict=True):
        motions = []
        for k, points in enumerate(landmarks):
            turn = (found.rotation[k] @ avatar.rotation.T).astype(np.float32)
            motion = Motion(SAMPLES_PER_FRAME * k, blendshapes[k], turn, np.zeros(3, np.float32), found.lip_offsets[k])
            beside = (points[used] - renderer.driven_mesh(motion)[used]).mean(0) / avatar.unit
            motions.append(replace(motion, translation=np.array([*beside[:2], 0], np.float32)))
        out.append(registered(renderer, motions, landmarks))
    return out
