"""What is said to the engine and waits to be heard: bounded, and merged where one word says as much as many.

Both ends keep one: the server while the pipe is full, the engine while it makes a picture. So a slider's every step,
or a hundred interruptions, cost one step of the engine no more than one does.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import OrderedDict
from typing import Any

Message = tuple[dict[str, Any], bytes]
LATEST = ("controls", "look_ahead", "ping")  # the newest takes the place of one that waits
MERGED = (*LATEST, "clear")


class Commands:
    """A queue of at most ``most`` messages between threads.

    Of one session's wishes, look-aheads and interruptions only one each waits. An interruption takes its place behind
    all that was said before it, and tells in ``times`` how many it stands for.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._waiting: OrderedDict[tuple[str, int], Message] = OrderedDict()
        self._numbers = itertools.count()
        self._change = threading.Condition()
        self._closed = False

    def __len__(self) -> int:
        return len(self._waiting)

    def put(self, head: dict[str, Any], payload: bytes = b"", wait: bool = False) -> bool:
        """Append a message. With ``wait`` until there is room, else False when there is none."""
        with self._change:
            if self._merge(head):
                return True
            while len(self._waiting) >= self._most and not self._closed:
                if not wait:
                    return False
                self._change.wait()
            self._waiting[self._key(head)] = head, payload
            self._change.notify_all()
        return True

    def take(self, wait: bool = True) -> Message | None:
        """The oldest message; None when all were taken and it is closed. Raises queue.Empty without ``wait``."""
        with self._change:
            while not self._waiting:
                if self._closed:
                    return None
                if not wait:
                    raise queue.Empty
                self._change.wait()
            _, message = self._waiting.popitem(last=False)
            self._change.notify_all()
        return message

    def close(self) -> None:
        """Nothing comes any more; what waits can still be taken."""
        with self._change:
            self._closed = True
            self._change.notify_all()

    def _merge(self, head: dict[str, Any]) -> bool:
        """Whether a message went into one that waits."""
        key = head["do"], head.get("session", -1)
        if head["do"] not in MERGED or key not in self._waiting:
            return False
        old, payload = self._waiting[key]
        if head["do"] == "clear":
            head = {**head, "times": old["times"] + head["times"]}
            self._waiting.move_to_end(key)
        self._waiting[key] = head, payload
        return True

    def _key(self, head: dict[str, Any]) -> tuple[str, int]:
        if head["do"] in MERGED:
            return head["do"], head.get("session", -1)
        return "", next(self._numbers)
