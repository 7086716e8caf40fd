"""Cores that share one picture: each paints some of its rows."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from itertools import pairwise

Rows = tuple[int, int]  # from the first to before the second


class Crew:
    """The calling thread, and as many more of ``threads`` as make up ``cores``."""

    def __init__(self, threads: Executor | None = None, cores: int = 1) -> None:
        self._threads, self._cores = threads, cores if threads else 1

    def shares(self, size: int, grain: int) -> list[Rows]:
        """The rows of a picture of ``size``, a share for each core, cut where ``grain`` divides."""
        cuts = [round(size * k / self._cores / grain) * grain for k in range(self._cores)] + [size]
        return [(top, bottom) for top, bottom in pairwise(cuts) if bottom > top]

    def each(self, shares: list[Rows], work: Callable[[int, Rows], None]) -> None:
        """``work`` with the number and the rows of every share, all at once; returns when all are done."""
        waiting = [self._threads.submit(work, k, rows) for k, rows in enumerate(shares) if k] if self._threads else []
        work(0, shares[0])
        for one in waiting:
            one.result()


ALONE = Crew()
