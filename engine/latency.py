"""Latency figures people can act on: percentiles over a bounded window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

import numpy as np
import numpy.typing as npt


def percentiles(values: Iterable[float]) -> dict[str, float]:
    """p50, p95 and p99 rounded to hundredths; empty input gives an empty dict."""
    ordered = np.sort(np.fromiter(values, float))  # once: servers ask for all of them, of each session, twice a second
    if not len(ordered):
        return {}
    return {f"p{p}": round(_at(ordered, p / 100 * (len(ordered) - 1)), 2) for p in (50, 95, 99)}


def _at(ordered: npt.NDArray[np.float64], place: float) -> float:
    """The value at ``place``, which may lie between two."""
    low, share = int(place), place % 1
    high = min(low + 1, len(ordered) - 1)
    return float(ordered[low] + share * (ordered[high] - ordered[low]))


class LatencyWindow:
    """The last ``capacity`` values of each named stage, in milliseconds. One thread may add while another reads."""

    def __init__(self, capacity: int = 1500) -> None:
        self._capacity = capacity
        self._values: dict[str, deque[float]] = {}

    def add(self, **stages_ms: float) -> None:
        for name, value in stages_ms.items():
            self._values.setdefault(name, deque(maxlen=self._capacity)).append(value)

    def summary(self) -> dict[str, dict[str, float]]:
        return {name: percentiles(tuple(values)) for name, values in tuple(self._values.items())}
