"""`vivify evaluate --avatar`: what a film gave an avatar, on another film of the person."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from engine.errors import VivifyError
from engine.evaluation.enrolled.film_gain import compare, sheet
from engine.face.avatar import Avatar
from engine.face.png import write_png

WAYS = {"photo": "photo alone", "film": "with the film", "tuned": "and tuned on it", "truth": "that film's own"}
MEANINGS = {
    "pictures": "pictures made again",
    "mouth_error": "difference around the mouth, grey levels",
    "eye_error": "difference around the eyes, grey levels",
    "closed_eye_error": "the same where an eye is closed",
    "turned_error": "difference where the head is turned by more than 10 degrees",
    "turned_around_error": "the same outside the face: hair, ears, neck, what they uncover",
    "turned_hidden_error": "the same of hair, ears and grazing skin alone: the head beyond the photo's reach",
    "lip_distance": "distance of the lips' landmarks from those in the film's pictures, of the eyes' distance",
    "lip_shift": "how far lips lie beside the film's by their pixels, of the eyes' distance",
    "psnr": "likeness, dB",
    "cpbd": "sharpness, 0 to 1",
    "flicker": "distance from the neighbours' average, grey levels",
    "opening_r": "how the lips' opening follows the film's, from its sound",
    "opening_spread": "its spread beside the film's",
    "opening_speed": "its speed beside the film's",
    "width_error": "how far the mouth's width is from the film's, from its sound, of the eyes' distance",
    "portrait_changed": "grey levels by which the portrait at rest differs",
}


def evaluate_avatar(
    folder: Path, film: Path, picture: Path | None, told: Callable[[str, float], None], say: Console
) -> None:
    """A table for people on ``say``, one line of JSON on standard output, and a sheet in ``picture``.

    Raises VivifyError.
    """
    if picture is not None and not picture.absolute().parent.is_dir():  # before minutes of work
        raise VivifyError(f"A folder for the sheet was expected at {picture.absolute().parent}: make it first.")
    gain = compare(Avatar.load(folder), film, told)
    ways = [way for way in WAYS if way in gain.figures]
    table = Table("figure", *(WAYS[way] for way in ways), "what it says", box=None)
    for name, meaning in MEANINGS.items():
        if name in gain.figures["film"]:
            found = [gain.figures[way].get(name) for way in ways]
            table.add_row(name, *("" if value is None else f"{value:.4g}" for value in found), meaning)
    say.print(table)
    told("done", 1.0)
    print(json.dumps({way: {k: round(v, 5) for k, v in found.items()} for way, found in gain.figures.items()}))
    if picture is not None:
        try:
            write_png(picture, sheet(gain))
        except OSError as problem:
            raise VivifyError(f"The sheet could not be written to {picture} ({problem.strerror}).") from None
