"""All the peers of one engine: lets them in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets

from engine.errors import EngineFull, VivifyError
from engine.worker import EngineProcess
from webrtc.config import ServerConfig
from webrtc.link import UnknownSession, read_offer
from webrtc.peer import Peer
from webrtc.viewer import Viewer

log = logging.getLogger("vivify")


class EngineDown(VivifyError):
    """The engine process is gone."""


class Service:
    """The open sessions, by name. Names are unguessable: knowing one is the right to watch it and to end it."""

    def __init__(self, engine: EngineProcess, config: ServerConfig) -> None:
        self.engine = engine
        self.config = config
        self.peers: dict[str, Peer] = {}
        self._opening = 0
        self._seeds = itertools.count()

    async def open(self, sdp: str, avatar: str | None, look_ahead_ms: int, two_way: bool = True) -> tuple[Peer, str]:
        """A new peer and the SDP of its answer.

        Raises BadOffer, UnfitOffer, EngineFull, UnknownAvatar, EngineDown, or VivifyError for a look-ahead that is
        not offered.
        """
        if not self.engine.alive:
            raise EngineDown("The engine is not running: restart the server.")
        self._refuse_when_full()
        self._opening += 1
        try:
            name = secrets.token_urlsafe(12)
            peer = Peer(name, read_offer(sdp), look_ahead_ms, two_way, self.config, self._forget)
            try:
                answer = await peer.answer(self.engine, avatar, next(self._seeds))
            except BaseException:
                await peer.close()
                raise
            self.peers[peer.name] = peer
        finally:
            self._opening -= 1
        log.info("session %s: opened with avatar '%s', %s", peer.name, peer.avatar, peer.link.codec or "no video")
        return peer, answer

    async def watch(self, name: str, sdp: str) -> tuple[Viewer, str]:
        """A new viewer of a session and the SDP of its answer.

        Raises UnknownSession, EngineFull when too many watch already, BadOffer, UnfitOffer.
        """
        peer = self.peer(name)
        limit = self.config.max_viewers
        if len(peer.viewers) >= limit:
            raise EngineFull(f"All {limit} places to watch this session are taken; please try again in a little while.")
        viewer = Viewer(secrets.token_urlsafe(12), name, read_offer(sdp), self.config, peer.forget)
        answer = await peer.watch(viewer)
        log.info("session %s: watched by %s, %s", name, viewer.name, viewer.link.codec or "sound only")
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

    def _refuse_when_full(self) -> None:
        limit = self.config.engine.max_sessions
        if len(self.peers) + self._opening >= limit:
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")

    def _forget(self, peer: Peer) -> None:
        if self.peers.pop(peer.name, None) is not None:
            log.info("session %s: closed", peer.name)
