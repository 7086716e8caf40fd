"""One film, or a made film beside the real one, in figures: `vivify evaluate --video`."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np

from engine.audio.sound_files import read_speech
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, ByteArray, FloatArray
from engine.enrolment.landmarks import FaceMesh
from engine.errors import VivifyError
from engine.evaluation import foreign_networks as networks
from engine.evaluation import motion_figures as motions
from engine.evaluation import picture_figures as pictures
from engine.evaluation.foreign_networks import FeatureNet
from engine.face import topology as top
from engine.face.measures import lip_distance
from engine.face.morphable_model import face_model, similarity
from engine.imaging.resampling import covered, resized, to_bytes, warped
from engine.imaging.shapes import inside

LONGEST_S = 60.0  # three quarters of a gigabyte of pictures at 512
MOUTH_MARGIN = 1.35  # the mouth's region is its outline, so much larger
_Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Watched:
    """A film's pictures [T, H, W, 3], their landmarks [T, 478, 3] in pixels (NaN where no face), its sound [n]."""

    pictures: ByteArray
    landmarks: FloatArray
    sound: FloatArray | None

    @property
    def seen(self) -> np.ndarray:
        return ~np.isnan(self.landmarks[:, 0, 0])


@dataclass(frozen=True)
class Networks:
    """The foreign networks that are at hand; a figure whose network is not is not computed."""

    inception: FeatureNet | None = None
    arcface: FeatureNet | None = None
    sound: FeatureNet | None = None  # SyncNet's
    lips: FeatureNet | None = None
    hopenet: FeatureNet | None = None


def open_networks(
    inception: Path | None = None,
    arcface: Path | None = None,
    sound: Path | None = None,
    lips: Path | None = None,
    hopenet: Path | None = None,
) -> Networks:
    """The networks of these ONNX files. Raises VivifyError for one that cannot be used, or half a SyncNet."""
    if (sound is None) != (lips is None):
        raise VivifyError("SyncNet is two networks, one for sound and one for lips, but one was named: name both.")
    side = networks.SYNC_SIDE
    asked = (
        (inception, "FID", (3, networks.INCEPTION_SIDE, networks.INCEPTION_SIDE)),
        (arcface, "CSIM", (3, networks.FACE_SIDE, networks.FACE_SIDE)),
        (sound, "SyncNet", (1, 13, 20)),
        (lips, "SyncNet", (3, networks.CLIP, side, side)),
        (hopenet, "Hopenet", (3, motions.HOPENET_SIDE, motions.HOPENET_SIDE)),
    )
    return Networks(*(FeatureNet(path, what, shape) if path else None for path, what, shape in asked))


def watch(path: Path, on_frame: _Progress | None = None) -> Watched:
    """Read a film at 25 pictures a second and find its face in each. Raises VivifyError when that cannot be done."""
    shown = _read(path)
    landmarks = np.full((len(shown), top.LANDMARKS, 3), np.nan, np.float32)
    with FaceMesh(faces=1) as net:
        for k, picture in enumerate(shown):
            found = net.find(picture)
            if found:
                landmarks[k] = found[0]
            if on_frame:
                on_frame(k + 1, len(shown))
    if np.isnan(landmarks).all():
        raise VivifyError(f"A film of a face was expected in {path}, but no face was found in it: give another film.")
    try:
        sound: FloatArray | None = read_speech(path)
    except VivifyError:
        sound = None
    return Watched(shown, landmarks, sound)


def _read(path: Path) -> ByteArray:
    try:
        with av.open(str(path)) as file:
            rate = float(file.streams.video[0].average_rate or 0) if file.streams.video else 0.0
            if not rate:
                raise VivifyError(f"A film was expected in {path}, but it has no pictures: give another file.")
            taken: list[ByteArray] = []
            for k, frame in enumerate(file.decode(video=0)):
                while len(taken) / FRAMES_PER_SECOND <= k / rate + 1e-6:
                    taken.append(frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False))
                if len(taken) > LONGEST_S * FRAMES_PER_SECOND:
                    raise VivifyError(f"At most {LONGEST_S:.0f} s of film can be judged, but {path} is longer: cut it.")
    except (av.FFmpegError, OSError) as problem:
        raise VivifyError(f"{path} was expected to be a film, but cannot be read: export it anew.") from problem
    return np.stack(taken)


