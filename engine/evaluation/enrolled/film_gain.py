"""What a film gave an avatar: another film of the person made again with and without it, beside the truth.

The tracked motion of the other film drives both (picture); its sound does, too (lips).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from engine.contracts import ByteArray, FloatArray, Motion
from engine.enrolment.footage.driving.redriving import redriven
from engine.enrolment.footage.film_crops import crops, whole
from engine.enrolment.footage.film_lessons import LEARN_AT, Camera, framed
from engine.enrolment.footage.film_survey import survey
from engine.enrolment.footage.looks.shot_light import light_of
from engine.enrolment.footage.manner_fit import ENDS, MIDDLES, agreement, gaps, late_by, say
from engine.enrolment.footage.portrait_choice import angles_of
from engine.enrolment.footage.talking_film import watch
from engine.enrolment.landmarks import FaceMesh
from engine.errors import VivifyError
from engine.evaluation import picture_figures as figures
from engine.evaluation.enrolled.lip_places import lips_beside
from engine.evaluation.enrolled.photo_reach import BeyondPhoto
from engine.evaluation.film_figures import mouth_region
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.blendshapes import INDEX
from engine.face.measures import lip_distance
from engine.imaging.resampling import resized, to_bytes
from engine.imaging.shapes import polygon_mask
from engine.imaging.smoothing import blur
from engine.paths import assets
from engine.programs.program import Weights
from engine.render.learned.learned_renderer import LearnedRenderer
from engine.render.learned.own_programs import OwnPrograms
from engine.render.renderer import Renderer, still

SHOT_S = 0.6
MOST = 250  # pictures that are made again
TRACKED = 3  # of so many pictures, one is looked at for its lips
LAID = 2.0  # pixels' standard deviation of the edge with which a film's own mouth is laid into a picture
SHUT = 0.5  # eyeBlink from which an eye is closed
TURNED = 10.0  # degrees of yaw from the portrait's, from which a head counts as turned
EYE = np.array([[-1.3, -0.9], [1.3, -0.9], [1.3, 0.9], [-1.3, 0.9]])  # an eye's region, in halves of its width


@dataclass(frozen=True)
class Gain:
    """T pictures [T, 256, 256, 3] made from the photo, made with the film, and true; and what they show.

    ``tuned`` are those made with the picture network tuned on the film as well, where the avatar has one.
    """

    photo: ByteArray
    film: ByteArray
    tuned: ByteArray | None
    truth: ByteArray
    landmarks: FloatArray  # [T, 478, 3] of the truth
    blink: FloatArray  # [T]
    yaw: FloatArray  # [T] degrees away from the portrait's
    figures: dict[str, dict[str, float]]  # by "photo", "film", "tuned"; by "truth" what the film itself would have


def compare(avatar: Avatar, path: Path, told: Callable[[str, float], None] = lambda what, share: None) -> Gain:
    """Raises VivifyError when the film cannot be read, or the avatar was made of a photo alone."""
    if not avatar.film:
        raise VivifyError("This avatar was enrolled from a photo alone: give one that vivify enroll FILM made.")
    told("watching the film", 0.0)
    quarter = survey(path, np.inf)
    film = watch(path, quarter, silent=True)
    shots = film.shots(SHOT_S)
    if not shots:
        raise VivifyError(f"'{path}' shows no face for long enough to judge by: give another film.")
    shape = next(whole(path, film, np.array([shots[0].start]), quarter)).shape
    camera = Camera.read(avatar.facts.get("camera", ""))
    parts = framed(path, film, quarter, shots, avatar, shape, camera)
    plain = Renderer(replace(avatar, film=None), LEARN_AT)
    ways = {"photo": plain, "film": Renderer(avatar, LEARN_AT)}
    if avatar.film.network:
        networks = OwnPrograms(Weights(assets() / "weights" / "picture.safetensors"), avatar.film.network)
        ways["tuned"] = LearnedRenderer(avatar, networks, LEARN_AT)
    told("following the face", 0.3)
    motions = redriven(plain, [part.landmarks for part in parts])
    step = max(1, -(-sum(len(part.frames) for part in parts) // MOST))
    made: dict[str, list[ByteArray]] = {name: [] for name in ways}
    truth, landmarks, blink, given = [], [], [], []
    for part, moved in zip(parts, motions, strict=True):
        rows = np.arange(0, len(moved), step)
        real = crops(path, film, part.frames[rows], part.framing, (avatar.size, LEARN_AT), quarter)
        light = light_of(plain, real, part.landmarks[rows], [moved[k] for k in rows], part.here)
        truth += [to_bytes(light(picture, moved[k])) for picture, k in zip(real, rows, strict=True)]
        for k in rows:
            for name, renderer in ways.items():
                made[name].append(renderer.render(moved[k]))
            landmarks.append(_small(part.landmarks[k], avatar.size))
            given.append(moved[k])
            blink.append(max(moved[k].blendshapes[INDEX["eyeBlinkLeft"]], moved[k].blendshapes[INDEX["eyeBlinkRight"]]))
    told("judging", 0.7)
    seen, shut = np.stack(landmarks), np.array(blink, np.float32)
    yaw = angles_of(seen)[:, 0] - angles_of(avatar.reference[None])[0, 0]
    pictures = {name: np.stack(painted) for name, painted in made.items()}
    followed = _tracked({k: truth[k] for k in _some(seen)})
    out = {name: _judged(painted, np.stack(truth), seen, shut, yaw) for name, painted in pictures.items()}
    for name, painted in pictures.items():
        out[name] |= _lips_apart(_tracked({k: painted[k] for k in _some(seen)}), followed)
    _turned(plain, given, pictures, truth, yaw, out)
    _lips(avatar, film.landmarks, film.samples, plain, out)
    out["truth"] = _of_itself(pictures["photo"], np.stack(truth), seen, followed)
    rest = still()
    for name, renderer in ways.items():
        out[name]["portrait_changed"] = float(np.abs(renderer.render(rest).astype(int) - plain.render(rest)).max())
    shown = pictures["photo"], pictures["film"], pictures.get("tuned")
    return Gain(*shown, np.stack(truth), seen, shut, yaw, out)


def _some(pictures: np.ndarray) -> range:
    """Which of the pictures their lips are looked for in."""
    return range(0, len(pictures), TRACKED)


def _small(points: FloatArray, size: int) -> FloatArray:
    out = points * np.float32(LEARN_AT / size)
    out[:, :2] += 0.5 * (LEARN_AT / size - 1)
    return out


def _eyes(face: FloatArray) -> np.ndarray:
    """Mask [256, 256] of both eyes with their lids."""
    out = np.zeros((LEARN_AT, LEARN_AT), bool)
    for ring in (top.EYE_RIGHT, top.EYE_LEFT):
        points = face[list(ring), :2]
        out |= polygon_mask(points.mean(0) + EYE * np.ptp(points[:, 0]) / 2, LEARN_AT, LEARN_AT)
    return out


def _around(made: ByteArray, truth: ByteArray, landmarks: FloatArray, k: int) -> float:
    """Difference outside the face's outline in frame ``k``: hair, ears, neck, clothes and what they uncover."""
    outside = ~polygon_mask(landmarks[k][list(top.OVAL), :2], LEARN_AT, LEARN_AT)
    return figures.region_error(made[k], truth[k], outside)


