"""How long to wait before a receiver that is gone is tried again."""

from __future__ import annotations

FIRST_S, LONGEST_S = 1.0, 30.0
STEADY_S = 10.0  # a connection that lived so long was a good one: the next wait is a short one


class BackingOff:
    """Twice as long each time, and short again after a connection that held. Pure logic: no clock is read here."""

    def __init__(self) -> None:
        self._next = FIRST_S

    def wait(self, lived_s: float) -> float:
        """Seconds to wait after a connection that lived ``lived_s``; 0 where none came about."""
        if lived_s >= STEADY_S:
            self._next = FIRST_S
        now, self._next = self._next, min(2 * self._next, LONGEST_S)
        return now
