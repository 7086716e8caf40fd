"""Options that several commands have."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand

from engine.config import CODEBOOK, MOVERS
from engine.errors import VivifyError
from kernels import __version__

HEADS = (CODEBOOK, "posevae")  # movers that move the head alone, and go by --head, too


def wanted_mark(mark: str) -> bool:
    """Whether pictures are to be marked. Raises VivifyError for neither yes nor no."""
    if mark not in ("on", "off"):
        raise VivifyError(f"--mark was expected to be on or off, but '{mark}' was given.")
    return mark == "on"


def chosen_mover(mover: str | None, head: str | None) -> str | None:
    """Who moves the head, by ``--mover`` or by ``--head``; None for the usual.

    Raises VivifyError for a head that is none, and where the two do not agree.
    """
    if head not in (None, *HEADS):
        raise VivifyError(f"The head must be one of {', '.join(HEADS)}, but '{head}' was given.")
    if head and mover not in (None, head):
        raise VivifyError(f"The mover {mover} moves the head itself: leave --head or --mover out.")
    return mover or head


def _tell_version(wanted: bool) -> None:
    if wanted:
        print(f"vivify {__version__}")
        raise typer.Exit


def for_this_python(text: str) -> str:
    """Advice to install something, by the pip of the Python that runs this.

    Another pip would bring another package: the name vivify is somebody else's on PyPI.
    """
    return text.replace("pip install ", f"{shlex.quote(sys.executable)} -m pip install ")


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


VersionOption = Annotated[
    bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Say which one this is, and end.")
]
AvatarOption = Annotated[str, typer.Option("--avatar", help="A bundled avatar's name or an enrolled folder.")]
LookAheadOption = Annotated[int, typer.Option("--look-ahead", help="Milliseconds of sound to wait for: 0-120.")]
ControlOption = Annotated[
    list[str],
    typer.Option("--control", metavar="NAME=NUMBER", help="Such as smile=0.3, sad=0.5 or expressiveness=1.2."),
]
MarkOption = Annotated[
    str, typer.Option("--mark", metavar="on|off", help="The invisible mark that says a machine made it.")
]
ConsentOption = Annotated[
    bool, typer.Option("--require-consent", help="Refuse avatars whose person's consent is not filled in.")
]
BadgeOption = Annotated[
    bool, typer.Option("--badge", help="Words in a corner that the face leaves free: AI-generated.")
]
SignOption = Annotated[
    tuple[Path, Path] | None,
    typer.Option("--sign", metavar="KEY CERT", help="Sign the C2PA manifest with these; else with a key of ours."),
]
NoManifestOption = Annotated[bool, typer.Option("--no-manifest", help="No C2PA manifest in the film.")]
MoverOption = Annotated[
    str | None, typer.Option("--mover", metavar="|".join(MOVERS), help="Who moves head, eyes and brows.")
]
LipsOption = Annotated[
    str, typer.Option("--lips", metavar="branch|expnet", help="Whose lips: ours, or those of SadTalker's ExpNet.")
]
CompileOption = Annotated[
    str | None, typer.Option("--compile", metavar="tensorrt", help="Compile the picture's networks for a card.")
]
HeadOption = Annotated[
    str | None, typer.Option("--head", metavar="|".join(HEADS), help="The same as the --mover of that name.")
]
SizeOption = Annotated[int, typer.Option("--size", help="Side of the picture in pixels: 256, 512 or 768.")]
QualityOption = Annotated[
    str,
    typer.Option(
        "--quality", metavar="geometry|learned|auto", help="Whether networks finish the pictures; auto: if affordable."
    ),
]
