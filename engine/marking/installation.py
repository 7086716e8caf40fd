"""This installation's id in the mark: 28 random bits, drawn once and kept in the user's own folder.

Two programs that start at once agree on it; where nothing can be kept, each process has one of its own.
"""

from __future__ import annotations

import contextlib
import logging
import os
import secrets
import tempfile
from functools import cache
from pathlib import Path

from engine.marking.mark_code import INSTALLATION_BITS

log = logging.getLogger("vivify")


def user_folder() -> Path:
    """Where what is kept for this user lies: ``VIVIFY_HOME``, or the platform's folder for settings."""
    if given := os.environ.get("VIVIFY_HOME"):
        return Path(given)
    import typer  # knows each platform's folder

    return Path(typer.get_app_dir("vivify"))


@cache
def installation_id() -> int:
    """Read from ``installation`` in `user_folder`, seven hexadecimal digits, or drawn and written there (0600)."""
    file = user_folder() / "installation"
    try:
        if not file.exists():
            _draw(file)
        text = file.read_text().strip()
        number = int(text, 16)
        if len(text) != 7:
            raise ValueError("not seven digits")
        return number
    except (OSError, ValueError) as problem:
        log.warning("the installation's id cannot be kept in %s (%s): marks carry a passing one", file, problem)
        return secrets.randbits(INSTALLATION_BITS)


def _draw(file: Path) -> None:
    """Put an id there, unless another program just has. Raises OSError."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=file.parent, prefix=".installation-") as fresh:  # 0600
        fresh.write(f"{secrets.randbits(INSTALLATION_BITS):07x}\n")
        fresh.flush()
        with contextlib.suppress(FileExistsError):
            os.link(fresh.name, file)  # whole or not at all, whatever ends this process or fills the disk
