"""The folder that what visitors bring lies in. It goes with its server; that of a killed one goes with the next."""

from __future__ import annotations

import os
import shutil
import tempfile
import time
from pathlib import Path

try:
    import fcntl
except ImportError:  # no such locks: what a killed server leaves stays
    fcntl = None  # type: ignore[assignment]

PREFIX = "vivify-visitors-"
YOUNG_S = 60.0  # a folder that was made just now may not be held yet


def make_home() -> tuple[Path, int | None]:
    """A folder of this process's own, below the temporary one, and the open file by which it is held."""
    home = Path(tempfile.mkdtemp(prefix=PREFIX))
    return home, _hold(home)


def sweep() -> None:
    """Delete such folders of this user's whose servers have ended without doing so."""
    if fcntl is None:
        return
    try:
        there = list(Path(tempfile.gettempdir()).glob(f"{PREFIX}*"))
    except OSError:  # a system without a temporary folder: nobody will be able to bring anything
        return
    for left in there:
        try:
            told = left.lstat()
        except OSError:  # another sweeps as well
            continue
        if told.st_uid != os.getuid() or time.time() - told.st_mtime < YOUNG_S:
            continue
        if (held := _hold(left)) is not None:
            shutil.rmtree(left, ignore_errors=True)
            os.close(held)


def _hold(folder: Path) -> int | None:
    """An open file that nobody else has while this process has it; None where somebody does."""
    if fcntl is None:
        return None
    try:
        held = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(held)
        return None
    return held
