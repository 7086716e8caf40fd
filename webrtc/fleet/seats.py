"""A seat: a number that a node has to itself on its machine, and with it cores and a port that nobody else there takes.

Who shares nodes out over machines knows how many cores each may use, but not which. So each takes the first free seat
of its machine, by a lock on a file: the system gives it back when the process ends, however it ends.
"""

from __future__ import annotations

import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from engine.cores import usable_cores

try:
    import fcntl
except ImportError:  # no such locks; and no pinning either
    fcntl = None  # type: ignore[assignment]

MOST_SEATS = 256
CGROUPS = Path("/sys/fs/cgroup")


@dataclass(slots=True)
class Seat:
    """Held as long as this is; ``number`` begins at 0."""

    number: int
    _lock: IO[bytes] | None

    @classmethod
    def take(cls, count: int = MOST_SEATS, folder: Path | None = None) -> Seat | None:
        """The first free one of ``count``, or None."""
        if fcntl is None:
            return cls(0, None)
        folder = folder or Path(tempfile.gettempdir()) / f"vivify-seats-{os.getuid()}"
        folder.mkdir(mode=0o700, exist_ok=True)
        for number in range(count):
            lock = (folder / str(number)).open("wb")
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                lock.close()
                continue
            return cls(number, lock)
        return None

    @property
    def passed_on(self) -> tuple[int, ...]:
        """What a process is started with that holds the seat, too: it is free when the last of them has ended."""
        return () if self._lock is None else (self._lock.fileno(),)

    def leave(self) -> None:
        if self._lock is not None:
            self._lock.close()
            self._lock = None


def seats_here(each: float) -> int:
    """How many nodes of ``each`` so many cores this process's cores are enough for: 1 at least."""
    return max(1, min(MOST_SEATS, int(usable_cores() / each))) if each > 0 else MOST_SEATS


def cores_of(seat: int, each: float) -> list[int] | None:
    """Which cores the node of a seat is pinned to, of ``each`` so many; parts of a core share one.

    None where that cannot be said: not on Linux, and not where a container may use less time than its cores have: then
    its neighbours' containers see the same cores, and would choose the same ones.
    """
    if not hasattr(os, "sched_getaffinity"):
        return None
    cores = sorted(os.sched_getaffinity(0))
    if _share_of_time() < len(cores):
        return None
    first, count = int(seat * each), max(1, round(each))
    return sorted({cores[(first + number) % len(cores)] for number in range(count)})


def _share_of_time() -> float:
    """Cores whose time this container may use, by its control group (version 2, then 1); infinite where none says."""
    for quota, period in (
        ("cpu.max", None),
        ("cpu/cpu.cfs_quota_us", "cpu/cpu.cfs_period_us"),
    ):
        try:
            words = (CGROUPS / quota).read_text().split()
            words += (CGROUPS / period).read_text().split() if period else []
            most, of = words[:2]
        except (OSError, ValueError):
            continue
        if most not in ("max", "-1"):
            return int(most) / int(of)
    return float("inf")