def judge(made: Watched, truth: Watched | None, given: Networks | None = None) -> dict[str, float]:
    """Figures of a film; with the real one, those that compare as well. Frames without a face are left out.

    Of the film alone: ``faces`` (share of frames with one), ``cpbd``, ``flicker``, ``pose_diversity`` (degrees),
    ``blinks_a_minute``, ``beat_align`` where it has sound, ``diversity`` by Hopenet's features, SyncNet's. Against the
    truth, frame by frame: ``psnr``, ``ssim``, ``mouth_error`` (grey levels), ``lip_distance`` (of the outer eye
    corners' distance, after bringing the two faces together), ``flicker_truth``, FID and CSIM.
    """
    given = given or Networks()
    figures = {
        "frames": float(len(made.pictures)),
        "faces": float(made.seen.mean()),
        "cpbd": float(np.mean([pictures.cpbd(pictures.grey_of(p)) for p in made.pictures[::5]])),
        "flicker": pictures.flicker(made.pictures),
        "pose_diversity": pose_diversity(made.landmarks[made.seen]),
    }
    figures |= _movement(made, given.hopenet)
    if given.sound and given.lips:
        figures |= {f"sync_{name}": value for name, value in _sync(made, given.sound, given.lips).items()}
    return figures | (_compare(made, truth, given) if truth else {})


def _compare(made: Watched, truth: Watched, given: Networks) -> dict[str, float]:
    if made.pictures.shape[1:] != truth.pictures.shape[1:]:
        raise VivifyError(
            f"Both films must have pictures of one size, but they are {_size(made)} and {_size(truth)}: scale one."
        )
    n = min(len(made.pictures), len(truth.pictures))
    both = np.flatnonzero(made.seen[:n] & truth.seen[:n])
    if not len(both):
        raise VivifyError("The two films show a face at no common time: check that they start together.")
    pairs = [(made.pictures[k], truth.pictures[k]) for k in range(n)]
    shapes = [(made.landmarks[k], truth.landmarks[k]) for k in both]
    masks = {k: mouth_region(truth.landmarks[k], truth.pictures.shape[1:3]) for k in both}
    figures = {
        "psnr": float(np.mean([min(pictures.psnr(a, b), 100.0) for a, b in pairs])),
        "ssim": float(np.mean([pictures.ssim(a, b) for a, b in pairs])),
        "mouth_error": float(
            np.mean([pictures.region_error(made.pictures[k], truth.pictures[k], masks[k]) for k in both])
        ),
        "lip_distance": float(np.mean([lip_distance(a, b) for a, b in shapes])),
        "flicker_truth": pictures.flicker(truth.pictures),
        "pose_diversity_truth": pose_diversity(truth.landmarks[truth.seen]),
    }
    if given.inception:
        figures["fid"] = networks.fid(given.inception, made.pictures[:n], truth.pictures[:n])
    if given.arcface:
        figures["csim"] = networks.csim(given.arcface, aligned_faces(made, both), aligned_faces(truth, both))
    return figures


def _movement(film: Watched, hopenet: FeatureNet | None) -> dict[str, float]:
    """How eyes and head move; eyes of a head that is lost for a moment are left out."""
    seen = film.landmarks[film.seen]
    figures = {"blinks_a_minute": motions.blink_rate(motions.eye_opening(seen))}
    if film.sound is not None:
        heads = np.flatnonzero(film.seen)[0] + motions.head_beats(head_angles(seen))
        figures["beat_align"] = motions.beat_align(motions.sound_beats(film.sound), heads)
    if hopenet:
        figures["diversity"] = motions.hopenet_diversity(hopenet, face_crops(film))
    return figures


