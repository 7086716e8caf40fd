"""`vivify verify`: is this film one of ours, and what does it say about itself?"""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated

import typer
from rich.console import Console
from rich.markup import escape


def verify(film: Annotated[str, typer.Argument(metavar="FILE|URL", help="A film or picture, or its address.")]) -> None:
    """Look for the invisible mark and for a C2PA manifest. The last line is JSON; exit code 1 when there is neither."""
    from clients.films.manifest import read_manifest
    from clients.films.mark_search import local_copy, search_film

    say = Console(stderr=True)
    with local_copy(film) as path:
        with say.status("looking for the mark..."):
            search = search_film(path)
        manifest = read_manifest(path)
    mark = search.mark
    if mark is not None:
        say.print(
            f"[green]mark found[/]: installation {mark.ids.installation:07x}, session {mark.ids.session:05x}, "
            f"{mark.score:.0f} standard deviations above chance"
        )
    else:
        say.print(f"[yellow]no mark found[/]{': ' + escape(search.problem) if search.problem else ''}")
    say.print(f"C2PA manifest {manifest.state}{': ' + escape(manifest.told) if manifest.told else ''}", highlight=False)
    found = None
    if mark is not None:
        found = {**asdict(mark), "ids": str(mark.ids)}
    print(json.dumps({"mark": found, "looked_at": search.told(), "manifest": asdict(manifest)}))
    raise typer.Exit(0 if mark is not None or manifest.state == "valid" else 1)
