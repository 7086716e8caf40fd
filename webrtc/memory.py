"""What ended sessions leave in memory: freed soon, and given back to the system."""

from __future__ import annotations

import asyncio
import ctypes
import functools
import gc
from collections.abc import Callable

SWEEP_AFTER_S = 1.0  # a connection's own last timers and threads have ended by then


def settle() -> None:
    """All that exists now stays: from here on the collector looks only at what sessions make.

    For a process that only serves, once, before its first session. A collection then takes 3 ms instead of 60 of the
    event loop, and comes after a few sessions instead of after thirty.
    """
    gc.collect()
    gc.freeze()


class Sweeper:
    """Frees what has ended.

    Connections are rings of objects that nothing but the collector takes apart, with their encoders and delay lines in
    them; and what the many threads of sessions free stays with the C library, scattered, unless it is asked for it.
    """

    def __init__(self) -> None:
        self._planned = False

    def soon(self) -> None:
        """Something has ended: sweep once, shortly, on the running event loop."""
        if not self._planned:
            self._planned = True
            asyncio.get_running_loop().call_later(SWEEP_AFTER_S, self._sweep)

    def _sweep(self) -> None:
        self._planned = False
        gc.collect()
        if (trim := _trim()) is not None:
            asyncio.get_running_loop().run_in_executor(None, trim, 0)  # lets the lock go while it works


@functools.cache
def _trim() -> Callable[[int], int] | None:
    """glibc's `malloc_trim`; None with another C library."""
    try:
        return ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError, TypeError):
        return None
