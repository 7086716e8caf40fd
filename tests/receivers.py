"""Outputs of tests: ones that keep what they get, and ones that misbehave."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass
from typing import ClassVar

from clients.outputs.output import Facts, Movement, Output, OutputError, Picture, Piece, Sound


@dataclass(frozen=True)
class Taken:
    piece: Piece
    at: float  # monotonic time


class Keeper(Output):
    """Keeps everything."""

    name: ClassVar[str] = "keeper"
    wants: ClassVar[frozenset[type]] = frozenset({Picture, Sound, Movement})

    def __init__(self) -> None:
        self.facts: Facts | None = None
        self.taken: list[Taken] = []
        self.closed = 0

    def start(self, facts: Facts) -> None:
        self.facts = facts

    def picture(self, piece: Picture) -> None:
        self._keep(piece)

    def sound(self, piece: Sound) -> None:
        self._keep(piece)

    def movement(self, piece: Movement) -> None:
        self._keep(piece)

    def _keep(self, piece: Piece) -> None:
        self.taken.append(Taken(piece, time.monotonic()))

    def of(self, kind: type) -> list[Taken]:
        return [taken for taken in self.taken if isinstance(taken.piece, kind)]

    def close(self) -> None:
        self.closed += 1


class Mover(Keeper):
    """Wants movements alone."""

    name = "mover"
    wants = frozenset({Movement})


class Stuck(Keeper):
    """Takes its first picture and never comes back, until it is let go."""

    name = "stuck"

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.let_go = threading.Event(), threading.Event()

    def picture(self, piece: Picture) -> None:
        self.entered.set()
        assert self.let_go.wait(60)
        self._keep(piece)


class Breaking(Keeper):
    """Fails at its third sound, for a reason or for none."""

    name = "breaking"

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self._error = error

    def sound(self, piece: Sound) -> None:
        self._keep(piece)
        if len(self.of(Sound)) == 3:
            raise self._error


class Refusing(Keeper):
    """Cannot be had."""

    name = "refusing"

    def start(self, facts: Facts) -> None:
        raise OutputError("A device was expected, but there is none: plug it in.")