def _turned(
    plain: Renderer,
    motions: list[Motion],
    pictures: dict[str, ByteArray],
    truth: list[ByteArray],
    yaw: FloatArray,
    out: dict[str, dict[str, float]],
) -> None:
    """Difference of turned heads beyond the photo's reach, of all such pixels together."""
    turned = np.flatnonzero(np.abs(yaw) > TURNED).tolist()
    if not turned:
        return
    beyond = BeyondPhoto(plain)
    hidden = {k: beyond(motions[k], truth[k]) for k in turned}
    if not any(where.any() for where in hidden.values()):
        return
    for name, made in pictures.items():
        apart = [np.abs(made[k].astype(np.int16) - truth[k])[where].mean(1) for k, where in hidden.items()]
        out[name]["turned_hidden_error"] = float(np.concatenate(apart).mean())


def _of_itself(
    photo: ByteArray, truth: ByteArray, landmarks: FloatArray, real: dict[int, FloatArray]
) -> dict[str, float]:
    """What figures that need no truth are of the film itself, and the lips' distance were its own mouth laid in.

    So it can be told what sharpness, steadiness and tracking can be wished for: a soft film's own mouth is soft, and
    its lips are tracked elsewhere in another picture.
    """
    laid = {}
    for k in _some(truth):
        share = blur(mouth_region(landmarks[k], truth.shape[1:3]).astype(np.float32), LAID)[..., None]
        laid[k] = to_bytes(photo[k] + share * (truth[k].astype(np.float32) - photo[k]))
    return {
        "cpbd": float(np.mean([figures.cpbd(figures.grey_of(p)) for p in truth[::5]])),
        "flicker": figures.flicker(truth),
    } | _lips_apart(_tracked(laid), real)


def _tracked(pictures: dict[int, ByteArray]) -> dict[int, FloatArray]:
    """Landmarks [478, 3] that the tracker finds in ``pictures`` by their numbers, each for itself."""
    with FaceMesh(faces=1) as net:
        found = {k: net.find(picture) for k, picture in pictures.items()}
    return {k: faces[0] for k, faces in found.items() if faces}


