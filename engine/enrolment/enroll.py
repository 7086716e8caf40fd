"""Enrolment: one photograph in, one avatar out. Slow and done once; a run needs nothing of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from engine.contracts import ByteArray, FloatArray
from engine.enrolment.covers import mouth_is_covered
from engine.enrolment.drawn_eyes import reach_outlines
from engine.enrolment.glasses import stiffness, wears_glasses
from engine.enrolment.landmarks import SIDEWAYS, Portrait, face_mask, take_portrait
from engine.enrolment.neutral import OPEN_FROM, close_lips, lip_opening, relax_mouth, snap_to_seam, widen_eyes
from engine.enrolment.painted_panels import paint_panels
from engine.enrolment.photos.photo import read_photo
from engine.enrolment.solve import solve
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import SIZES, Avatar
from engine.face.hidden_side import find_hidden
from engine.face.lids import how_shut, open_eyes
from engine.face.measures import eye_aspect_ratio, rotation_angles
from engine.face.morphable_model import FaceModel, face_model, similarity
from engine.face.panels import measure_tones
from engine.face.surround import build_surround

FLATTEN = 0.75  # depth behind the eye corners is overestimated; left as it is, the cheek smears when the head turns
STRONG_YAW, TOO_FAR = 25.0, 53.0  # degrees as the tracker reads them: 60 real ones as 53
STRONG_PITCH = 22.0
CLOSED_EYE = 0.16  # height over width between widened lids; open ones have 0.25 and more


def enroll(photo: Path, size: int = 512, facts: dict[str, str] | None = None) -> tuple[Avatar, tuple[str, ...]]:
    """The avatar of the one face in ``photo``, ``size`` pixels square, and warnings in words.

    ``facts`` (name, source, licence, consent) go into ``avatar.json``. Raises `VivifyError` with one sentence when the
    photo cannot be read or holds no single usable face.
    """
    return enroll_picture(read_photo(Path(photo)), size, {"name": Path(photo).stem, **(facts or {})})


def enroll_picture(rgb: ByteArray, size: int, facts: dict[str, str]) -> tuple[Avatar, tuple[str, ...]]:
    """`enroll` for a picture already decoded, RGB [H, W, 3]."""
    check_size(size)
    return build_portrait(take_portrait(rgb, face_model().triangles, size), facts)


def check_size(size: int) -> None:
    """Raises VivifyError for a portrait's side that no avatar has."""
    if size not in SIZES:
        raise VivifyError(f"An avatar is {', '.join(map(str, SIZES))} pixels wide, not {size}: choose one of these.")


def build_portrait(portrait: Portrait, facts: dict[str, str]) -> tuple[Avatar, tuple[str, ...]]:
    """The avatar of a portrait already found, and what to tell about it."""
    model = face_model()
    told = [*portrait.warnings, *judge_pose(portrait.landmarks, model), *_judge_eyes(portrait.landmarks)]
    if mouth_is_covered(portrait.image, portrait.landmarks):
        told.append("The mouth has no lips' colour: a hand, hair or a microphone before it would move with the skin.")
    glasses = wears_glasses(portrait.image, portrait.landmarks)
    if glasses:
        told.append("Glasses were seen, so the skin under them is kept stiff; reflections in them stay as they are.")
    return build_avatar(portrait, model, facts, glasses), tuple(told)


def fit_pose(face: FloatArray, model: FaceModel) -> tuple[float, FloatArray, FloatArray]:
    """Scale, rotation, shift so that pixels = scale * model @ rotation.T + shift."""
    used = model.pose_weights > 0
    scale, rotation, shift = similarity(model.neutral[used], face[used], model.pose_weights[used])
    return scale, rotation.astype(np.float32), shift.astype(np.float32)


def judge_pose(landmarks: FloatArray, model: FaceModel) -> list[str]:
    """What to tell about the turn of a face [>= 468, 3]. Raises `VivifyError` for one from the side."""
    rotation = fit_pose(landmarks[: top.VERTICES], model)[1]
    yaw, pitch, _ = rotation_angles(rotation)
    if abs(yaw) > TOO_FAR:
        raise VivifyError(SIDEWAYS)
    told = []
    if abs(yaw) > STRONG_YAW:
        told.append(
            f"The face is turned {abs(yaw):.0f} degrees to the side, so turns to the other side will look rough."
        )
    if abs(pitch) > STRONG_PITCH:
        told.append(f"The face looks {abs(pitch):.0f} degrees up or down, so nods will look rough.")
    return told


