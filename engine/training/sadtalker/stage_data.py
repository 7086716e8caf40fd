"""From what a command names to what a stage learns from; each thing is made once and found again in the work folder."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import torch
from rich.console import Console

from engine.contracts import FloatArray
from engine.errors import VivifyError
from engine.motion.facial.articulators import spread_matrix, to_blendshapes
from engine.motion.facial.facial_motion import FacialMotion
from engine.paths import assets
from engine.training.films.film_tracks import Track, films_in, load_tracks, speaker_of, track_film
from engine.training.lips.lip_evaluation import mouth_of
from engine.training.pose.pose_data import filmed_poses
from engine.training.sadtalker.expression_clips import ExpressionClips, Lips, filmed_clips, spoken_clips
from engine.training.sadtalker.head_clips import HeadClips, filmed_heads, imagined_heads
from engine.training.sadtalker.official_films import official_expressions, official_films, official_heads
from engine.training.speech.speech_recording import load_recording, read_mono_16k
from engine.training.splits import part_of

LOOK_AHEAD = 3  # frames: the lips that films are distilled from may look as far ahead as ExpNet does


def tracks_of(given: Namespace, console: Console) -> list[Track]:
    """Tracked shots for training: of ``--tracks``, its training split where it has one, or of ``--films``, tracked."""
    folder = given.tracks
    if folder is None and given.films:
        folder = given.work / "tracks"
        folder.mkdir(parents=True, exist_ok=True)
        for path, name in films_in(given.films):
            try:
                track_film(path, name, speaker_of(name), folder)
            except VivifyError as error:
                console.print(str(error))
    if folder is None:
        return []
    tracks = load_tracks(folder, "train" if (folder / "split.json").exists() else None)
    if not tracks:
        raise VivifyError(f"Films of talking faces were expected in {folder}, but no shot is fit to learn from.")
    return tracks


def bundled_lips(weights: Path | None = None) -> Lips:
    """Lips that are trained already, as lip-only blendshapes of a voice."""
    mouth = mouth_of(FacialMotion.load(weights or assets() / "weights" / "facial.safetensors"), LOOK_AHEAD)

    def said(samples: FloatArray) -> FloatArray:
        return np.asarray(to_blendshapes(torch.from_numpy(mouth(samples)), spread_matrix()).numpy(), np.float32)

    return said


def expressions(given: Namespace, console: Console) -> list[ExpressionClips]:
    """ExpNet's sources. Raises VivifyError where there is nothing to learn from."""
    tracks = tracks_of(given, console)
    if given.space == "official":
        return [official_expressions(official_films(tracks, _coefficients(given)))]
    sources = []
    if tracks:
        path = given.work / "filmed_lips.safetensors"
        if not path.exists():
            filmed_clips(tracks, bundled_lips(given.lips)).save(path)
        sources.append(ExpressionClips.load(path))
    stems = sorted(path.with_suffix("") for path in given.speech.glob("*.json")) if given.speech else []
    if stems:
        recordings = [load_recording(stem) for stem in stems]
        for k in range(given.passes):
            path = given.work / f"spoken_lips{k}.safetensors"
            if not path.exists():
                spoken_clips(recordings, 100 + k).save(path)
                console.print(f"spoiled {path.name}")
            sources.append(ExpressionClips.load(path))
    if not sources:
        raise VivifyError("Something to learn from was expected, but none came: name --films, --tracks or --speech.")
    return sources


def heads(given: Namespace, console: Console) -> tuple[list[HeadClips], dict[str, int], int]:
    """PoseVAE's sources, styles by name, and the style of somebody of whom nothing is known."""
    tracks = tracks_of(given, console)
    styles = {name: k for k, name in enumerate(sorted({track.speaker for track in tracks}))}
    if given.space == "official":
        return [official_heads(official_films(tracks, _coefficients(given)), styles)], styles, 0
    sources, usual = [], 0
    if tracks:
        path = given.work / "filmed_heads.safetensors"
        if not path.exists():
            filmed_heads(tracks, styles).save(path)
        sources.append(HeadClips.load(path))
    voices = [p for folder in given.voices for p in sorted(folder.rglob("*")) if p.suffix in {".flac", ".wav"}]
    voices = [path for path in voices if not path.stem[0].isdigit() or part_of(path.stem) == "train"]
    if voices:
        usual = styles["imagined"] = len(styles)
        path = given.work / "imagined_heads.safetensors"
        if not path.exists():
            spoken = [read_mono_16k(voice) for voice in voices]
            rng = np.random.default_rng(7)
            imagined_heads(spoken, filmed_poses(tracks), rng, given.minutes, usual).save(path)
        sources.append(HeadClips.load(path))
    if not sources:
        raise VivifyError("Heads to learn from were expected, but none came: name --films, --tracks or --voices.")
    return sources, styles, usual


def _coefficients(given: Namespace) -> Path:
    if given.coefficients is None:
        raise VivifyError("The official space needs --coefficients: a folder of them for the tracked shots.")
    return Path(given.coefficients)
