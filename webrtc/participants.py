"""Who takes part in a session, and whose voice is heard."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from webrtc.messages import Cleared, Told
from webrtc.motion_feed import MotionFeed


class Participant(Protocol):
    """Somebody who takes part in a session: a speaker's connection, or a socket that pushes sound."""

    def tell(self, message: Told) -> None:
        """Pass a message on; it must not wait."""

    def cleared(self, epoch: int) -> None:
        """A barge-in: sound of before it, if any is kept, must not be brought any more."""

    async def leave(self) -> None:
        """The session has ended."""

    @property
    def present(self) -> bool:
        """Whether it is really there, as far as is known."""


class Participants:
    """All who take part. ``on_speaker`` is called when somebody else, or nobody, has the word."""

    def __init__(self, on_speaker: Callable[[], None]) -> None:
        self.speaker: Participant | None = None  # whose voice is heard; nobody else's is
        self.members: list[Participant] = []
        self.motions = MotionFeed()
        self._on_speaker = on_speaker

    def join(self, one: Participant) -> None:
        """Somebody takes part from now on."""
        self.members.append(one)

    def part(self, one: Participant) -> None:
        """The reverse. If it had the word, who was there before it has it again."""
        self.motions.want(one, None)
        if one in self.members:
            self.members.remove(one)
        if self.speaker is one:
            self.speak_for(self.members[-1] if self.members else None)

    def speak_for(self, one: Participant | None) -> None:
        """From now on only this one's voice is heard."""
        if one is not self.speaker:
            self.speaker = one
            self._on_speaker()

    @property
    def present(self) -> bool:
        """Whether anybody is really there."""
        return any(one.present for one in self.members)

    def tell(self, message: Told) -> None:
        """A message to everybody."""
        for one in tuple(self.members):
            one.tell(message)

    def cleared(self, epoch: int) -> None:
        """A barge-in, to everybody."""
        for one in tuple(self.members):
            one.cleared(epoch)
        self.tell(Cleared(epoch=epoch))

    async def leave(self) -> None:
        """Everybody goes, one after the other, in the caller's task: it may be one of theirs."""
        self.motions.over.set()
        for one in tuple(self.members):
            await one.leave()