def _sync(film: Watched, sound: FeatureNet, lips: FeatureNet) -> dict[str, float]:
    if film.sound is None:
        raise VivifyError("SyncNet compares lips with sound, but the film has no sound: add the voice to it.")
    faces = face_crops(film)
    return networks.sync(sound, lips, film.sound[: len(faces) * SAMPLES_PER_FRAME], faces)


def _size(film: Watched) -> str:
    return f"{film.pictures.shape[2]} x {film.pictures.shape[1]}"


def mouth_region(landmarks: FloatArray, size: tuple[int, ...]) -> np.ndarray:
    """Mask [H, W] of the mouth with its margin, from landmarks [478, 3]."""
    ring = landmarks[list(top.LIP_OUTER), :2]
    grown = ring.mean(0) + MOUTH_MARGIN * (ring - ring.mean(0))
    return inside(np.arange(size[1])[None], np.arange(size[0])[:, None], grown)


def pose_diversity(landmarks: FloatArray) -> float:
    """Spread of the head's angles over time (HPD): mean of the standard deviations of yaw, pitch and roll, degrees."""
    if len(landmarks) < 2:
        return 0.0
    return float(np.mean([a.std() for a in head_angles(landmarks).T]))


def head_angles(landmarks: FloatArray) -> FloatArray:
    """Yaw, pitch, roll [T, 3] in degrees of landmarks [T, 478, 3], in the frame of `engine.contracts`."""
    model = face_model()
    used = model.pose_weights > 0
    out = []
    for points in landmarks:
        r = similarity(model.neutral[used], points[: top.VERTICES][used], model.pose_weights[used])[1]
        out.append((np.arcsin(np.clip(-r[2, 0], -1, 1)), np.arctan2(r[2, 1], r[2, 2]), np.arctan2(r[1, 0], r[0, 0])))
    return np.degrees(np.array(out, np.float32))


_ARCFACE = np.array([[38.29, 51.70], [73.53, 51.50], [56.03, 71.74], [41.55, 92.37], [70.73, 92.20]], np.float32)
"""Where ArcFace wants eyes, nose and mouth corners on its 112 pixels (the published template, viewer's left first)."""


def aligned_faces(film: Watched, frames: np.ndarray) -> ByteArray:
    """Faces [n, 112, 112, 3] brought to ArcFace's template."""
    out = []
    for k in frames:
        mark = film.landmarks[k, :, :2]
        eyes = [mark[list(top.EYE_RIGHT)].mean(0), mark[list(top.EYE_LEFT)].mean(0)]
        matrix = _laid_over(np.array([*eyes, mark[1], mark[61], mark[291]]), _ARCFACE)
        face = warped(film.pictures[k], matrix, 112, 112)
        out.append(to_bytes(face * covered(film.pictures[k].shape, matrix, 112, 112)[0][..., None]))
    return np.array(out)


def _laid_over(points: FloatArray, goal: FloatArray) -> np.ndarray:
    """The turn, scale and shift [2, 3] that bring ``points`` [n, 2] nearest to ``goal`` [n, 2]."""
    here, there = ((p - p.mean(0)) @ np.array([1, 1j]) for p in (points, goal))
    turn = (here.conj() @ there) / (here.conj() @ here)
    matrix = np.array([[turn.real, -turn.imag], [turn.imag, turn.real]])
    return np.c_[matrix, goal.mean(0) - matrix @ points.mean(0)]


def face_crops(film: Watched) -> ByteArray:
    """Square crops [T, 224, 224, 3] around the face, steady over time, as SyncNet was trained on."""
    known = film.landmarks[film.seen][:, : top.VERTICES, :2]
    low, high = known.min((0, 1)), known.max((0, 1))
    half = int(np.ceil(0.7 * (high - low).max()))
    y, x = (int(v) for v in np.round((low + high) / 2)[::-1])
    padded = np.pad(film.pictures, ((0, 0), (half, half), (half, half), (0, 0)), mode="edge")
    cut = padded[:, y : y + 2 * half, x : x + 2 * half]
    side = networks.SYNC_SIDE
    return np.array([resized(p, side, side) for p in cut])
