"""The memory that finished pictures cross in, from the engine process to its server: a file without a name."""

from __future__ import annotations

import mmap
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from engine.errors import VivifyError


@contextmanager
def picture_memory(size: int) -> Iterator[tuple[int, mmap.mmap]]:
    """The open file, to be handed to a child, and its ``size`` bytes, which stay when the file is closed here.

    Raises VivifyError where there is not so much memory.
    """
    folder = "/dev/shm" if os.path.isdir("/dev/shm") else None
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        file.truncate(size)
        try:
            _reserve(file.fileno(), size)
        except OSError as error:
            raise VivifyError(
                f"{size >> 20} MB of memory were expected in {folder or tempfile.gettempdir()} for pictures, "
                f"but there is less ({error.strerror}): make it larger, or --max-sessions or --size smaller."
            ) from None
        yield file.fileno(), mmap.mmap(file.fileno(), size)


def _reserve(file: int, size: int) -> None:
    """Really have the space: a full disk in memory would kill the engine at its first picture. Raises OSError."""
    if hasattr(os, "posix_fallocate"):  # macOS has none
        os.posix_fallocate(file, 0, size)
