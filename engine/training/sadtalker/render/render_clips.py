"""What the face render learns from: pictures of films, and the coefficients around each."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray
from engine.enrolment.landmarks import FaceMesh
from engine.errors import VivifyError
from engine.face.topology import VERTICES
from engine.imaging.resampling import resized
from engine.sadtalker.facerender.mapping_net import RADIUS
from engine.training.films.film_tracks import Track, films_in

PER_SHOT = 60  # pictures of each shot, evenly spaced
_ROOM = 1.6  # of the face's larger side that a picture shows


@dataclass(frozen=True)
class RenderClips:
    """Pictures of shots and their coefficients."""

    pictures: ByteArray  # [M, S, S, 3]
    shot: np.ndarray  # [M] which shot
    frame: np.ndarray  # [M] which frame of its shot
    motions: list[FloatArray]  # of each shot [T, C]: expression, then pose
    angles: list[FloatArray]  # of each shot [T, 3] yaw, pitch, roll in degrees


@dataclass(frozen=True)
class RenderBatch:
    """Two pictures of the same shot: the one to start from and the one to arrive at."""

    source: Tensor  # [B, 3, S, S] in [0, 1]
    driving: Tensor
    windows: tuple[Tensor, Tensor]  # [B, C, 2 * RADIUS + 1] of both
    angles: tuple[Tensor, Tensor]  # [B, 3] degrees of both


def filmed_pictures(sources: list[Path], tracks: list[Track], starts: dict[str, float], size: int) -> RenderClips:
    """Pictures of the tracked shots of films; ``starts`` says at which second of its film each shot begins."""
    paths = {name: path for path, name in films_in(sources)}
    pictures: list[ByteArray] = []
    shot: list[np.ndarray] = []
    frame: list[np.ndarray] = []
    motions: list[FloatArray] = []
    angles: list[FloatArray] = []
    for track in tracks:
        path = paths.get(track.name.rpartition("_")[0])
        if path is None:
            continue
        count = len(track.pose)
        wanted = np.unique(np.linspace(0, count - 1, min(PER_SHOT, count)).astype(int))
        found = _cropped(path, starts[track.name] + wanted / FRAMES_PER_SECOND, size)
        if found is None:
            continue
        pictures.append(found)
        shot.append(np.full(len(wanted), len(motions)))
        frame.append(wanted)
        pose = track.start + track.pose
        motions.append(np.concatenate([track.blendshapes, pose], 1).astype(np.float32))
        angles.append(np.degrees(pose[:, :3]).astype(np.float32))
    if not pictures:
        raise VivifyError("Pictures of tracked films were expected, but there are none: name the films with --films.")
    joined = np.concatenate
    return RenderClips(joined(pictures), joined(shot), joined(frame), motions, angles)


def _cropped(path: Path, seconds: np.ndarray, size: int) -> ByteArray | None:
    """Pictures [n, size, size, 3] nearest to ``seconds`` [n], all cut alike around the first one's face."""
    taken: list[np.ndarray] = []
    with av.open(str(path)) as container:
        for shown in container.decode(video=0):
            while len(taken) < len(seconds) and (shown.time or 0.0) >= seconds[len(taken)] - 0.5 / FRAMES_PER_SECOND:
                taken.append(shown.to_ndarray(format="rgb24"))
            if len(taken) == len(seconds):
                break
    if len(taken) < len(seconds):
        taken += taken[-1:] * (len(seconds) - len(taken))
    with FaceMesh(faces=1) as net:
        faces = net.find(np.asarray(taken[0], np.uint8)) if taken else []
    if not faces:
        return None
    points = faces[0][:VERTICES, :2]
    low, high = points.min(0), points.max(0)
    half = int(0.5 * _ROOM * (high - low).max())
    x, y = (int(v) for v in (low + high) / 2)
    out = []
    for picture in taken:
        padded = np.pad(picture, ((half, half), (half, half), (0, 0)), mode="edge")
        out.append(resized(np.asarray(padded[y : y + 2 * half, x : x + 2 * half], np.uint8), size, size))
    return np.stack(out)


def draw(rng: np.random.Generator, clips: RenderClips, rows: int) -> RenderBatch:
    """Random pairs."""
    chosen = []
    for _ in range(rows):
        shot = int(rng.integers(len(clips.motions)))
        chosen.append(rng.choice(np.flatnonzero(clips.shot == shot), 2))
    pairs = np.array(chosen).T  # [2, B]
    pictures, windows, angles = [], [], []
    for at in pairs:
        picture = torch.from_numpy(clips.pictures[at]).permute(0, 3, 1, 2).float() / 255
        pictures.append(picture)
        windows.append(torch.from_numpy(np.stack([_window(clips, int(k)) for k in at])))
        angles.append(torch.from_numpy(np.stack([clips.angles[clips.shot[k]][clips.frame[k]] for k in at])))
    return RenderBatch(pictures[0], pictures[1], (windows[0], windows[1]), (angles[0], angles[1]))


def _window(clips: RenderClips, k: int) -> FloatArray:
    motion = clips.motions[clips.shot[k]]
    around = clips.frame[k] + np.arange(-RADIUS, RADIUS + 1)
    return np.ascontiguousarray(motion[np.clip(around, 0, len(motion) - 1)].T)
