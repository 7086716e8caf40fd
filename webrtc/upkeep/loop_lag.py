"""How late the server's event loop is: what keeps it from its work delays every sound and picture at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

LOOK_EVERY_S = 0.1


async def watch_lag(observe: Callable[[float], None]) -> None:
    """Tell, ten times a second, by how many seconds the loop woke up too late; until it is cancelled."""
    while True:
        due = time.monotonic() + LOOK_EVERY_S
        await asyncio.sleep(LOOK_EVERY_S)
        observe(max(0.0, time.monotonic() - due))
