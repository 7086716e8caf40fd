"""`vivify evaluate`: figures of a film as people read them, and as machines do."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.evaluation.films import Networks, judge, watch

MEANINGS = {
    "frames": "pictures judged",
    "faces": "share of pictures in which a face is found",
    "cpbd": "sharpness, 0 to 1 (CPBD); higher is better",
    "flicker": "distance from the neighbours' average, grey levels; lower is steadier",
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
