"""Enrolment in a process of its own, for photos of strangers.

Started as ``python -m engine.process.enrolment_worker PHOTO FOLDER SIZE CONSENT``. It has limits of its own
(processor time, memory, size of what it writes) and gets only the time that nothing else wants. It tells on standard
output, one JSON object a line: ``{"unlimited"}`` where the system does not hold it to its memory, ``{"progress"}``,
then ``{"error"}``, or ``{"warnings"}`` when the avatar is in the folder.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import sys
from pathlib import Path

from engine.errors import VivifyError

CPU_LIMIT_S = 90
MEMORY_LIMIT = 1 << 30  # bytes that it may write: 40 megapixels with transparency take 0.9 GB, most photos 0.2
MAPPED_LIMIT = 3 << 29  # bytes of addresses: libraries and their files besides
FILE_LIMIT = 64 << 20  # bytes of any file it writes
TOO_LARGE = "The portrait takes more memory than is set aside for one: give a picture of fewer pixels."


def limit() -> None:
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
        ("RLIMIT_CPU", CPU_LIMIT_S),
        ("RLIMIT_FSIZE", FILE_LIMIT),
        ("RLIMIT_CORE", 0),
        ("RLIMIT_DATA", MEMORY_LIMIT),
        ("RLIMIT_AS", MAPPED_LIMIT),
    ):
        with contextlib.suppress(ValueError, OSError, AttributeError):  # a system without it: `holds` will tell
            resource.setrlimit(getattr(resource, name), (most, most))


def holds() -> bool:
    """Whether more memory than the limit is really refused. Nothing is written: it costs addresses alone."""
    try:
        mmap.mmap(-1, MEMORY_LIMIT, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS).close()
    except (OSError, ValueError, OverflowError, AttributeError):
        return True
    return False


def main() -> None:
    photo, folder, size, consent = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # whatever prints by mistake must not break the messages

        def tell(**message: object) -> None:
            print(json.dumps(message), file=out, flush=True)

        limit()
        if not holds():
            tell(unlimited=True)
        try:
            tell(progress="starting")
            from engine.enrolment.enroll import enroll_picture
            from engine.enrolment.photos.photo import read_photo
            from engine.enrolment.photos.photo_formats import of_strangers

            tell(progress="looking for the face")
            facts = {"name": photo.stem, **({"consent": consent} if consent else {})}
            avatar, warnings = enroll_picture(read_photo(photo, of_strangers()), size, facts)
            tell(progress="saving")
            avatar.save(folder)
            tell(warnings=list(warnings))
        except VivifyError as error:
            tell(error=str(error))
        except MemoryError:
            tell(error=TOO_LARGE)


if __name__ == "__main__":
    main()
