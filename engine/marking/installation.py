"""This installation's id in the mark: 28 random bits, drawn once and kept in the user's own folder.

Two programs that start at once agree on it; where nothing can be kept, each process has one of its own.
"""

from __future__ import annotations

import logging
import os
import secrets
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
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as fresh:
                fresh.write(f"{secrets.randbits(INSTALLATION_BITS):07x}\n")
        except FileExistsError:
            pass
        text = file.read_text().strip()
        number = int(text, 16)
        if len(text) != 7:
            raise ValueError("not seven digits")
        return number
    except (OSError, ValueError) as problem:
        log.warning("the installation's id cannot be kept in %s (%s): marks carry a passing one", file, problem)
        return secrets.randbits(INSTALLATION_BITS)