def _judge_eyes(landmarks: FloatArray) -> list[str]:
    """What to tell of eyes that the photo shows half or wholly closed."""
    face = widen_eyes(landmarks[: top.VERTICES])
    shut = how_shut(face)
    ratios = np.array([eye_aspect_ratio(face, side) for side in ("right", "left")])
    if ((ratios < CLOSED_EYE) & (shut == 0)).any():
        return ["An eye is closed or nearly so, and will not open: give a photo with open eyes."]
    if shut.any():
        return ["An eye is half closed: it will open, but part of what it then shows is guessed."]
    return []


def flatten_depth(face: FloatArray, rotation: FloatArray) -> FloatArray:
    """The part of the face behind the outer eye corners brought nearer along the head's own axis."""
    corners = face[[top.OUTER_CORNER_RIGHT, top.OUTER_CORNER_LEFT]].mean(0)
    behind = np.maximum(((face - corners) @ rotation)[:, 2], 0)
    toward = rotation[:, 2] * np.array([0, 0, 1], np.float32)  # only z: texture coordinates stay
    return (face - (1 - FLATTEN) * behind[:, None] * toward).astype(np.float32)


def build_avatar(portrait: Portrait, model: FaceModel, facts: dict[str, str], glasses: bool = False) -> Avatar:
    """Everything a run needs, out of landmarks and pixels."""
    size = portrait.image.shape[0]
    face = widen_eyes(portrait.landmarks[: top.VERTICES])
    face = flatten_depth(face, fit_pose(face, model)[1])
    solution = solve(face)
    scale, rotation, shift = solution.scale, solution.rotation, solution.shift
    opening = lip_opening(face, scale)
    smiling = opening > OPEN_FROM
    tones = measure_tones(portrait.image, face)
    face = reach_outlines(face, portrait.image, tones)
    shut = how_shut(face)
    if not smiling:
        face = snap_to_seam(face, portrait.image, scale)
    neutral = open_eyes(face, shut)
    if smiling:
        neutral = close_lips(relax_mouth(neutral, solution))
    stiff = stiffness(model) if glasses else np.zeros(top.VERTICES, np.float32)
    neutral = neutral + stiff[:, None] * (face - neutral)
    alpha, residual = model.fit_identity(((neutral - shift) @ rotation / scale).astype(np.float32))
    irises = _irises(portrait.landmarks)
    panels, edge, tones = paint_panels(portrait.image, face, open_eyes(face, shut), irises, tones, smiling)
    area = face_mask(face, model.triangles, size)
    sheet = build_surround(face, area, portrait.matte)
    hidden = find_hidden(face, model.triangles, model.neutral, portrait.image, area, portrait.silhouette)
    return Avatar(
        portrait=portrait.image,
        matte=np.round(portrait.matte * 255).astype(np.uint8),
        reference=face,
        neutral=neutral.astype(np.float32),
        rotation=rotation,
        scale=scale,
        shift=shift,
        alpha=alpha,
        residual=residual,
        smile=opening if smiling else 0.0,
        pivot=sheet.pivot,
        around=sheet.points,
        around_triangles=sheet.triangles,
        around_head=sheet.head,
        around_skin=sheet.skin,
        around_near=sheet.near,
        around_share=sheet.share,
        mirror_share=hidden.share,
        mirror_gain=hidden.gain,
        tucked=hidden.tucked,
        rim_beyond=hidden.beyond,
        stiff=stiff,
        panels=panels,
        irises=irises,
        tones=tones,
        teeth=edge,
        shut=shut,
        facts=facts,
    )


def _irises(landmarks: FloatArray) -> FloatArray:
    """Centre and radius of both irises [2, 3] in pixels."""
    out = []
    for ring in (top.IRIS_RIGHT, top.IRIS_LEFT):
        centre = landmarks[ring[0], :2]
        radius = np.linalg.norm(landmarks[list(ring[1:]), :2] - centre, axis=1).mean()
        out.append([*centre, radius])
    return np.array(out, np.float32)
