"""Writes a talking picture to a film file that appears under its name only once it is whole."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

import av

from clients.films.film_formats import film_format
from clients.films.muxer import Muxer
from engine.contracts import ByteArray, FloatArray
from engine.errors import VivifyError

try:
    import fcntl
except ImportError:  # no such locks
    fcntl = None  # type: ignore[assignment]


def check_place(path: Path) -> None:
    """Raises VivifyError where no film could be written: what it is to show may take minutes."""
    part, held = _begun(path)
    part.unlink(missing_ok=True)
    held.close()


def _begun(path: Path) -> tuple[Path, BinaryIO]:
    """Where a film lies until it is whole, open, and held against others who write the same one. Raises VivifyError."""
    part = path.with_name(f".{path.stem}.part{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        held = part.open("ab")
    except OSError as error:
        raise VivifyError(f"'{path}' was expected to be a place to write a film to, but: {error}.") from None
    try:
        if fcntl is not None:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        held.close()
        raise VivifyError(f"'{path}' is being written by another program: wait for it, or name it otherwise.") from None
    except OSError:
        pass  # a disk without locks
    return part, held


class FilmWriter:
    """Pictures and sound in, in turns as for `Muxer`; a playable file out, its format the one that its name asks for.

    ``alpha`` takes RGBA pictures, and formats that keep them. Raises VivifyError for a name that asks for no format,
    and for a place that cannot be written to, or has no room any more.
    """

    def __init__(self, path: Path, size: int | tuple[int, int], *, alpha: bool = False, layout: str = "mono") -> None:
        form = film_format(path, alpha)
        self._path = path
        self._part, self._held = _begun(path)
        try:
            self._file = av.open(str(self._part), "w", format=form.container, options=form.options)
        except OSError as error:
            self._held.close()
            raise VivifyError(f"'{path}' was expected to be a place to write a film to, but: {error}.") from None
        self._muxer = Muxer(self._file, form, size, layout)

    @property
    def pictures(self) -> int:
        """How many have been added."""
        return self._muxer.pictures

    def picture(self, picture: ByteArray) -> None:
        """Add one, see `Muxer.picture`."""
        with self._telling():
            self._muxer.picture(picture)

    def sound(self, samples: FloatArray) -> None:
        """Add samples [n, C] or mono [n] at 48 kHz, see `Muxer.sound`."""
        with self._telling():
            self._muxer.sound(samples)

    def close(self) -> None:
        """Finish the file and give it its name."""
        try:
            with self._telling():
                self._muxer.finish()
                self._part.replace(self._path)
        except VivifyError:
            self.discard()
            raise
        self._held.close()

    def discard(self) -> None:
        """Leave nothing behind."""
        with contextlib.suppress(OSError):  # a full disk is full still
            self._file.close()
        self._part.unlink(missing_ok=True)
        self._held.close()

    @contextlib.contextmanager
    def _telling(self) -> Iterator[None]:
        """Raises VivifyError for what keeps the film from being written."""
        try:
            yield
        except OSError as error:
            raise VivifyError(
                f"'{self._path}' could not be written ({error.strerror}): make room there, or choose another place."
            ) from None

    def __enter__(self) -> FilmWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
