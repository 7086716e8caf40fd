"""Pairs to learn the picture from: what the networks see of a motion, and the true picture of it.

From films: one frame is the portrait, every other one the truth; the tracked motion between them drives the geometry.
From stills: the portrait is turned by geometry, and the turned picture taken for the portrait; turning it back should
give the photograph, and what the first turn had hidden is there to be learned. Pictures are 256 pixels a side.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass, fields
from math import radians
from pathlib import Path

import av
import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, ByteArray, FloatArray, Motion
from engine.enrolment.enroll import build_avatar
from engine.enrolment.footage.driving.film_fit import Fit, fit
from engine.enrolment.footage.driving.registration import registered
from engine.enrolment.landmarks import FaceMesh, Portrait, person_mask, person_silhouette
from engine.errors import VivifyError
from engine.face import topology as top
from engine.face.avatar import Avatar
from engine.face.morphable_model import face_model
from engine.imaging.resampling import resized
from engine.imaging.shapes import polygon_mask
from engine.motion.rotation import rotation_matrix
from engine.render.dense_motion import HeadTurn
from engine.render.learned.eyesight import Eyesight
from engine.render.learned.lip_square import PICTURE
from engine.render.learned.picture_generator import Seen
from engine.render.renderer import Renderer

MARGIN = 1.9  # side of the square cut out of a film, in heights of the face
TURNS = (9.0, 6.0, 5.0)  # degrees of yaw, pitch, roll up to which stills are turned
PAINTED = ("portrait", "painted", "texture_reference", "texture")  # kept as bytes


class Pairs:
    """Pairs of one film or still: everything of `Seen`, the truth [N, 3, 256, 256], and a weight map of the mouth."""

    def __init__(self, seen: Seen, truth: Tensor, mouth: Tensor, film: bool = True) -> None:
        self.seen, self.truth, self.mouth, self.film = seen, truth, mouth, film

    def __len__(self) -> int:
        return len(self.truth)

    def pick(self, rows: list[int]) -> tuple[Seen, Tensor, Tensor]:
        """Rows as float tensors in the networks' ranges: input, truth, mouth [n, 1, 256, 256]."""
        chosen = {f.name: getattr(self.seen, f.name)[rows] for f in fields(Seen)}
        for name in PAINTED:
            chosen[name] = chosen[name].float() / 255
        chosen["flow"] = chosen["flow"].float()
        return Seen(**chosen), self.truth[rows].float() / 255, self.mouth[rows].float()

    def save(self, path: Path) -> None:
        tensors = {f.name: getattr(self.seen, f.name) for f in fields(Seen)} | {
            "truth": self.truth,
            "mouth": self.mouth,
        }
        save_file({name: value.contiguous() for name, value in tensors.items()}, str(path))

    @classmethod
    def load(cls, path: Path, film: bool = True) -> Pairs:
        tensors = load_file(str(path))
        return cls(Seen(**{f.name: tensors[f.name] for f in fields(Seen)}), tensors["truth"], tensors["mouth"], film)


def joined(rows: list[tuple[Seen, Tensor, Tensor]]) -> tuple[Seen, Tensor, Tensor]:
    """Several `Pairs.pick`s as one."""
    seen = Seen(**{f.name: torch.cat([getattr(row[0], f.name) for row in rows]) for f in fields(Seen)})
    return seen, torch.cat([row[1] for row in rows]), torch.cat([row[2] for row in rows])


def gather(items: list[tuple[Seen, ByteArray, FloatArray]]) -> Pairs:
    """Pairs of single ones: what was seen, the true picture [256, 256, 3], the driven face [468, 3]."""
    columns = {}
    for f in fields(Seen):
        column = torch.cat([getattr(seen, f.name) for seen, _, _ in items])
        if f.name in PAINTED:
            column = (column * 255 + 0.5).clamp(0, 255).to(torch.uint8)
        columns[f.name] = column.half() if f.name == "flow" else column
    truth = torch.from_numpy(np.stack([picture.transpose(2, 0, 1) for _, picture, _ in items]))
    mouth = torch.from_numpy(np.stack([_mouth(face) for _, _, face in items]))[:, None]
    return Pairs(Seen(**columns), truth, mouth)


