"""When a viewer needs a whole picture: it asks, or its reports tell that packets were lost and its asking may be too.

A picture is told as the difference from the last one. Who has lost one sees nothing new, or rubbish, until a whole one
comes; a whole one costs as much as a dozen others. Pure logic: no clock is read here.
"""

from __future__ import annotations

ASKED_S = 0.3  # between whole pictures, for one who asks again and again
REPAIRED_S = 0.3  # after a report of losses: what is sent again, or asked for, is there by then
LOSING_S = 2.0  # between whole pictures for one whose packets are lost, or of whom no report comes
REPORT_S = 1.75  # reports come every .5 to 1.5 s (RFC 3550): later, they are lost on their way


class Keyframes:
    """One viewer's: `asked` and `reported` tell what comes of it, `due` is asked before each picture."""

    def __init__(self) -> None:
        self._last: float | None = None  # when the last whole picture was made
        self._wanted: float | None = None  # from when on another one is
        self._lost = 0
        self._reported: float | None = None

    def asked(self, now: float) -> None:
        """It asked for a whole picture (PLI, FIR)."""
        self._want(now if self._last is None else self._last + ASKED_S)

    def reported(self, lost: int, now: float) -> None:
        """A receiver's report: packets ``lost`` so far, less those that came twice."""
        if lost > self._lost:
            self._want(now + REPAIRED_S if self._last is None else max(now + REPAIRED_S, self._last + LOSING_S))
        self._lost = lost
        self._reported = now

    def due(self, now: float) -> bool:
        """Whether the next picture should be a whole one; it is then taken to be made. The first one always is."""
        if self._last is None:
            self._last = self._reported = now
            return False
        if self._reported is not None and now - self._reported > REPORT_S:
            self._want(self._last + LOSING_S)
        if self._wanted is None or now < self._wanted:
            return False
        self._last, self._wanted = now, None
        return True

    def _want(self, when: float) -> None:
        self._wanted = when if self._wanted is None else min(self._wanted, when)
