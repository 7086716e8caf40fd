"""Tracked films on disk: which shots are fit to learn from, who is in which split, and the files themselves.

A film ``a/b.mp4`` becomes ``a-b.json`` (what it is and how good, written last) and ``a-b_0.safetensors``, one for each
shot. Nothing is thrown away: a shot that should not be learned from says why in ``refused``.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.numpy import load_file, save_file

from engine.audio.mel import LogMel
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.enrolment.footage.driving.film_fit import Fit, fit
from engine.enrolment.footage.talking_film import Film, watch
from engine.face.morphable_model import face_model
from engine.motion.rotation import euler_angles

SUFFIXES = {".mp4", ".mpg", ".mpeg", ".mov", ".mkv", ".avi", ".webm", ".m4v"}
LEAST_S = 2.0  # of a shot
_LAGS = 8  # frames in which sound and lips are looked for
_RELIABLE_S = 8.0  # of a film, from which its lag is measured well enough to be taken back
_BANDS = slice(6, 30)  # 300 Hz to 4 kHz: vowels, not hiss or hum

# What a shot may be at most, or least, to be learned from.
ERROR = 0.03  # outer-eye-corner distances between landmarks and fitted face
YAW = 35.0  # degrees away from the camera on average
JUMP = 12.0  # degrees between two frames
SMALLEST = 30.0  # pixels between the outer eye corners
SYNC = 0.2  # correlation of lips and sound
LATE = 2.5  # frames


@dataclass(frozen=True)
class Track:
    """One shot, loaded. T frames of 40 ms; frame k shows samples [640 k, 640 (k + 1))."""

    name: str
    speaker: str
    blendshapes: FloatArray  # [T, 52]
    lip_offsets: FloatArray  # [T, 40, 3] as `engine.contracts.Motion.lip_offsets`
    pose: FloatArray  # [T, 6] yaw, pitch, roll in radians, translation in outer-eye-corner distances; from `start` on
    start: FloatArray  # [6] the pose of the first frame, P0
    aperture: FloatArray  # [T] outer-eye-corner distances
    width: FloatArray  # [T] the same
    alpha: FloatArray  # [K]
    samples: FloatArray  # [640 T]
    refused: tuple[str, ...]


def films_in(sources: list[Path]) -> list[tuple[Path, str]]:
    """Every film among files and folders, with the name its tracks get."""
    found = []
    for source in sources:
        if source.is_dir():
            paths = sorted(path for path in source.rglob("*") if path.suffix.lower() in SUFFIXES)
            found += [(path, "-".join(path.relative_to(source).with_suffix("").parts)) for path in paths]
        else:
            found.append((source, source.stem))
    return found


def speaker_of(name: str) -> str:
    """Who a film shows, by its name: the folder, else the name without its last number (``id01-7``, ``ann_3``)."""
    return name.split("-")[0] if "-" in name else re.sub(r"[_ ]?\d+$", "", name) or name


def split_of(speaker: str) -> str:
    """train, val or test (80, 10, 10 %): always the same for one speaker, whoever else there is."""
    share = int(hashlib.sha256(speaker.encode()).hexdigest()[:8], 16) / 16**8
    return "train" if share < 0.8 else "val" if share < 0.9 else "test"


def lips_and_sound(aperture: FloatArray, samples: FloatArray) -> FloatArray:
    """Correlation [17] of the lips' gap with the sound's level, for lips 8 frames early to 8 frames late."""
    mel = LogMel()(torch.from_numpy(np.ascontiguousarray(samples))[None])[0].numpy()
    level = mel.reshape(len(aperture), -1, mel.shape[1])[:, :, _BANDS].mean((1, 2))
    out = []
    for lag in range(-_LAGS, _LAGS + 1):
        a, b = (aperture[lag:], level[: len(level) - lag]) if lag >= 0 else (aperture[:lag], level[-lag:])
        out.append(np.corrcoef(a, b)[0, 1] if a.std() > 1e-6 and b.std() > 1e-6 else 0.0)
    return np.array(out, np.float32)


def best_lag(r: FloatArray) -> float:
    """The lag of the highest correlation in frames, between frames by a parabola; + is lips late."""
    k = int(np.clip(np.argmax(r), 1, len(r) - 2))
    bend = r[k - 1] - 2 * r[k] + r[k + 1]
    return k - _LAGS + float(np.clip(0.5 * (r[k - 1] - r[k + 1]) / bend if bend < 0 else 0.0, -0.5, 0.5))


def judge(shot: Fit, film: Film, part: slice, r: FloatArray) -> tuple[dict[str, float], list[str]]:
    """Figures of one shot, and why it should not be learned from (nothing, when it should)."""
    angles = np.degrees(euler_angles(shot.rotation))
    apart = np.linalg.norm(film.landmarks[part, 33, :2] - film.landmarks[part, 263, :2], axis=1)
    quality = {
        "error": float(shot.error.mean()),
        "yaw": float(abs(angles[:, 0].mean())),
        "jump": float(np.abs(np.diff(angles, axis=0)).max()),
        "pixels": float(np.median(apart)),
        "sync": float(r[_LAGS - 2 : _LAGS + 3].max()),
        "lag_frames": best_lag(r),
    }
    refused = []
    if quality["error"] > ERROR or quality["jump"] > JUMP:
        refused.append("badly tracked")
    if quality["yaw"] > YAW:
        refused.append("turned away")
    if quality["pixels"] < SMALLEST:
        refused.append("too small")
    late = abs(quality["lag_frames"]) > LATE and r.max() > quality["sync"] + 0.1
    if quality["sync"] < SYNC or (late and len(shot.aperture) >= _RELIABLE_S * FRAMES_PER_SECOND):
        refused.append("out of sync")
    return {key: round(value, 4) for key, value in quality.items()}, refused


def track_film(path: Path, name: str, speaker: str, folder: Path) -> dict[str, Any]:
    """Track one film into ``folder`` and return what its JSON says. A film already there is left alone."""
    note = folder / f"{name}.json"
    if note.exists():
        return dict(json.loads(note.read_text()))
    film = watch(path)
    parts = film.shots(LEAST_S)
    shots = fit([film.landmarks[part] for part in parts], face_model()) if parts else []
    film, moved = _in_step(film, parts, shots)
    told = []
    for k, (part, shot) in enumerate(zip(parts, shots, strict=True)):
        samples = film.samples[SAMPLES_PER_FRAME * part.start : SAMPLES_PER_FRAME * part.stop]
        quality, refused = judge(shot, film, part, lips_and_sound(shot.aperture, samples))
        file = f"{name}_{k}.safetensors"
        _save(folder / file, shot, samples)
        told.append({"file": file, "start_s": part.start / FRAMES_PER_SECOND, "frames": len(shot.aperture)})
        told[-1] |= {"quality": quality, "refused": refused}
    told_film = {"film": path.name, "speaker": speaker, "sound_moved_ms": round(40 * moved), "shots": told}
    note.write_text(json.dumps(told_film, indent=1))
    return told_film


def _in_step(film: Film, parts: list[slice], shots: list[Fit]) -> tuple[Film, float]:
    """The film with its sound moved to the lips, where enough is seen to say by how many frames; and how many."""
    frames = sum(len(shot.aperture) for shot in shots)
    if frames < _RELIABLE_S * FRAMES_PER_SECOND:
        return film, 0.0
    rows = []
    for part, shot in zip(parts, shots, strict=True):
        samples = film.samples[SAMPLES_PER_FRAME * part.start : SAMPLES_PER_FRAME * part.stop]
        rows.append(len(shot.aperture) * lips_and_sound(shot.aperture, samples))
    r = np.sum(rows, 0) / frames
    lag = best_lag(r)
    if abs(lag) < 1.5 or abs(lag) > _LAGS - 1.5 or r.max() < SYNC:  # a frame of lead is how people speak
        return film, 0.0
    shift = round(lag * SAMPLES_PER_FRAME)
    padded = np.pad(film.samples, abs(shift))
    samples = padded[abs(shift) - shift : abs(shift) - shift + len(film.samples)]
    return replace(film, samples=samples), lag


def _save(path: Path, shot: Fit, samples: FloatArray) -> None:
    pose = np.concatenate([euler_angles(shot.rotation), shot.translation], 1)
    tensors = {
        "alpha": shot.alpha,
        "residual": shot.residual,
        "blendshapes": shot.blendshapes,
        "lip_offsets": shot.lip_offsets,
        "rotation": shot.rotation,
        "translation": shot.translation,
        "pose": (pose - pose[0]).astype(np.float32),
        "start": pose[0].astype(np.float32),
        "aperture": shot.aperture,
        "width": shot.width,
        "error": shot.error,
        "samples": np.round(np.clip(samples, -1, 1) * 32767).astype(np.int16),
    }
    save_file({key: np.ascontiguousarray(value) for key, value in tensors.items()}, str(path))


def load_tracks(folder: Path, split: str | None = None, refused: bool = False) -> list[Track]:
    """The shots of a folder, of one split or of all; those not to be learned from only when ``refused``."""
    chosen = json.loads((folder / "split.json").read_text()) if split else {}
    tracks = []
    for note in sorted(folder.glob("*.json")):
        told = json.loads(note.read_text())
        if "shots" not in told or (split and told["speaker"] not in chosen[split]):
            continue
        for shot in told["shots"]:
            if shot["refused"] and not refused:
                continue
            data = load_file(folder / shot["file"])
            tracks.append(
                Track(
                    name=shot["file"].removesuffix(".safetensors"),
                    speaker=told["speaker"],
                    samples=data["samples"].astype(np.float32) / 32767,
                    refused=tuple(shot["refused"]),
                    **{
                        key: data[key]
                        for key in ("blendshapes", "lip_offsets", "pose", "start", "aperture", "width", "alpha")
                    },
                )
            )
    return tracks
