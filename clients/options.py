"""Options that several commands have."""

from __future__ import annotations

from typing import Annotated, Any

import typer
from typer.core import TyperCommand


class MayStandAlone(TyperCommand):
    """A command some of whose options may go without their value: those whose metavar stands in brackets.

    Left out, the value is empty.
    """

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        alone = {word for param in self.params if (param.metavar or "").startswith("[") for word in param.opts}
        whole: list[str] = []
        for word, after in zip(args, [*args[1:], "--"], strict=True):
            whole += [word, ""] if word in alone and after.startswith("-") else [word]
        return super().parse_args(ctx, whole)


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
