"""Enrolment in a process of its own, for photos and films of strangers.

Started as ``python -m engine.process.enrolment_worker FILE FOLDER SIZE CONSENT [SECONDS [PHOTO [same]]]``; with
SECONDS, FILE is a film, of which at most so many are used, and PHOTO, where it is not empty, its portrait; ``same``:
both show one person, by the word of who brought them. It has limits of its own (processor time, memory, size of what it
writes) and gets only the time that nothing else wants. It tells on standard output, one JSON object a line:
``{"unlimited"}`` where the system does not hold it to its memory, ``{"progress", "share"}`` with a share of the whole
from 0 to 1, then ``{"error"}``, with ``{"overrule"}`` where another word of who brought it would help, or
``{"warnings"}`` when the avatar is in the folder, with a sheet of what was understood of it. ``{"fault"}`` is for
whoever keeps the server, not for who sent it.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from engine.errors import TwoPeople, VivifyError

if TYPE_CHECKING:
    from engine.face.avatar import Avatar


class Limits(NamedTuple):
    """What one enrolment may take."""

    cpu_s: int
    memory: int  # bytes that it may write
    mapped: int  # bytes of addresses: libraries and their files besides


PHOTO = Limits(90, 1 << 30, 3 << 29)  # 40 megapixels with transparency take 0.9 GB, most photos 0.2
FILM = Limits(120, 2 << 30, 4 << 30)  # beside FILM_CPU_PER_S
FILM_CPU_PER_S = 12  # seconds for a second of film: half as many, on two cores, by the clock
FILE_LIMIT = 64 << 20  # bytes of any file it writes
TOO_LARGE = "The portrait takes more memory than is set aside for one: give a picture of fewer pixels."
FILM_TOO_LARGE = "The film takes more memory than is set aside for one: send a shorter one, or one of fewer pixels."
SAME_PERSON = "same_person"  # the parameter by which a bringer says that photo and film show one person
STAGES = {  # of a film, and the share of the whole at which each begins
    "looking at the photo": 0.0,
    "looking through the film": 0.02,
    "following the face": 0.1,
    "choosing the portrait": 0.4,
    "learning": 0.5,
    "looking around the face": 0.8,
    "looking at turned heads": 0.88,
    "listening": 0.95,
    "saving": 0.98,
}
Tell = Callable[..., None]


def limit(limits: Limits = PHOTO) -> None:
    """Hold this process to its limits, and behind the ones that serve."""
    os.nice(19)
    if hasattr(os, "SCHED_IDLE"):  # Linux: never while anybody else wants the core
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    try:
        import resource
    except ImportError:
        return  # only Unix has them
    for name, most in (
        ("RLIMIT_CPU", limits.cpu_s),
        ("RLIMIT_FSIZE", FILE_LIMIT),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_DATA", limits.memory),
        ("RLIMIT_AS", limits.mapped),
    ):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # a system without it: `holds` will tell
            resource.setrlimit(getattr(resource, name), (most, most))


def holds(limits: Limits = PHOTO) -> bool:
    """Whether more memory than the limit is really refused. Nothing is written: it costs addresses alone."""
    try:
        mmap.mmap(-1, limits.memory, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, ValueError, OverflowError, AttributeError):
        return True
    return False


def main() -> None:
    source, folder, size, consent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    seconds = int(sys.argv[5]) if len(sys.argv) > 5 else 0
    photo = Path(sys.argv[6]) if len(sys.argv) > 6 and sys.argv[6] else None
    same = sys.argv[7:] == ["same"]
    limits = FILM._replace(cpu_s=FILM.cpu_s + FILM_CPU_PER_S * seconds) if seconds else PHOTO
    facts = {"name": source.stem, **({"consent": consent} if consent else {})}
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # whatever prints by mistake must not break the messages

        def tell(**message: object) -> None:
            print(json.dumps(message), file=out, flush=True)

        limit(limits)
        if not holds(limits):
            tell(unlimited=True)
        try:
            tell(progress="starting", share=0.0)
            if seconds:
                avatar, warnings = _of_film(source, photo, seconds, size, facts, same, tell)
            else:
                avatar, warnings = _of_photo(source, size, facts, tell)
            tell(progress="saving", share=STAGES["saving"])
            avatar.save(folder)
            _draw_preview(avatar, folder)
            tell(warnings=list(warnings))
        except VivifyError as error:
            text = str(error).replace(f"'{source}'", "the film")  # the server's paths are nobody's business
            for brought in (source, photo or source):
                text = text.replace(f" {brought.name}", "")  # nor are names that nobody has given
            tell(
                error=text[:1].upper() + text[1:], **({"overrule": SAME_PERSON} if isinstance(error, TwoPeople) else {})
            )
        except MemoryError:
            tell(error=FILM_TOO_LARGE if seconds else TOO_LARGE)
        except Exception as fault:
            tell(fault=f"{type(fault).__name__}: {fault}"[:200])


def _of_photo(source: Path, size: int, facts: dict[str, str], tell: Tell) -> tuple[Avatar, tuple[str, ...]]:
    from engine.enrolment.enroll import enroll_picture
    from engine.enrolment.photos.photo import read_photo
    from engine.enrolment.photos.photo_formats import of_strangers

    tell(progress="looking for the face", share=0.2)
    return enroll_picture(read_photo(source, of_strangers()), size, facts)


def _of_film(
    source: Path, photo: Path | None, seconds: int, size: int, facts: dict[str, str], same: bool, tell: Tell
) -> tuple[Avatar, tuple[str, ...]]:
    from engine.enrolment.footage.film_enrolment import enroll_film
    from engine.enrolment.photos.photo import read_photo
    from engine.enrolment.photos.photo_formats import of_strangers
    from engine.enrolment.photos.visitors_films import seconds_of_strangers

    length = seconds_of_strangers(source)
    avatar, words = enroll_film(
        source,
        size,
        facts,
        read_photo(photo, of_strangers()) if photo else None,
        shares(tell),
        longest_s=min(length + 1.0, seconds),
        same_person=same,
    )
    if length > seconds + 1:
        words = (*words, f"Of the film's {length:.0f} s the first {seconds} were used.")
    return avatar, words


def _draw_preview(avatar: Avatar, folder: Path) -> None:
    from engine.render.preview import save_preview

    save_preview(avatar, folder)


def shares(tell: Tell) -> Callable[[str, float], None]:
    """Hears how far a film's enrolment is, stage by stage, and tells it as a share of the whole, each percent once."""
    told: tuple[str, int] = "", -1

    def hear(what: str, share: float) -> None:
        nonlocal told
        begin = STAGES.get(what, max(told[1], 0) / 100)
        end = min((other for other in STAGES.values() if other > begin), default=1.0)
        percent = round(100 * (begin + (end - begin) * min(max(share, 0.0), 1.0)))
        if (what, percent) != told:
            told = what, percent
            tell(progress=what, share=percent / 100)

    return hear


if __name__ == "__main__":
    main()
