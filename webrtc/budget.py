"""How many messages one participant may send: a share that refills evenly. Pure logic: no clock is read here."""

from __future__ import annotations


class Budget:
    """``per_second`` messages for as long as it lasts, and ``burst`` at once."""

    def __init__(self, per_second: float, burst: int) -> None:
        self._rate, self._most = per_second, float(burst)
        self._left = float(burst)
        self._when: float | None = None

    def wait(self, now: float) -> float:
        """Take one at monotonic ``now``. Zero when it was there; else seconds until it will be, and it is owed."""
        if self._when is not None:
            self._left = min(self._most, self._left + (now - self._when) * self._rate)
        self._when = now
        self._left -= 1
        return max(0.0, -self._left / self._rate)

    def take(self, now: float) -> bool:
        """Take one if it is there, and owe nothing."""
        if self.wait(now) == 0:
            return True
        self._left += 1
        return False

    @property
    def owed(self) -> float:
        """How many more than there were have been taken."""
        return max(0.0, -self._left)
