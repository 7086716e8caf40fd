"""All the streams of one engine: lets people in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import AsyncIterator, Callable, Iterator

from engine.errors import EngineFull, VivifyError
from engine.process.keeper import EngineKeeper
from webrtc.http.rate_limit import Rate
from webrtc.live_session import Stream
from webrtc.logs import SessionLog
from webrtc.metrics import Metrics
from webrtc.rtc.peer_connection import Link, UnknownSession, read_offer
from webrtc.rtc.speaker import Peer
from webrtc.rtc.viewer import Viewer
from webrtc.server_config import ServerConfig
from webrtc.visitor_portraits import Portraits


class EngineDown(VivifyError):
    """There is no engine process just now."""


class TooMany(VivifyError):
    """One asker has all that one may have."""


class Service:
    """The open sessions, by name. Names are unguessable: knowing one is the right to watch it and to end it."""

    def __init__(self, engine: EngineKeeper, config: ServerConfig, on_ended: Callable[[], None] = lambda: None) -> None:
        self.engine = engine
        self.config = config
        self.streams: dict[str, Stream] = {}
        self.links: dict[str, Link] = {}  # of those whose speaker has a connection
        self.metrics = Metrics(
            self._gauges, lambda: engine.restarts, lambda: [stream.counts() for stream in self.streams.values()]
        )
        self.portraits = Portraits(engine, config.portraits, self._shown)
        self.openings = Rate(config.openings_per_minute)
        self._on_ended = on_ended  # a session, or somebody's watching, is over
        self._opening = 0
        self._seeds = itertools.count()

    async def open(
        self, sdp: str, avatar: str | None, look_ahead_ms: int, matte: bool, owner: str, two_way: bool = True
    ) -> tuple[Peer, str]:
        """A new stream, its speaker's connection, and the SDP of its answer.

        Raises BadOffer, UnfitOffer, EngineFull, UnknownAvatar, EngineDown, or VivifyError for a look-ahead that is
        not offered.
        """
        with self._counting("page" if two_way else "whip"):
            offer = read_offer(sdp)
            async with self._place(look_ahead_ms, matte, owner) as stream:
                peer = Peer(stream, offer, two_way, self.config)
                await peer.take()
                await stream.open(self.engine, avatar, next(self._seeds))
                answer = await peer.answer()
            self.links[stream.name] = peer.link
        SessionLog(stream.name).info("opened with avatar '%s', %s", stream.avatar, peer.link.codec or "no video")
        return peer, answer

    async def open_for_socket(self, avatar: str | None, look_ahead_ms: int, matte: bool, owner: str) -> Stream:
        """A new stream without any connection: its voice will be pushed (`webrtc.http.voice_socket`). Raises as `open`."""
        with self._counting("socket"):
            async with self._place(look_ahead_ms, matte, owner) as stream:
                await stream.open(self.engine, avatar, next(self._seeds))
                stream.pump()
        SessionLog(stream.name).info("opened with avatar '%s' for a socket", stream.avatar)
        return stream

    async def watch(self, name: str, sdp: str) -> tuple[Viewer, str]:
        """A new viewer of a session and the SDP of its answer.

        Raises UnknownSession, EngineFull when too many watch already, BadOffer, UnfitOffer.
        """
        with self._counting("whep"):
            stream = self.stream(name)
            limit = self.config.max_viewers
            if len(stream.viewers) >= limit:
                raise EngineFull(f"All {limit} places to watch this session are taken; try again in a little while.")
            viewer = Viewer(secrets.token_urlsafe(12), name, read_offer(sdp), self.config, self._unwatched)
            answer = await stream.watch(viewer)
        SessionLog(name).info("watched by %s, %s", viewer.name, viewer.link.codec or "sound only")
        return viewer, answer

    def stream(self, name: str) -> Stream:
        """Raises UnknownSession."""
        if name not in self.streams:
            raise UnknownSession
        return self.streams[name]

    def link(self, name: str) -> Link:
        """The connection of a stream's speaker. Raises UnknownSession when it has none."""
        if name not in self.links:
            raise UnknownSession
        return self.links[name]

    def viewer(self, session: str, name: str) -> Viewer:
        """Raises UnknownSession."""
        viewers = self.stream(session).viewers
        if name not in viewers:
            raise UnknownSession
        return viewers[name]

    async def close_all(self) -> None:
        self.portraits.close()
        await asyncio.gather(*(stream.close("The server is stopping.") for stream in list(self.streams.values())))

    def _shown(self, avatar: str) -> bool:
        return any(stream.avatar == avatar for stream in self.streams.values())

    @property
    def full(self) -> bool:
        return len(self.streams) + self._opening >= self.config.engine.max_sessions

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
            "sessions": len(self.streams),
            "viewers": sum(len(stream.viewers) for stream in self.streams.values()),
            "max_sessions": self.config.engine.max_sessions,
            "engine_up": self.engine.alive,
        }

    @contextlib.asynccontextmanager
    async def _place(self, look_ahead_ms: int, matte: bool, owner: str) -> AsyncIterator[Stream]:
        """A place for one more stream, which is among the others once the block has ended well."""
        if not self.engine.alive:
            raise EngineDown("The engine is being restarted: please try again in a moment.")
        if self.full:
            limit = self.config.engine.max_sessions
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")
        most = self.config.sessions_per_token
        if most is not None and sum(stream.owner == owner for stream in self.streams.values()) >= most:
            raise TooMany(f"At most {most} sessions at a time are open to one token: end one first.")
        self._opening += 1
        try:
            stream = Stream(
                secrets.token_urlsafe(12), owner, look_ahead_ms, matte, self.metrics.latency(), self._forget
            )
            try:
                yield stream
            except BaseException:
                await stream.close()
                raise
            self.streams[stream.name] = stream
        finally:
            self._opening -= 1

    def _unwatched(self, viewer: Viewer) -> None:
        if viewer.session in self.streams:
            self.streams[viewer.session].forget(viewer)
        self._on_ended()

    def _forget(self, stream: Stream) -> None:
        self.links.pop(stream.name, None)
        if self.streams.pop(stream.name, None) is not None:
            self.metrics.add(stream.counts())
            SessionLog(stream.name).info("closed")
        self._on_ended()
