"""Enrolment in a process of its own, for photos of strangers.

Started as ``python -m engine.process.enrolment_worker PHOTO FOLDER SIZE``. It has limits of its own (processor time,
size of what it writes), and tells on standard output, one JSON object a line: ``{"progress"}``, then ``{"warnings"}``
when the avatar is in the folder, or ``{"error"}``.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from engine.errors import VivifyError

CPU_LIMIT_S = 90
FILE_LIMIT = 64 << 20  # bytes of any file it writes


def limit() -> None:
    """Hold this process to its limits, and behind the ones that serve."""
    os.nice(10)
    try:
        import resource
    except ImportError:
        return  # only Unix has them
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_LIMIT_S, CPU_LIMIT_S))
    resource.setrlimit(resource.RLIMIT_FSIZE, (FILE_LIMIT, FILE_LIMIT))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    photo, folder, size = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    with os.fdopen(os.dup(1), "w") as out:
        os.dup2(2, 1)  # whatever prints by mistake must not break the messages

        def tell(**message: object) -> None:
            print(json.dumps(message), file=out, flush=True)

        limit()
        try:
            tell(progress="starting")
            from engine.enrolment.enroll import enroll

            tell(progress="looking for the face")
            avatar, warnings = enroll(photo, size)
            tell(progress="saving")
            avatar.save(folder)
            tell(warnings=list(warnings))
        except VivifyError as error:
            tell(error=str(error))


if __name__ == "__main__":
    main()
