"""All the sessions of one engine: lets people in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass

from engine.errors import EngineAway, EngineFull, UnknownAvatar, VivifyError
from engine.process.keeper import EngineKeeper
from webrtc.access.addresses import AddressTaken, NotYet, address_for, fresh
from webrtc.access.rights import Caller
from webrtc.live_session import LiveSession, UnknownSession
from webrtc.logs import SessionLog
from webrtc.metrics import Metrics
from webrtc.rtc.peer_connection import PeerConnection
from webrtc.rtc.session_description import read_offer
from webrtc.rtc.speaker import Speaker
from webrtc.rtc.viewer import Viewer
from webrtc.server_config import ServerConfig
from webrtc.visitors.visitor_portraits import VisitorPortraits

NOT_HERE = "There is no avatar of that name here."


class TooMany(VivifyError):
    """One asker has all that one may have."""


class Stopping(VivifyError):
    """The server is about to stop."""

    def __init__(self) -> None:
        super().__init__("The server is about to stop and takes nobody new: please try again in a little while.")


@dataclass(frozen=True, slots=True)
class Wanted:
    """The session that somebody wants: of which face, and where it shall be watched, if they care."""

    caller: Caller
    avatar: str | None
    look_ahead_ms: int
    matte: bool = False
    watch: str | None = None
    badge: bool = False


class Service:
    """The open sessions, by name, and by the addresses they are watched at.

    Neither can be guessed, and neither gives the right to a session: its opener has it, and whom a token names for it.
    Who knows the address, and may watch, may watch it.
    """

    def __init__(self, engine: EngineKeeper, config: ServerConfig, on_ended: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.config = config
        self.sessions: dict[str, LiveSession] = {}
        self.connections: dict[str, PeerConnection] = {}  # of those whose speaker has a connection
        self.addresses: dict[str, LiveSession] = {}
        self.metrics = Metrics(
            self._gauges, lambda: engine.restarts, lambda: [session.counts() for session in self.sessions.values()]
        )
        self.portraits = VisitorPortraits(
            engine, config.portraits, config.portraits_per_owner, self._shown, config.node
        )
        self._on_ended = on_ended  # a session, or somebody's watching, is over
        self.draining = False  # it is about to stop: nobody new is let in
        self._opening = 0
        self._seeds = itertools.count()

    async def open(self, wanted: Wanted, sdp: str, two_way: bool = True) -> tuple[Speaker, str]:
        """A new session, its speaker's connection, and the SDP of its answer.

        Raises BadOffer, UnfitOffer, EngineFull, UnknownAvatar, EngineAway, TooMany, OtherSession, AddressTaken, or
        VivifyError for a look-ahead that is not offered, or an address that cannot be.
        """
        with self._counting("page" if two_way else "whip"):
            offer = read_offer(sdp, "two-way" if two_way else "publish")
            async with self._place(wanted) as session:
                speaker = Speaker(session, offer, two_way, self.config, self.metrics.ice_failed)
                await speaker.take()
                await session.open(self.engine, wanted.avatar, next(self._seeds), self._badged(wanted))
                answer = await speaker.answer()
            self.connections[session.name] = speaker.connection
        SessionLog(session.name).info(
            "opened with avatar '%s', %s, marked %s",
            session.avatar,
            speaker.connection.codec or "no video",
            session.marked,
        )
        return speaker, answer

    async def open_for_socket(self, wanted: Wanted) -> LiveSession:
        """A new session without a connection, whose voice is pushed (`webrtc.http.voice_socket`). Raises as `open`."""
        with self._counting("socket"):
            async with self._place(wanted) as session:
                await session.open(self.engine, wanted.avatar, next(self._seeds), self._badged(wanted))
                session.pump()
        SessionLog(session.name).info("opened with avatar '%s' for a socket, marked %s", session.avatar, session.marked)
        return session

    async def watch(self, address: str, sdp: str, caller: Caller) -> tuple[Viewer, str]:
        """A new viewer of a session and the SDP of its answer; its opener may use its name as well.

        Raises NotYet, EngineFull when too many watch already, BadOffer, UnfitOffer.
        """
        with self._counting("whep"):
            session = self.watched(address, caller)
            limit = self.config.max_viewers
            if len(session.viewers) >= limit:
                raise EngineFull(f"All {limit} places to watch this session are taken; try again in a little while.")
            offer = read_offer(sdp, "watch")
            name = fresh(self.config.node)
            viewer = Viewer(name, session.name, caller, offer, self.config, self._unwatched, self.metrics.ice_failed)
            answer = await session.watch(viewer)
        SessionLog(session.name).info("watched by %s, %s", viewer.name, viewer.connection.codec or "sound only")
        return viewer, answer

    def session(self, name: str, caller: Caller) -> LiveSession:
        """A session that is the caller's to steer. Raises UnknownSession."""
        session = self.sessions.get(name)
        if session is None or session.closing or not session.is_steered_by(caller):  # its end takes some seconds
            raise UnknownSession
        return session

    def connection(self, name: str, caller: Caller) -> PeerConnection:
        """The connection of such a session's speaker. Raises UnknownSession when it has none."""
        if self.session(name, caller).name not in self.connections:
            raise UnknownSession
        return self.connections[name]

    def viewer(self, address: str, name: str, caller: Caller) -> Viewer:
        """A viewer who is the caller, or of a session that is theirs. Raises UnknownSession."""
        session = self.addresses.get(address) or self.sessions.get(address)
        viewer = session.viewers.get(name) if session is not None else None
        if session is None or viewer is None:
            raise UnknownSession
        if viewer.opener.owner != caller.owner and not session.is_steered_by(caller):
            raise UnknownSession
        return viewer

    def watched(self, address: str, caller: Caller) -> LiveSession:
        """The session that is watched at an address. Raises NotYet."""
        session = self.addresses.get(address)
        if session is not None and caller.session in (None, session.name, session.address):
            return session
        session = self.sessions.get(address)
        if session is None or not session.is_steered_by(caller):
            raise NotYet
        return session

    async def forget_enrolment(self, name: str, caller: Caller) -> None:
        """Stop an enrolment; delete the avatar that came of it. Raises UnknownSession."""
        avatar = self.portraits.stop(name, caller)
        if avatar is not None:
            await self.forget_portrait(avatar, caller)

    async def forget_portrait(self, avatar: str, caller: Caller) -> None:
        """Delete a visitor's avatar, at once: sessions that show it end. Raises UnknownSession."""
        self.portraits.remove(avatar, caller)
        shown = [session for session in self.sessions.values() if session.avatar == avatar]
        await asyncio.gather(*(session.close("Its avatar was deleted.") for session in shown))

    async def close_all(self, come_back_s: float | None = None) -> None:
        """End all sessions; clients are told when to come back, if they should."""
        self.portraits.close()
        sessions = list(self.sessions.values())
        await asyncio.gather(*(session.close("The server is stopping.", come_back_s) for session in sessions))

    def closed_because(self) -> str | None:
        """Why a new session would not be let in; None when it would."""
        if self.draining:
            return "The server is stopping."
        if not self.engine.alive:
            return "The engine is down."
        return "All places are taken." if self.full else None

    def _shown(self, avatar: str) -> bool:
        return any(session.avatar == avatar for session in self.sessions.values())

    @property
    def full(self) -> bool:
        return self.free == 0

    @property
    def free(self) -> int:
        """Places that a new session would be let into."""
        taken = sum(not session.deserted for session in self.sessions.values())
        return max(self.config.engine.max_sessions - taken - self._opening, 0)

    def _has_most(self, caller: Caller) -> bool:
        """Whether a token, or its subject, has all the sessions that one may have, with those being opened."""
        most = self.config.sessions_per_token
        return most is not None and most <= sum(one.opener.owner == caller.owner for one in self.addresses.values())

    async def _make_room(self, caller: Caller, address: str) -> None:
        """Where the caller's next session would be one too many, end one in which nobody is left to speak.

        Anybody's that its speaker has left, and of their own also one whose speaker has not been heard of for a while:
        who lost the network and comes back does not wait until the old session is missed. It gets its ``address``, too.
        """
        own = [session for session in self.sessions.values() if caller.is_again(session.opener)]
        before = self.addresses.get(address)
        if before in own and _dying(before):
            await before.close("Another session took its place.")
            return
        too_many = self._has_most(caller)
        if not too_many and len(self.sessions) + self._opening < self.config.engine.max_sessions:
            return
        gone = [] if too_many else [session for session in self.sessions.values() if session.deserted]
        for session in (gone or [session for session in own if _dying(session)])[:1]:
            SessionLog(session.name).info("makes room for another")
            await session.close("Another session took its place.")

    @contextlib.contextmanager
    def _counting(self, way: str) -> Iterator[None]:
        """Count an opening, or its refusal."""
        try:
            yield
        except VivifyError:
            self.metrics.opened("refused")
            raise
        self.metrics.opened(way)

    def _gauges(self) -> dict[str, float]:
        return {
            "sessions": len(self.sessions),
            "viewers": sum(len(session.viewers) for session in self.sessions.values()),
            "max_sessions": self.config.engine.max_sessions,
            "engine_up": self.engine.alive,
        }

    @contextlib.asynccontextmanager
    async def _place(self, wanted: Wanted) -> AsyncIterator[LiveSession]:
        """A place for one more session, which is among the others once the block has ended well."""
        if self.draining:
            raise Stopping
        if not self.engine.alive:
            raise EngineAway
        if wanted.avatar is not None and not self.engine.knows(wanted.avatar):
            raise UnknownAvatar(NOT_HERE)
        address = self._address(wanted)
        await self._make_room(wanted.caller, address)
        if address in self.addresses or address in self.sessions:
            raise AddressTaken
        if len(self.sessions) + self._opening >= self.config.engine.max_sessions:
            limit = self.config.engine.max_sessions
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")
        if self._has_most(wanted.caller):
            most = self.config.sessions_per_token
            raise TooMany(f"At most {most} sessions at a time are open to one token: end one first.")
        self._opening += 1
        try:
            session = LiveSession(
                fresh(self.config.node),
                address,
                wanted.caller,
                self.config.engine.heard_ahead(wanted.look_ahead_ms),
                wanted.matte,
                self.metrics.latency(),
                self._forget,
                self.config.idle_s,
            )
            self.addresses[address] = session  # from now on nobody else's
            try:
                yield session
                if not self.engine.knows(session.avatar):  # it was deleted meanwhile
                    raise UnknownAvatar(NOT_HERE)
            except BaseException:
                await session.close()
                raise
            self.sessions[session.name] = session
            if wanted.watch is not None:
                SessionLog(session.name).info("watched at %s", address)
        finally:
            self._opening -= 1

    def _address(self, wanted: Wanted) -> str:
        """Where a new session is watched. Raises OtherSession, VivifyError."""
        return address_for(wanted.caller, wanted.watch, self.config.address_key, self.config.node)

    def _badged(self, wanted: Wanted) -> bool:
        """Whether the pictures carry the visible badge: as wished, as the token says, or as all do here."""
        return wanted.badge or wanted.caller.badge or self.config.badge

    def _unwatched(self, viewer: Viewer) -> None:
        if viewer.session in self.sessions:
            self.sessions[viewer.session].forget(viewer)
        self._on_ended()

    def _forget(self, session: LiveSession) -> None:
        self.connections.pop(session.name, None)
        if self.addresses.get(session.address) is session:
            del self.addresses[session.address]
        if self.sessions.pop(session.name, None) is not None:
            self.metrics.add(session.counts())
            SessionLog(session.name).info("closed: %s", session.ended_because or "it could not be opened")
        self._on_ended()


def _dying(session: LiveSession) -> bool:
    """Those who spoke in it have gone, or not been heard of for a while: its owner may have another one instead."""
    return session.started and not session.participants.present
