"""What the audio-to-visual prior learns from: voices with everything of a face that is not its lips.

*Filmed*: tracked films, each person from the own rest. *Imagined*: other voices under today's prior for heads
(`engine.training.pose.pose_prior`) and procedural eyes; brows, squint, cheeks and nose wander as filmed ones do, and
brows rise with syllables that stand out.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from safetensors.numpy import load_file, save_file
from scipy.ndimage import gaussian_filter1d, zoom

from engine.audio.mel import HOP
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.motion.head.head_pose import SOUND_BANDS
from engine.motion.head.pose_codebook import SCALE
from engine.motion.idle import IdleMotion
from engine.motion.prior.nonlip import GAZE, LIMITS, NONLIP, PLACE, POSE, to_values
from engine.motion.prior.window import HEARD, STYLE
from engine.training.films.film_tracks import Track
from engine.training.lips.upper_face_prior import CALM, FilmedFace, accents, draw_unrest, fit_unrest
from engine.training.pose.pose_data import Heads, filmed_poses, hear, imagined_streams

HEAD = slice(0, len(POSE))
LIDS = [PLACE["eyeBlinkLeft"], PLACE["eyeBlinkRight"]]
FACE = [k for k, name in enumerate(NONLIP) if k >= len(POSE) + len(GAZE) and k not in LIDS]  # what wanders slowly
_STEADY = 1.2  # frames over which these are smoothed: below, it is the tracker that moves
_REST = 20  # per cent of the time a coefficient is at its rest or below
_ROOM = 0.75  # of the engine's limits, which no training pose passes
_RAISE = 0.1  # of a brow with a syllable that stands out
_MIRROR = [PLACE[n.replace("Left", "\0").replace("Right", "Left").replace("\0", "Right")] for n in NONLIP[8:]]
_SIGNS = np.array([-1, 1, -1, -1, 1, 1, -1, 1] + [1] * (len(NONLIP) - 8), np.float32)


@dataclass(frozen=True)
class Movements:
    """Streams laid end to end; ``begins`` says where each starts."""

    sound: FloatArray  # [N, 33] as `engine.motion.prior.window` has it
    values: FloatArray  # [N, 24] as `engine.motion.prior.nonlip` has them
    styles: FloatArray  # [S, 2] how lively head and face are
    shares: FloatArray  # [S] how often each is drawn
    begins: np.ndarray  # [S + 1]

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        save_file({key: np.ascontiguousarray(value) for key, value in vars(self).items()}, str(part))
        part.replace(path)

    @classmethod
    def load(cls, path: Path) -> Movements:
        return cls(**load_file(path))


def from_rest(pose: FloatArray, shapes: FloatArray) -> FloatArray:
    """Values [T, 24] of poses [T, 6] and blendshapes [T, 52], from the person's rest.

    Both lids are alike, and what wanders slowly does without its trembling, which is the tracker's.
    """
    values = to_values(pose, shapes).astype(np.float64)
    values[:, HEAD] -= values[:, HEAD].mean(0)
    gaze = slice(len(POSE), len(POSE) + len(GAZE))
    values[:, gaze] -= np.median(values[:, gaze], 0)
    values[:, gaze.stop :] -= np.percentile(values[:, gaze.stop :], _REST, 0)
    values[:, LIDS] = values[:, LIDS].mean(1, keepdims=True)
    values[:, FACE] = gaussian_filter1d(values[:, FACE], _STEADY, axis=0)
    values[:, gaze.stop :] = values[:, gaze.stop :].clip(0, 1)
    return values.astype(np.float32)


def in_frame(values: FloatArray) -> FloatArray:
    """``values`` [T, 24] with poses inside what the engine shows."""
    limit = _ROOM * np.array(LIMITS)
    out = values.copy()
    out[:, HEAD] = limit * np.tanh(out[:, HEAD] / limit)
    return out


def liveliness(values: FloatArray) -> FloatArray:
    """How fast head and face of values [T, 24] move [2]: logarithms, 0 in the middle of what is filmed."""
    turn = np.degrees(np.diff(values[:, :3], axis=0)) * FRAMES_PER_SECOND
    face = np.diff(values[:, FACE], axis=0) * FRAMES_PER_SECOND
    speeds = np.sqrt([(turn**2).mean(), (face**2).mean()])
    return np.log(speeds / np.array([4.5, 0.3]) + 1e-3).astype(np.float32)


def filmed(tracks: list[Track], rng: np.random.Generator, copies: int) -> Movements:
    """Films, stretched in time, mirrored, heads turning more and less. People come by the root of their time."""
    of: dict[str, int] = {}
    for track in tracks:
        of[track.speaker] = of.get(track.speaker, 0) + len(track.pose)
    streams, shares = [], []
    for track in tracks:
        sound, values = heard(track.samples), from_rest(track.pose, track.blendshapes)
        for _ in range(copies):
            stretch = float(rng.uniform(0.85, 1.18))
            count = round(len(values) * stretch)
            where = np.clip((np.arange(count) / stretch).astype(int), 0, len(values) - 1)
            moved = zoom(values, (count / len(values), 1), order=1)
            at_most = float(np.abs(moved[:, :3] / np.array(LIMITS[:3])).max())
            moved[:, HEAD] *= rng.uniform(0.7, 1.3) / max(1.0, 1.3 * at_most)
            if rng.random() < 0.5:
                moved = mirrored(moved)
            streams.append((sound[where], in_frame(moved)))
            shares.append(len(moved) / of[track.speaker] ** 0.5)
    return _laid(streams, shares)


def imagined(voices: list[FloatArray], tracks: list[Track], rng: np.random.Generator, minutes: float) -> Movements:
    """Voices with pauses between them, and faces moved by the priors; 40 s each."""
    heads = imagined_streams(voices, filmed_poses(tracks), rng, minutes)
    films = [FilmedFace(t.samples, from_rest(t.pose, t.blendshapes)[:, FACE]) for t in tracks]
    follow, kick = fit_unrest(films)
    usual = np.concatenate([film.values for film in films])
    streams = []
    for begin, end in zip(heads.begins[:-1], heads.begins[1:], strict=True):
        part = slice(int(begin), int(end))
        values = _imagined_face(rng, heads, part)
        wander = draw_unrest(rng, end - begin, follow, kick) * usual.std(0) * rng.uniform(0.6, 1.2)
        calm = CALM + (1 - CALM) * gaussian_filter1d(heads.speaking[part].astype(float), 6)
        values[:, FACE] += (usual.mean(0) * rng.uniform(0.3, 1.2) + calm[:, None] * wander).astype(np.float32)
        values[:, len(POSE) + len(GAZE) :] = values[:, len(POSE) + len(GAZE) :].clip(0, 1)
        sound = np.concatenate([heads.features[part], heads.speaking[part, None]], 1)
        streams.append((sound.astype(np.float32), in_frame(values)))
    return _laid(streams, [1.0] * len(streams))


def heard(samples: FloatArray) -> FloatArray:
    """Sound [T, 33] of a recording [640 T]."""
    features, _, speaking = hear(samples[: len(samples) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME])
    return np.concatenate([features, speaking[:, None]], 1).astype(np.float32)


def mirrored(values: FloatArray) -> FloatArray:
    """``values`` [T, 24] as in a mirror."""
    out = values * _SIGNS
    out[:, 8:] = out[:, _MIRROR]
    return np.asarray(out, np.float32)


def _imagined_face(rng: np.random.Generator, heads: Heads, part: slice) -> FloatArray:
    """Head, procedural eyes, and brows that rise with accents [T, 24]."""
    poses, speaking = heads.poses[part] * np.array(SCALE, np.float32), heads.speaking[part]
    # 300 Hz to 4 kHz are some of the broad bands
    level = heads.features[part].reshape(len(poses), -1, SOUND_BANDS)[:, :, 1:6].mean((1, 2))
    assert heads.features.shape[1] == SOUND_BANDS * SAMPLES_PER_FRAME // HOP == HEARD - 1
    idle = IdleMotion(int(rng.integers(1 << 30)))
    loud = np.clip((level + 1.2) / 2.0, 0, 1)
    shapes = [idle.step(float(v), bool(s), p).blendshapes for v, s, p in zip(loud, speaking, poses, strict=True)]
    values = to_values(poses, np.stack(shapes))
    times = np.arange(len(level))
    for peak, strong in zip(*accents(level, speaking), strict=True):
        t = times - peak - 4
        rise = _RAISE * rng.uniform(0.3, 1.4) * (0.5 + 0.7 * strong) * np.exp(-((t / np.where(t < 0, 4.0, 7.0)) ** 2))
        for name in ("browInnerUp", "browOuterUpLeft", "browOuterUpRight"):
            values[:, PLACE[name]] = np.maximum(values[:, PLACE[name]], rise)
    return values


def _laid(streams: list[tuple[FloatArray, FloatArray]], shares: list[float]) -> Movements:
    styles = np.stack([liveliness(values) for _, values in streams])
    assert styles.shape[1] == STYLE
    return Movements(
        np.concatenate([sound for sound, _ in streams]).astype(np.float32),
        np.concatenate([values for _, values in streams]).astype(np.float32),
        styles,
        np.array(shares, np.float32) / sum(shares),
        np.cumsum([0, *[len(values) for _, values in streams]]),
    )
