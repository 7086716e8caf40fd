"""The nodes behind a door, and which of them somebody is sent to. What is kept here is only what they last said."""

from __future__ import annotations

import hashlib
import time
from dataclasses import dataclass, field

SEEN_S = 1.5  # after which somebody who was sent to a node counts there, or never came


@dataclass(slots=True)
class Node:
    """One server with its engine. ``slots`` and ``free``: places for sessions, all of them and those left."""

    name: str
    host: str = "127.0.0.1"
    port: int = 0
    up: bool = False  # it answers
    slots: int = 0
    free: int = 0
    public: str = ""  # what clients call its machine, where that is not the door's; '' where it is
    retired: bool = False  # it is to empty by itself: nobody new is sent there, if there are others
    slow: bool = False  # to say how many places it has: the same
    _sent: list[float] = field(default_factory=list)  # when somebody was sent there of whom it has not told yet

    def heard(self, free: int) -> None:
        """What it says itself, just now."""
        self.up, self.free, self.slow = True, free, False
        self._sent = [at for at in self._sent if at > time.monotonic() - SEEN_S]

    def silent(self) -> None:
        """It is slow to answer: nobody new is sent there, if there are others."""
        self.free, self.slow = 0, True

    def lost(self) -> None:
        """There is nobody to answer."""
        self.up, self.free = False, 0
        self._sent.clear()

    def sent(self) -> None:
        """Somebody who wants a place is on their way."""
        self._sent.append(time.monotonic())

    def arrived(self, let_in: bool) -> None:
        """The last one who was sent has an answer; what the node says of its places comes later."""
        if self._sent:
            self._sent.pop()
        if let_in:
            self.free = max(self.free - 1, 0)  # it may have told of its place already

    @property
    def room(self) -> int:
        """Places left when all who are on their way are there."""
        return 0 if self.retired else self.free - len(self._sent)


class Nodes:
    """All of them, by name."""

    def __init__(self, nodes: list[Node]) -> None:
        self._named = {node.name: node for node in nodes}

    @property
    def all(self) -> list[Node]:
        return list(self._named.values())

    def add(self, name: str) -> Node:
        """The node of that name, a new one where there is none yet; nobody is sent to it before it was heard."""
        return self._named.setdefault(name, Node(name))

    def remove(self, name: str) -> None:
        self._named.pop(name, None)

    def named(self, name: str) -> Node | None:
        """The node of that name, if it answers."""
        node = self._named.get(name)
        return node if node is not None and node.up else None

    def for_opening(self, address: str | None) -> list[Node]:
        """Whom to ask for a place, one after another: the emptiest first.

        For an ``address`` that somebody wished for, in its own order, so that who watches it finds it without a table.
        A full one is asked in its turn as well: the address may be taken there, which it alone knows, or the place may
        be the asker's own, who comes back.
        """
        nodes = self.in_order(address)
        return nodes if address is None else sorted(nodes, key=lambda node: node.slow or node.retired)

    def in_order(self, address: str | None) -> list[Node]:
        """Those that answer: the emptiest first; for an address in its own order (rendezvous hashing), which stays."""
        up = [node for node in self.all if node.up]
        if address is None:  # whom anybody may ask: one that answers slowly has no room either
            return sorted(up, key=lambda node: -node.room)
        return sorted(up, key=lambda node: _weight(node.name, address))

    @property
    def slots(self) -> int:
        return sum(node.slots for node in self.all if node.up)

    @property
    def sessions(self) -> int:
        return sum(node.slots - node.free for node in self.all if node.up)

    @property
    def free(self) -> int:
        """Places for who comes anew."""
        return sum(node.free for node in self.all if not node.retired)


def _weight(node: str, address: str) -> bytes:
    return hashlib.sha256(f"{node}\n{address}".encode(errors="surrogatepass")).digest()