def _lips_apart(made: dict[int, FloatArray], real: dict[int, FloatArray]) -> dict[str, float]:
    """How far the lips lie from those of the film's own pictures, found by the same tracker in pictures of that size.

    Not from where it was followed in the whole film: there, in larger pictures, it finds lips elsewhere in one and
    the same frame, by as much as a photo's differ.
    """
    apart = [lip_distance(made[k], real[k]) for k in made.keys() & real.keys()]
    return {"lip_distance": float(np.mean(apart))} if apart else {}


def _judged(
    made: ByteArray, truth: ByteArray, landmarks: FloatArray, blink: FloatArray, yaw: FloatArray
) -> dict[str, float]:
    mouths = [mouth_region(face, truth.shape[1:3]) for face in landmarks]
    eyes = [_eyes(face) for face in landmarks]
    mouth = np.array([figures.region_error(a, b, m) for a, b, m in zip(made, truth, mouths, strict=True)])
    eye = np.array([figures.region_error(a, b, m) for a, b, m in zip(made, truth, eyes, strict=True)])
    whole_error = np.abs(made.astype(np.int16) - truth).mean((1, 2, 3))
    out = {
        "pictures": float(len(made)),
        "mouth_error": float(mouth.mean()),
        "eye_error": float(eye.mean()),
        "psnr": float(np.mean([min(figures.psnr(a, b), 100.0) for a, b in zip(made, truth, strict=True)])),
        "cpbd": float(np.mean([figures.cpbd(figures.grey_of(p)) for p in made[::5]])),
        "flicker": figures.flicker(made),
        "lip_shift": float(np.median([lips_beside(made[k], truth[k], landmarks[k]) for k in _some(made)])),
    }
    if (blink > SHUT).any():
        out["closed_eye_error"] = float(eye[blink > SHUT].mean())
    turned = np.flatnonzero(np.abs(yaw) > TURNED)
    if len(turned):
        out["turned_error"] = float(whole_error[np.abs(yaw) > TURNED].mean())
        out["turned_around_error"] = float(np.mean([_around(made, truth, landmarks, int(k)) for k in turned]))
    return out


def _lips(
    avatar: Avatar, landmarks: FloatArray, samples: FloatArray, renderer: Renderer, out: dict[str, dict[str, float]]
) -> None:
    """How far the lips open for the film's sound, beside how far they did: r, spread and speed as ratios; the width."""
    if np.abs(samples).max(initial=0) < 1e-3 or not avatar.film:
        return
    said = say(samples)
    curve, width = (
        _apart(landmarks, pair) / _apart(landmarks, (top.OUTER_CORNER_RIGHT, top.OUTER_CORNER_LEFT))
        for pair in (MIDDLES, ENDS)
    )
    seen = np.isfinite(curve)
    curve, width = np.where(seen, curve, 0), np.where(seen, width, 0)
    ways = {"photo": said.shapes, "film": said.own(avatar.film.manner)}
    opened = {name: gaps(renderer, shapes, said.lips) for name, shapes in ways.items()}
    lag = late_by(opened["photo"], curve, seen)
    curve, width = np.roll(curve, -lag), np.roll(width, -lag)
    seen[:8] = seen[-8:] = False
    for name, gap in opened.items():
        out[name]["opening_r"] = agreement(gap[seen], curve[seen])
        out[name]["opening_spread"] = float(gap[seen].std() / max(float(curve[seen].std()), 1e-6))
        speed = np.abs(np.diff(gap))[seen[1:]].mean() / max(float(np.abs(np.diff(curve))[seen[1:]].mean()), 1e-6)
        out[name]["opening_speed"] = float(speed)
        wide = gaps(renderer, ways[name], said.lips, ENDS)
        out[name]["width_error"] = float(np.abs(wide - width)[seen].mean())


def _apart(landmarks: FloatArray, pair: tuple[int, int]) -> FloatArray:
    """Distances [T] in the picture of two of landmarks [T, 478, 3]."""
    return np.linalg.norm(landmarks[:, pair[0], :2] - landmarks[:, pair[1], :2], axis=1).astype(np.float32)


def sheet(gain: Gain, count: int = 4) -> ByteArray:
    """Rows of photo-enrolled, film-enrolled, tuned where it is, and truth: mouths open, lids closed, a head turned."""
    gap = np.linalg.norm(gain.landmarks[:, 13, :2] - gain.landmarks[:, 14, :2], axis=1)
    rows = [int(part[np.argmax(gap[part])]) for part in np.array_split(np.arange(len(gap)), count) if len(part)]
    rows += [int(np.argmax(gain.blink)), int(np.argmax(np.abs(gain.yaw)))]
    side = 384
    shown = [pictures for pictures in (gain.photo, gain.film, gain.tuned, gain.truth) if pictures is not None]
    tiles = [[resized(p[k], side, side) for p in shown] for k in rows]
    return np.vstack([np.hstack(row) for row in tiles])
