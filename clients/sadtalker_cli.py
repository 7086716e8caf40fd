"""`vivify sadtalker`, and the options by which other commands draw with SadTalker."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape
from safetensors import SafetensorError, safe_open

from engine.config import METHODS, EngineConfig
from engine.errors import VivifyError

say = Console(stderr=True)

MethodOption = Annotated[
    str, typer.Option("--method", metavar="geometry|sadtalker", help="How pictures are made: docs/sadtalker.md.")
]
WeightsOption = Annotated[
    Path | None, typer.Option("--weights", metavar="FILE", help="SadTalker's, from `vivify sadtalker import`.")
]
PhotoOption = Annotated[Path | None, typer.Option("--photo", metavar="P", help="The portrait that SadTalker moves.")]
StyleOption = Annotated[int, typer.Option("--style", help="SadTalker: which of 46 ways to move the head.")]
ScaleOption = Annotated[float, typer.Option("--expression-scale", help="SadTalker: expressions so much stronger.")]
StillOption = Annotated[bool, typer.Option("--still", help="SadTalker: the head stays as in the photo.")]
FullOption = Annotated[bool, typer.Option("--full", help="SadTalker: the face put back into its whole photo.")]
FollowOption = Annotated[
    Path | None, typer.Option("--pose-from", metavar="FILM", help="SadTalker: a film whose head to follow, too.")
]
BlinkOption = Annotated[
    Path | None, typer.Option("--blink-from", metavar="FILM", help="SadTalker: a film whose eyes to follow.")
]
PhotoConsentOption = Annotated[
    str | None, typer.Option("--consent", metavar="TEXT", help="SadTalker: how the photo's person agreed, in words.")
]


def is_sadtalker(method: str) -> bool:
    """Raises VivifyError for a method that there is not."""
    if method not in METHODS:
        raise VivifyError(f"--method was expected to be {' or '.join(METHODS)}, but '{method}' was given.")
    return method == "sadtalker"


def refuse_without(given: Mapping[str, object]) -> None:
    """Raises VivifyError for options of SadTalker's, by name, that came without ``--method sadtalker``."""
    odd = [name for name, value in given.items() if value not in (None, False)]
    if odd:
        raise VivifyError(f"{', '.join(odd)} {'are' if odd[1:] else 'is'} for --method sadtalker: give that, too.")


def weights_and_photo(weights: Path | None, photo: Path | None) -> tuple[Path, Path]:
    """Both, or a sentence saying where they come from. Raises VivifyError."""
    need_torch()
    if weights is None:
        raise VivifyError(
            "SadTalker needs --weights FILE: get the official ones from "
            "https://github.com/OpenTalker/SadTalker/releases, then "
            "vivify sadtalker import OFFICIAL_FOLDER -o FILE.safetensors."
        )
    if photo is None:
        raise VivifyError("SadTalker needs --photo P: the portrait that is to speak.")
    return weights, photo


def served(
    config: EngineConfig, method: str, weights: Path | None, photo: Path | None, size_given: bool
) -> EngineConfig:
    """The engine's settings for serving by ``method``: with SadTalker the size is its weights'. Raises VivifyError."""
    if not is_sadtalker(method):
        refuse_without({"--weights": weights, "--photo": photo})
        return config
    file, portrait = weights_and_photo(weights, photo)
    if config.consent:
        raise VivifyError("SadTalker's photo holds nobody's consent: serve it without --require-consent, or an avatar.")
    pixels = _pixels(file)
    if size_given and config.size != pixels:
        raise VivifyError(f"{file.name} draws {pixels} pixels: leave out --size {config.size}.")
    return replace(config, size=pixels, method="sadtalker", weights=str(file.resolve()), photo=str(portrait.resolve()))


def _pixels(weights: Path) -> int:
    """What the file's header says, without torch: the engine's process checks all of it."""
    try:
        with safe_open(str(weights), framework="np") as file:
            pixels = json.loads((file.metadata() or {}).get("vivify", "{}")).get("pixels")
    except (SafetensorError, OSError, ValueError, AttributeError) as problem:
        raise VivifyError(f"Weights of SadTalker were expected at {weights}: vivify sadtalker import.") from problem
    if pixels not in (256, 512):
        raise VivifyError(f"{weights.name} was not made by vivify sadtalker import.")
    return int(pixels)


def need_torch() -> None:
    """Raises VivifyError where torch is not installed. It is not loaded: a server has no use for it itself."""
    if find_spec("torch") is None:
        raise VivifyError("SadTalker needs torch, which is missing: pip install 'vivify[sadtalker]'.")


def sadtalker(
    action: Annotated[str, typer.Argument(metavar="import", help="There is this one.")],
    folder: Annotated[Path, typer.Argument(metavar="OFFICIAL_FOLDER", help="Where the released files lie.")],
    out: Annotated[Path, typer.Option("-o", "--out", metavar="FILE.safetensors", help="The file to write.")],
    size: Annotated[int | None, typer.Option("--size", help="256 or 512, where the folder holds both.")] = None,
) -> None:
    """Make one file of SadTalker's released weights. Nothing is downloaded."""
    if action != "import":
        raise VivifyError(f"vivify sadtalker was expected to be followed by import, but '{action}' was given.")
    need_torch()
    from engine.sadtalker.weights.official_release import import_release

    with say.status("reading the weights..."):
        made = import_release(folder, out, size)
    for note in made.notes:
        say.print(f"[yellow]note:[/] {escape(note)}", highlight=False)
    say.print(
        f"[green]{escape(str(out))}[/]: {made.tensors} tensors, {made.parameters / 1e6:.1f} million numbers, of "
        f"{escape(', '.join(made.files))}",
        highlight=False,
        soft_wrap=True,
    )
    say.print(
        f"Try it: vivify render SPEECH -o OUT.mp4 --method sadtalker --weights {escape(str(out))} --photo PHOTO",
        highlight=False,
        soft_wrap=True,
    )
