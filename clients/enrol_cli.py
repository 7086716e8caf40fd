"""The options of `vivify enroll`, which makes avatars of photos and films."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.markup import escape

from clients.film_cli import FilmSizeOption, progress
from engine.errors import TwoPeople, VivifyError

if TYPE_CHECKING:
    from engine.face.avatar import Avatar

say = Console(stderr=True)  # for people; standard output is for results


def enroll(
    out: Annotated[Path, typer.Option("-o", "--out", metavar="AVATAR_FOLDER")],
    source: Annotated[
        Path | None,
        typer.Argument(metavar="PHOTO|FILM", help="A portrait (jpg, png...) or a film of one person."),
    ] = None,
    photo: Annotated[Path | None, typer.Option(metavar="PHOTO", help="The portrait, with --film.")] = None,
    film: Annotated[
        Path | None, typer.Option(metavar="FILM", help="10 s to 3 min of the person: mouth, lids and manner.")
    ] = None,
    size: FilmSizeOption = 512,
    consent: Annotated[
        str | None,
        typer.Option(help="Who agreed to this face being moved, and to what: it goes into manifests; films need it."),
    ] = None,
    licence: Annotated[str | None, typer.Option(help="The photo's licence; kept beside the consent.")] = None,
    tune: Annotated[
        float | None,
        typer.Option(metavar="MINUTES", help="Tune a picture network on the film, for --quality learned: extra tune."),
    ] = None,
    same_person: Annotated[
        bool, typer.Option("--same-person", help="Photo and film show one person alone, whatever their faces say.")
    ] = False,
) -> None:
    """Make an avatar from one photograph, or from a film of half a minute."""
    from engine.enrolment.footage.film_survey import is_film
    from engine.render.preview import save_preview

    if source is not None:
        twice = film if is_film(source) else photo
        if twice is not None:
            raise VivifyError(f"One photo and one film are taken, but '{source}' and '{twice}' came: leave one out.")
        film, photo = (source, photo) if is_film(source) else (film, source)
    if photo is None and film is None:
        raise VivifyError("A photo or a film was expected, but none was named: vivify enroll me.jpg -o me/.")
    if tune is not None:
        if film is None:
            raise VivifyError(
                "A picture network is tuned on a film, but none was given: leave --tune out, or add --film."
            )
        from engine.tuning import own_picture

        own_picture.check(tune)
    if same_person and film is None:
        raise VivifyError("--same-person is for films, but there is none: leave it out, or add --film.")
    _check_folder(out)
    facts = {key: text for key, text in (("consent", consent), ("licence", licence)) if text}
    if film is None and photo is not None:
        from engine.enrolment import enroll as enrolment

        say.print("looking for the face...")
        avatar, warnings = enrolment.enroll(photo, size, facts)
        if not consent:
            warnings = (*warnings, "nothing is said of the person's consent: add --consent, once they gave it.")
    else:
        assert film is not None
        avatar, warnings = _from_film(film, photo, size, facts, out, tune, same_person)
    avatar.save(out)
    preview = save_preview(avatar, out)
    for warning in warnings:
        say.print(f"[yellow]note:[/] {escape(warning)}")
    say.print(f"[green]{escape(str(out))}[/] is ready; {escape(str(preview))} shows what was understood of it.")
    say.print(f"Try it: vivify render SPEECH -o OUT.mp4 --avatar {escape(str(out))}", highlight=False)


def _check_folder(out: Path) -> None:
    """Raises VivifyError where nothing could be written in the end: a film is minutes of work."""
    there = next(path for path in (out, *out.absolute().parents) if path.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        why = "cannot be written to" if there.is_dir() else "is a file"
        raise VivifyError(f"A folder to make was expected after -o, but {there} {why}: choose another folder.")


def _from_film(
    film: Path, photo: Path | None, size: int, facts: dict[str, str], out: Path, minutes: float | None, same: bool
) -> tuple[Avatar, tuple[str, ...]]:
    """See `engine.enrolment.footage.film_enrolment.enroll_film`; with progress for people."""
    if not facts.get("consent"):
        raise VivifyError(
            "A film shows how somebody moves, so it needs their word: add --consent 'who agreed, and to what'."
        )
    from engine.enrolment.footage.film_enrolment import KEPT, enroll_film
    from engine.enrolment.photos.photo import read_photo
    from engine.tuning import own_picture

    with progress() as bar:
        tasks: dict[str, int] = {}

        def told(what: str, share: float) -> None:
            if what not in tasks:
                for begun in bar.task_ids:  # stages follow one another, and some do not say how far they are
                    bar.update(begun, completed=100)
                tasks[what] = bar.add_task(what, total=100)
            bar.update(tasks[what], completed=round(100 * share))  # type: ignore[arg-type]

        portrait = read_photo(photo) if photo else None
        further = partial(own_picture.tuned, minutes) if minutes else None
        name = {"name": (photo or film).stem}
        try:
            made = enroll_film(film, size, name | facts, portrait, told, out, further=further, same_person=same)
        except TwoPeople as doubt:
            raise VivifyError(f"{doubt} If you know that it is one person, add --same-person.") from None
        except KeyboardInterrupt:
            bar.stop()
            if (out / KEPT).exists():
                say.print(
                    f"What was followed of the film is kept in {escape(str(out))}: the same command goes on there."
                )
            raise
        told("saving", 1.0)
    return made
