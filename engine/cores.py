"""How many cores this process may use: where it is pinned, those it is pinned to."""

from __future__ import annotations

import os


def usable_cores() -> int:
    """At least 1. Only Linux tells what a process is pinned to."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