def _mouth(face: FloatArray) -> np.ndarray:
    """1 in the mouth's region [256, 256], 0 elsewhere, as bool."""
    ring = face[list(top.LIP_OUTER), :2]
    grown = ring.mean(0) + 1.35 * (ring - ring.mean(0))
    return polygon_mask(grown, PICTURE, PICTURE)


def from_film(path: Path, references: int = 3) -> Pairs:
    """Pairs of a film in which one face talks, from ``references`` of its frames to all others.

    Raises VivifyError when it holds no face, or loses it.
    """
    shot = Shot.of(path)
    items = []
    for reference in shot.references(references):
        renderer, motions = shot.driven(reference)
        eye = Eyesight(renderer)
        for motion, picture, face in zip(motions, shot.pictures, shot.landmarks, strict=True):
            items.append((Seen.of(eye.see(motion, renderer.render(motion))), picture, face[: top.VERTICES]))
    return gather(items)


@dataclass(frozen=True)
class Shot:
    """A face that talks: square pictures around it, its landmarks in their pixels, and its motion."""

    pictures: list[ByteArray]  # T of [256, 256, 3]
    landmarks: FloatArray  # [T, 478, 3]
    fit: Fit

    @classmethod
    def of(cls, path: Path, start_s: float = 0.0, seconds: float = 30.0) -> Shot:
        """Raises VivifyError when the film cannot be read, holds no face, or loses it."""
        pictures, landmarks = _watch(path, start_s, seconds)
        return cls(pictures, landmarks, fit([landmarks], face_model())[0])

    def references(self, count: int) -> list[int]:
        """Frames to be portraits, the lips closed in the first and wider open in each further one."""
        order = np.argsort(self.fit.aperture)
        return [int(order[int(k)]) for k in np.linspace(0, 0.9 * (len(order) - 1), count)]

    def driven(self, reference: int) -> tuple[Renderer, list[Motion]]:
        """The avatar of one frame, and what drives it through all frames."""
        fit, renderer = self.fit, Renderer(_enrolled(self.pictures[reference]), PICTURE)
        motions = [
            Motion(
                SAMPLES_PER_FRAME * k,
                renderer.own_expression + fit.blendshapes[k] - fit.blendshapes[reference],
                (fit.rotation[k] @ fit.rotation[reference].T).astype(np.float32),
                (fit.translation[k] - fit.translation[reference]).astype(np.float32),
                fit.lip_offsets[k] - fit.lip_offsets[reference],
            )
            for k in range(len(self.pictures))
        ]
        return renderer, registered(renderer, motions, self.landmarks)


