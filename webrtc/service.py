"""All the sessions of one engine: lets people in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator

from engine.errors import EngineAway, EngineFull, UnknownAvatar, VivifyError
from engine.process.keeper import EngineKeeper
from webrtc.live_session import LiveSession, UnknownSession
from webrtc.logs import SessionLog
from webrtc.metrics import Metrics
from webrtc.rtc.peer_connection import PeerConnection
from webrtc.rtc.session_description import read_offer
from webrtc.rtc.speaker import Speaker
from webrtc.rtc.viewer import Viewer
from webrtc.server_config import ServerConfig
from webrtc.visitor_portraits import VisitorPortraits


class TooMany(VivifyError):
    """One asker has all that one may have."""


class Stopping(VivifyError):
    """The server is about to stop."""

    def __init__(self) -> None:
        super().__init__("The server is about to stop and takes nobody new: please try again in a little while.")


class Service:
    """The open sessions, by name. Names are unguessable: knowing one is the right to watch it and to end it."""

    def __init__(self, engine: EngineKeeper, config: ServerConfig, on_ended: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.config = config
        self.sessions: dict[str, LiveSession] = {}
        self.connections: dict[str, PeerConnection] = {}  # of those whose speaker has a connection
        self.metrics = Metrics(
            self._gauges, lambda: engine.restarts, lambda: [session.counts() for session in self.sessions.values()]
        )
        self.portraits = VisitorPortraits(engine, config.portraits, self._shown)
        self._on_ended = on_ended  # a session, or somebody's watching, is over
        self.draining = False  # it is about to stop: nobody new is let in
        self._opening = 0
        self._seeds = itertools.count()

    async def open(
        self, sdp: str, avatar: str | None, look_ahead_ms: int, matte: bool, owner: str, two_way: bool = True
    ) -> tuple[Speaker, str]:
        """A new session, its speaker's connection, and the SDP of its answer.

        Raises BadOffer, UnfitOffer, EngineFull, UnknownAvatar, EngineAway, or VivifyError for a look-ahead that is
        not offered.
        """
        with self._counting("page" if two_way else "whip"):
            offer = read_offer(sdp, "two-way" if two_way else "publish")
            async with self._place(avatar, look_ahead_ms, matte, owner) as session:
                speaker = Speaker(session, offer, two_way, self.config)
                await speaker.take()
                await session.open(self.engine, avatar, next(self._seeds))
                answer = await speaker.answer()
            self.connections[session.name] = speaker.connection
        SessionLog(session.name).info(
            "opened with avatar '%s', %s", session.avatar, speaker.connection.codec or "no video"
        )
        return speaker, answer

    async def open_for_socket(self, avatar: str | None, look_ahead_ms: int, matte: bool, owner: str) -> LiveSession:
        """A new session without a connection, whose voice is pushed (`webrtc.http.voice_socket`). Raises as `open`."""
        with self._counting("socket"):
            async with self._place(avatar, look_ahead_ms, matte, owner) as session:
                await session.open(self.engine, avatar, next(self._seeds))
                session.pump()
        SessionLog(session.name).info("opened with avatar '%s' for a socket", session.avatar)
        return session

    async def watch(self, name: str, sdp: str) -> tuple[Viewer, str]:
        """A new viewer of a session and the SDP of its answer.

        Raises UnknownSession, EngineFull when too many watch already, BadOffer, UnfitOffer.
        """
        with self._counting("whep"):
            session = self.session(name)
            limit = self.config.max_viewers
            if len(session.viewers) >= limit:
                raise EngineFull(f"All {limit} places to watch this session are taken; try again in a little while.")
            viewer = Viewer(secrets.token_urlsafe(12), name, read_offer(sdp, "watch"), self.config, self._unwatched)
            answer = await session.watch(viewer)
        SessionLog(name).info("watched by %s, %s", viewer.name, viewer.connection.codec or "sound only")
        return viewer, answer

    def session(self, name: str) -> LiveSession:
        """Raises UnknownSession."""
        if name not in self.sessions:
            raise UnknownSession
        return self.sessions[name]

    def connection(self, name: str) -> PeerConnection:
        """The connection of a session's speaker. Raises UnknownSession when it has none."""
        if name not in self.connections:
            raise UnknownSession
        return self.connections[name]

    def viewer(self, session: str, name: str) -> Viewer:
        """Raises UnknownSession."""
        viewers = self.session(session).viewers
        if name not in viewers:
            raise UnknownSession
        return viewers[name]

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
        return len(self.sessions) + self._opening >= self.config.engine.max_sessions

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
    async def _place(
        self, avatar: str | None, look_ahead_ms: int, matte: bool, owner: str
    ) -> AsyncIterator[LiveSession]:
        """A place for one more session, which is among the others once the block has ended well."""
        if self.draining:
            raise Stopping
        if not self.engine.alive:
            raise EngineAway
        if avatar is not None and not self.engine.knows(avatar):
            raise UnknownAvatar("There is no avatar of that name here.")
        if self.full:
            limit = self.config.engine.max_sessions
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")
        most = self.config.sessions_per_token
        if most is not None and sum(session.owner == owner for session in self.sessions.values()) >= most:
            raise TooMany(f"At most {most} sessions at a time are open to one token: end one first.")
        self._opening += 1
        try:
            session = LiveSession(
                secrets.token_urlsafe(12), owner, look_ahead_ms, matte, self.metrics.latency(), self._forget
            )
            try:
                yield session
            except BaseException:
                await session.close()
                raise
            self.sessions[session.name] = session
        finally:
            self._opening -= 1

    def _unwatched(self, viewer: Viewer) -> None:
        if viewer.session in self.sessions:
            self.sessions[viewer.session].forget(viewer)
        self._on_ended()

    def _forget(self, session: LiveSession) -> None:
        self.connections.pop(session.name, None)
        if self.sessions.pop(session.name, None) is not None:
            self.metrics.add(session.counts())
            SessionLog(session.name).info("closed")
        self._on_ended()
