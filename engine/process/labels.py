"""What the pictures of each session say of themselves: the invisible mark, and where it is wished the visible badge."""

from __future__ import annotations

from collections.abc import Callable

from engine.config import EngineConfig
from engine.contracts import ByteArray
from engine.face.avatar import Avatar
from engine.marking.badge import Badge, badge_of
from engine.marking.installation import installation_id
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import mark_planes


class Labels:
    """Of all sessions, by number. Laid into planes as they are handed out, unless a device does it before."""

    def __init__(self, config: EngineConfig) -> None:
        self._config = config
        self._installation = installation_id()
        self._marks: dict[int, MarkIds] = {}
        self._badges: dict[int, Badge] = {}

    def begin(
        self,
        number: int,
        mark: int,
        badge: Avatar | None,
        matte: bool,
        on_device: Callable[[MarkIds | None], bool],
    ) -> None:
        """``mark`` is the session's id in it, ``badge`` the face that a badge must not cover, where there is to be one.

        ``on_device`` marks pictures where they are drawn, if it can: asked only if nothing is laid in afterwards.
        """
        ids = MarkIds(self._installation, mark) if self._config.mark else None
        if badge is not None:
            self._badges[number] = badge_of(badge, self._config.size)
        last = badge is None and not matte
        done = on_device(ids if last else None)
        if ids is not None and not (done and last):
            self._marks[number] = ids

    def end(self, number: int) -> None:
        self._marks.pop(number, None)
        self._badges.pop(number, None)

    def lay(self, number: int, planes: ByteArray) -> None:
        """Into a picture of the session, in place."""
        if number in self._badges:
            self._badges[number].over_planes(planes)
        if number in self._marks:
            mark_planes(planes, self._marks[number])

    def rehearse(self, planes: ByteArray) -> None:
        """No live picture pays for a first call."""
        mark_planes(planes, MarkIds(self._installation, 0))
