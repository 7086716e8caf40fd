"""How much one asker may do: openings by the minute. Pure logic: no clock is read here."""

from __future__ import annotations

from dataclasses import dataclass

MOST_KNOWN = 10_000  # askers remembered; beyond it the ones who have been quiet longest are forgotten


@dataclass(slots=True)
class _Bucket:
    left: float
    when: float


class Rate:
    """At most ``per_minute`` of something for each asker: so many at once, then as they come back, evenly."""

    def __init__(self, per_minute: int) -> None:
        self._most = float(per_minute)
        self._buckets: dict[str, _Bucket] = {}

    def wait(self, asker: str, now: float) -> float:
        """Take one. Zero when it was there, else the seconds until one will be, and none is taken."""
        bucket = self._buckets.pop(asker, None) or _Bucket(self._most, now)
        self._buckets[asker] = bucket  # the newest stands last
        while len(self._buckets) > MOST_KNOWN:
            del self._buckets[next(iter(self._buckets))]
        bucket.left = min(self._most, bucket.left + (now - bucket.when) * self._most / 60)
        bucket.when = now
        if bucket.left < 1:
            return (1 - bucket.left) * 60 / self._most
        bucket.left -= 1
        return 0.0
