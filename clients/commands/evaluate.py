"""`vivify evaluate`: figures of a film as people read them, and as machines do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table

from engine.audio.sound_files import read_speech
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, FloatArray
from engine.errors import VivifyError
from engine.evaluation.film_figures import Networks, judge, watch
from engine.evaluation.motion_figures import beat_align, head_beats, sound_beats
from engine.motion.head.head_pose import HeadPose
from engine.motion.idle import IdleMotion
from engine.paths import assets
from engine.session import loudness
from engine.training.lips.lip_evaluation import Figures, evaluate
from engine.training.pose import pose_evaluation as pose_evaluate
from engine.training.pose.pose_data import hear
from engine.training.splits import Part

MEANINGS = {
    "frames": "pictures judged",
    "faces": "share of pictures in which a face is found",
    "cpbd": "sharpness, 0 to 1 (CPBD); higher is better",
    "flicker": "distance from the neighbours' average, grey levels; lower is steadier",
    "blinks_a_minute": "blinks a minute; people blink 10 to 25 times",
    "beat_align": "beats of the voice that the head keeps, 0 to 1 (Beat Align Score); higher is better",
    "diversity": "spread of Hopenet's features over time (SadTalker's Diversity)",
    "pose_diversity": "spread of the head's angles, degrees (HPD)",
    "psnr": "likeness to the real film, dB; higher is better",
    "ssim": "likeness to the real film, 0 to 1; higher is better",
    "mouth_error": "difference around the mouth, grey levels; lower is better",
    "lip_distance": "distance of the lips' landmarks, of the eyes' distance; lower is better",
    "flicker_truth": "flicker of the real film",
    "pose_diversity_truth": "pose diversity of the real film",
    "fid": "Fréchet Inception distance; lower is better",
    "csim": "likeness of the person, -1 to 1 (CSIM); higher is better",
    "sync_distance": "SyncNet's distance of lips and sound (LSE-D); lower is better",
    "sync_confidence": "SyncNet's confidence (LSE-C); higher is better",
    "sync_offset": "frames by which the sound is late",
}


SPEECH = {  # figures of speech with phone times, and how they are written
    "closure": "p b m closed, %",
    "chance": "  by chance",
    "corrected": "  corrected",
    "false_per_s": "false closures /s",
    "vowels_closed": "vowels closed, %",
    "open": "open vowels open, %",
    "open_chance": "  by chance",
    "round": "w u o rounded, %",
    "round_false": "  where wrong",
    "tucked": "f v tucked, %",
    "tucked_chance": "  by chance",
    "r_teacher": "r with the teacher",
    "labials": "how many p b m",
}
_PLAIN = ("corrected", "false_per_s", "r_teacher")


def evaluate_film(
    film: Path, truth: Path | None, given: Networks, show: Callable[[str, int, int], None]
) -> dict[str, float]:
    """Figures of ``film``, beside ``truth`` where there is one. ``show(what, done, total)`` tells of progress."""
    made = watch(film, partial(show, "watching the film"))
    real = watch(truth, partial(show, "watching the real one")) if truth else None
    return judge(made, real, given)


def print_figures(figures: dict[str, float], say: Console) -> None:
    """A table for people on ``say``, one line of JSON on standard output."""
    table = Table("figure", "value", "what it says", box=None)
    for name, value in figures.items():
        table.add_row(name, f"{value:.4g}", MEANINGS[name])
    say.print(table)
    print(json.dumps({name: round(value, 5) for name, value in figures.items()}))


def evaluate_motion(
    data: Path | None, labelled: Path | None, part: Part, weights: Path | None, tell: Callable[[str, Figures], None]
) -> dict[str, Figures]:
    """Figures of the lips by mouth and set (`engine.training.lips.lip_evaluation`), and of the head and the lids.

    Raises VivifyError where folders, weights, synthesisers or the tracker are missing.
    """
    for option, folder in (("--data", data), ("--labelled", labelled)):
        if folder is not None and not folder.is_dir():
            raise VivifyError(f"A folder was expected after {option}, but {folder} is none: check the path.")
    torch.set_num_threads(1)
    cache = Path("out") / "films"
    result = evaluate(weights, data, labelled, part, cache=cache, tell=tell)
    result["head"] = {"head and lids": head_figures()}
    tell("head", result["head"])
    return result


def head_figures(seeds: int = 4, times: int = 3) -> dict[str, object]:
    """Diversity, beats and blinks of the head over the bundled sentence, said ``times`` times, over some seeds."""
    voice = read_speech(assets() / "speech.wav")
    voice = np.tile(voice[: len(voice) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME], times)
    model = HeadPose.load(assets() / "weights" / "pose.safetensors")
    poses = [pose_evaluate.move(model, voice, seed) for seed in range(seeds)]
    beats = pose_evaluate.beats(poses, [voice] * seeds)
    told: dict[str, object] = {f"nod_{name}": value for name, value in beats.items()}
    heard = sound_beats(voice)
    kept = round(float(np.mean([beat_align(heard, head_beats(pose[:, :3])) for pose in poses])), 3)
    told |= {"beat_align": kept}
    return {**pose_evaluate.diversity(poses), **told, "blinks_a_minute": blink_rate(voice, seeds)}


def blink_rate(voice: FloatArray, seeds: int) -> float:
    """Blinks a minute while ``voice`` [n] is said."""
    speaking = hear(voice)[2]
    blinks = 0
    for seed in range(seeds):
        life = IdleMotion(seed)
        lids = []
        for k, talks in enumerate(speaking):
            level = loudness(voice[SAMPLES_PER_FRAME * k : SAMPLES_PER_FRAME * (k + 1)])
            lids.append(float(life.step(level, bool(talks)).blendshapes[0]))
        shut = np.array(lids) > 0.7
        blinks += int((np.diff(shut.astype(int)) == 1).sum())
    return round(60 * FRAMES_PER_SECOND * blinks / (seeds * len(speaking)), 1)


def print_motion(result: dict[str, Figures], say: Console) -> None:
    """Tables by set of speech, kind of noise and film; then the head. One line of JSON on standard output."""
    sets = list(dict.fromkeys(name for figures in result.values() for name in figures))
    for name in sets:
        mouths = {mouth: figures[name] for mouth, figures in result.items() if name in figures}
        keys = list(dict.fromkeys(key for one in mouths.values() for key in one))
        table = Table(name, *(mouth.replace("80 ms, no past", "no past") for mouth in mouths), box=None)
        for key in keys:
            values = [one.get(key) for one in mouths.values()]
            if not any(isinstance(value, dict) for value in values):
                table.add_row(SPEECH.get(key, key.replace("_", " ")), *(_written(key, value) for value in values))
        if table.rows:
            say.print(table, "")
    print(json.dumps(result))


def _written(key: str, value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float) and key in SPEECH and key not in _PLAIN:
        return f"{100 * value:.0f}"
    return f"{value:.2f}" if isinstance(value, float) else str(value)
