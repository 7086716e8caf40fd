"""Cores that share one picture: each paints some of its rows."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import pairwise

Rows = tuple[int, int]  # from the first to before the second


LATE_S = 0.001  # that others may be behind the caller, or as long as its own share took
RESTS = 250  # pictures that the caller then paints alone: less than one in a hundred waits for a core that is not free


class Crew:
    """The calling thread, and as many more of ``threads`` as make up ``cores``.

    Others may have been promised a core that some other program has: the caller does not wait for whoever has not begun
    when its own share is done, and goes on alone for a while once anybody was late.
    """

    def __init__(self, threads: Executor | None = None, cores: int = 1) -> None:
        self._threads, self._cores = threads, cores if threads else 1
        self._rest = 0  # pictures that are still painted alone

    def shares(self, size: int, grain: int) -> list[Rows]:
        """The rows of a picture of ``size``: a share for each core, cut at multiples of ``grain``, or all at once."""
        if self._rest:
            self._rest -= 1
            return [(0, size)]
        cuts = [round(size * k / self._cores / grain) * grain for k in range(self._cores)] + [size]
        return [(top, bottom) for top, bottom in pairwise(cuts) if bottom > top]

    def each(self, shares: list[Rows], work: Callable[[int, Rows], None]) -> None:
        """``work`` with the number and the rows of every share, all at once; returns when all are done."""
        given = [self._threads.submit(work, k, rows) for k, rows in enumerate(shares) if k] if self._threads else []
        began = time.perf_counter()
        work(0, shares[0])
        done = time.perf_counter()
        for k, one in enumerate(given, start=1):
            if one.cancel():  # nobody has begun it
                work(k, shares[k])
                self._rest = RESTS
            else:
                one.result()
        if given and time.perf_counter() - done > max(LATE_S, done - began):
            self._rest = RESTS


ALONE = Crew()
