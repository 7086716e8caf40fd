"""When nodes are added and when they leave: a rule over what they say of themselves; it starts and ends nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.errors import VivifyError


@dataclass(frozen=True, slots=True)
class Limits:
    """How many nodes there may be, and how many places are kept free. Raises VivifyError for what cannot be."""

    least: int = 1
    most: int = 1
    spare: int = 1  # free places below which a node is added
    idle_s: float = 300.0  # a node is too many for so long before it leaves

    def __post_init__(self) -> None:
        if not 1 <= self.least <= self.most:
            raise VivifyError(
                f"From 1 to as many nodes as there may be were expected, but {self.least} to {self.most} were given."
            )
        if self.spare < 0 or self.idle_s < 0:
            raise VivifyError("Spare places and idle seconds were expected to be 0 or more.")


@dataclass(frozen=True, slots=True)
class Seen:
    """What is known of a node. ``up``: it serves; else it starts, or is being replaced. ``retired``: as `Wishes`."""

    name: str
    up: bool
    slots: int = 0
    free: int = 0
    retired: bool = False

    @property
    def sessions(self) -> int:
        return self.slots - self.free


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is to be done: so many nodes ``start``; of those that are there, some ``retire`` (nobody new is sent there),
    some are to ``recall`` (to be sent people again), and some, whom nobody uses, ``leave``."""

    start: int = 0
    retire: tuple[str, ...] = ()
    recall: tuple[str, ...] = ()
    leave: tuple[str, ...] = ()


@dataclass(slots=True)
class Scaling:
    """The rule. What it remembers is since when there is one node too many."""

    limits: Limits
    _too_many_since: float | None = field(default=None, init=False)

    def decide(self, nodes: Sequence[Seen], now: float) -> Wishes:
        """What is to be done at ``now``, seconds of any clock that only goes on.

        Nodes that start count with the places they will have, so that nobody starts a second one meanwhile. Nodes that
        are retired are recalled before others are started. One retires at a time, the one with the fewest sessions, and
        leaves when the last of them has ended by itself: nobody loses a session to it.
        """
        staying = [node for node in nodes if not node.retired]
        retired = [node for node in nodes if node.retired]
        each = self._places_of_one(nodes)
        free = sum(node.free if node.up else each for node in staying)
        missing = max(self.limits.least - len(staying), -(-(self.limits.spare - free) // each), 0)
        missing = min(missing, self.limits.most - len(staying))
        if missing > 0:
            self._too_many_since = None
            back = sorted((node for node in retired if node.up), key=lambda node: -node.sessions)[:missing]
            room = self.limits.most - len(nodes)  # those that still leave have their places
            return Wishes(max(min(missing - len(back), room), 0), recall=tuple(node.name for node in back))
        leave = tuple(node.name for node in retired if not node.up or node.sessions <= 0)
        return Wishes(retire=self._one_too_many(staying, free, now), leave=leave)

    def _one_too_many(self, staying: list[Seen], free: int, now: float) -> tuple[str, ...]:
        """The name of the node that the others can do without, when that has been so for long enough."""
        up = [node for node in staying if node.up]
        over = len(staying) - self.limits.most
        candidate = min(up, key=lambda node: (node.sessions, -node.slots), default=None)
        enough = candidate is not None and free - candidate.free >= self.limits.spare
        spared = len(up) == len(staying) > self.limits.least and enough
        if candidate is None or not (spared or over > 0):
            self._too_many_since = None
            return ()
        if self._too_many_since is None:
            self._too_many_since = now
        if now - self._too_many_since < self.limits.idle_s and over <= 0:
            return ()
        self._too_many_since = None
        return (candidate.name,)

    @staticmethod
    def _places_of_one(nodes: Sequence[Seen]) -> int:
        """Places that a node will have that does not say yet: the fewest that another one has, 1 at least."""
        return max(min((node.slots for node in nodes if node.up), default=1), 1)