def _watch(path: Path, start_s: float, seconds: float) -> tuple[list[ByteArray], FloatArray]:
    """Square pictures [256, 256, 3] around the face, and its landmarks [T, 478, 3] in their pixels."""
    try:
        with av.open(str(path)) as file:
            rate = float(file.streams.video[0].average_rate or FRAMES_PER_SECOND)
            first, end = int(rate * start_s), int(rate * (start_s + seconds))
            frames = [_rgb(frame) for frame in itertools.islice(file.decode(video=0), first, end)]
    except (av.FFmpegError, OSError, IndexError) as problem:
        raise VivifyError(f"{path} was expected to be a film, but cannot be read: leave it out.") from problem
    if not frames:
        raise VivifyError(f"{path} was expected to be longer than {start_s:g} s, but ends before: begin earlier.")
    with FaceMesh(faces=1) as net:
        found = [net.find(frame) for frame in (frames[0], frames[len(frames) // 2], frames[-1])]
        seen = [faces[0] for faces in found if faces]
        if not seen:
            raise VivifyError(f"A film of a face was expected in {path}, but none was found: leave it out.")
        square = _square(np.stack(seen), frames[0].shape)
        cut = [_cut(frame, square) for frame in frames]
        each = [net.find(picture) for picture in cut]
    kept = [k for k, faces in enumerate(each) if faces]
    if len(kept) < 0.9 * len(cut):
        raise VivifyError(f"The face was expected throughout {path}, but is lost in parts: cut it into shots.")
    return [cut[k] for k in kept], np.stack([each[k][0] for k in kept])


def _rgb(frame: av.VideoFrame) -> ByteArray:
    return frame.to_ndarray(format="rgb24").astype(np.uint8, copy=False)


def _square(faces: FloatArray, shape: tuple[int, ...]) -> tuple[int, int, int]:
    """x, y and side of the square around a face seen several times [n, 478, 3], inside a film of ``shape``."""
    points = faces[:, : top.VERTICES, :2]
    low, high = points.min((0, 1)), points.max((0, 1))
    side = min(int(MARGIN * (high - low)[1]), shape[0], shape[1])
    x, y = np.round((low + high) / 2 - np.array([side / 2, 0.47 * side])).astype(int)
    return int(np.clip(x, 0, shape[1] - side)), int(np.clip(y, 0, shape[0] - side)), side


def _cut(frame: ByteArray, square: tuple[int, int, int]) -> ByteArray:
    """The square as 256 pixels a side."""
    x, y, side = square
    return resized(frame[y : y + side, x : x + side], PICTURE, PICTURE)


def _enrolled(picture: ByteArray, landmarks: FloatArray | None = None) -> Avatar:
    """The avatar of a picture [256, 256, 3] as it is, without cropping."""
    model = face_model()
    if landmarks is None:
        with FaceMesh(faces=1) as net:
            faces = net.find(picture)
        if not faces:
            raise VivifyError("The face of a film's reference frame was lost: leave the film out.")
        landmarks = faces[0]
    silhouette = person_silhouette(picture)
    matte = person_mask(silhouette, landmarks, model.triangles)
    return build_avatar(Portrait(picture, landmarks, matte, silhouette, ()), model, {})


def from_still(avatar: Avatar, count: int, seed: int = 0) -> Pairs:
    """``count`` pairs of one portrait, turned away by geometry and to be turned back."""
    rng = np.random.default_rng(seed)
    renderer = Renderer(avatar, PICTURE)
    own = renderer.own_expression
    factor = PICTURE / avatar.size
    truth = resized(avatar.portrait, PICTURE, PICTURE)
    items = []
    for away in _turns(rng, count):
        none = np.zeros(3, np.float32)
        turn = HeadTurn(avatar.pivot, avatar.unit, away, none)
        turned = renderer.render(Motion(0, own, away, none)).copy()
        landmarks = np.zeros((top.LANDMARKS, 3), np.float32)
        landmarks[: top.VERTICES] = _scaled(turn(avatar.reference), factor)
        for row, (x, y, radius) in zip((top.IRIS_RIGHT, top.IRIS_LEFT), avatar.irises, strict=True):
            ring = np.array([[x, y], [x + radius, y], [x, y - radius], [x - radius, y], [x, y + radius]])
            depth = np.full((5, 1), avatar.reference[list(top.EYE_RIGHT), 2].mean())
            landmarks[list(row)] = _scaled(turn(np.hstack([ring, depth])), factor)
        second = Renderer(_enrolled(turned, landmarks), PICTURE)
        back = Motion(0, second.own_expression, away.T.copy(), none)
        seen = Seen.of(Eyesight(second).see(back, second.render(back)))
        items.append((seen, truth, _scaled(avatar.reference, factor)))
    return gather(items)


def _turns(rng: np.random.Generator, count: int) -> Iterator[FloatArray]:
    for _ in range(count):
        yield rotation_matrix(*(radians(float(rng.uniform(-limit, limit))) for limit in TURNS))


def _scaled(points: np.ndarray, factor: float) -> FloatArray:
    out = np.asarray(points, np.float32) * np.float32(factor)
    out[:, :2] += np.float32(0.5 * factor - 0.5)
    return out
