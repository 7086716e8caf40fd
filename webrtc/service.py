"""All the peers of one engine: lets them in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets
from collections.abc import Iterator

from engine.errors import EngineFull, VivifyError
from engine.worker import EngineProcess
from webrtc.config import ServerConfig
from webrtc.link import UnknownSession, read_offer
from webrtc.logs import SessionLog
from webrtc.metrics import Metrics
from webrtc.peer import Peer
from webrtc.viewer import Viewer


class EngineDown(VivifyError):
    """The engine process is gone."""


class Service:
    """The open sessions, by name. Names are unguessable: knowing one is the right to watch it and to end it."""

    def __init__(self, engine: EngineProcess, config: ServerConfig) -> None:
        self.engine = engine
        self.config = config
        self.peers: dict[str, Peer] = {}
        self.metrics = Metrics(self._gauges, lambda: [peer.counts() for peer in self.peers.values()])
        self._opening = 0
        self._seeds = itertools.count()

    async def open(self, sdp: str, avatar: str | None, look_ahead_ms: int, two_way: bool = True) -> tuple[Peer, str]:
        """A new peer and the SDP of its answer.

        Raises BadOffer, UnfitOffer, EngineFull, UnknownAvatar, EngineDown, or VivifyError for a look-ahead that is
        not offered.
        """
        with self._counting("page" if two_way else "whip"):
            if not self.engine.alive:
                raise EngineDown("The engine is not running: restart the server.")
            self._refuse_when_full()
            self._opening += 1
            try:
                name = secrets.token_urlsafe(12)
                latency = self.metrics.latency()
                peer = Peer(name, read_offer(sdp), look_ahead_ms, two_way, self.config, latency, self._forget)
                try:
                    answer = await peer.answer(self.engine, avatar, next(self._seeds))
                except BaseException:
                    await peer.close()
                    raise
                self.peers[peer.name] = peer
            finally:
                self._opening -= 1
        SessionLog(peer.name).info("opened with avatar '%s', %s", peer.avatar, peer.link.codec or "no video")
        return peer, answer

    async def watch(self, name: str, sdp: str) -> tuple[Viewer, str]:
        """A new viewer of a session and the SDP of its answer.

        Raises UnknownSession, EngineFull when too many watch already, BadOffer, UnfitOffer.
        """
        with self._counting("whep"):
            peer = self.peer(name)
            limit = self.config.max_viewers
            if len(peer.viewers) >= limit:
                raise EngineFull(f"All {limit} places to watch this session are taken; try again in a little while.")
            viewer = Viewer(secrets.token_urlsafe(12), name, read_offer(sdp), self.config, peer.forget)
            answer = await peer.watch(viewer)
        SessionLog(name).info("watched by %s, %s", viewer.name, viewer.link.codec or "sound only")
        return viewer, answer

    def peer(self, name: str) -> Peer:
        """Raises UnknownSession."""
        if name not in self.peers:
            raise UnknownSession
        return self.peers[name]

    def viewer(self, session: str, name: str) -> Viewer:
        """Raises UnknownSession."""
        viewers = self.peer(session).viewers
        if name not in viewers:
            raise UnknownSession
        return viewers[name]

    async def close_all(self) -> None:
        await asyncio.gather(*(peer.close("The server is stopping.") for peer in list(self.peers.values())))

    @property
    def full(self) -> bool:
        return len(self.peers) + self._opening >= self.config.engine.max_sessions

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
            "sessions": len(self.peers),
            "viewers": sum(len(peer.viewers) for peer in self.peers.values()),
            "max_sessions": self.config.engine.max_sessions,
            "engine_up": self.engine.alive,
        }

    def _refuse_when_full(self) -> None:
        if self.full:
            limit = self.config.engine.max_sessions
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")

    def _forget(self, peer: Peer) -> None:
        if self.peers.pop(peer.name, None) is not None:
            self.metrics.add(peer.counts())
            SessionLog(peer.name).info("closed")
