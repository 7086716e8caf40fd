"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated

import typer

AvatarOption = Annotated[str, typer.Option("--avatar", help="A bundled avatar's name or an enrolled folder.")]
LookAheadOption = Annotated[int, typer.Option("--look-ahead", help="Milliseconds of sound to wait for: 0-120.")]
ControlOption = Annotated[
    list[str],
    typer.Option("--control", metavar="NAME=NUMBER", help="Such as smile=0.3, sad=0.5 or expressiveness=1.2."),
]
SizeOption = Annotated[int, typer.Option("--size", help="Side of the picture in pixels: 256, 512 or 768.")]
QualityOption = Annotated[
    str,
    typer.Option(
        "--quality", metavar="geometry|learned|auto", help="Whether networks finish the pictures; auto: if affordable."
    ),
]
