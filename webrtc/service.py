"""All the peers of one engine: lets them in, finds them again, sends them home."""

from __future__ import annotations

import asyncio
import itertools
import logging
import secrets

from engine.errors import EngineFull, VivifyError
from engine.worker import EngineProcess
from webrtc.config import ServerConfig
from webrtc.peer import Peer

log = logging.getLogger("vivify")


class EngineDown(VivifyError):
    """The engine process is gone."""


class Service:
    """The open sessions, by name. Names are unguessable: knowing one is the right to end it."""

    def __init__(self, engine: EngineProcess, config: ServerConfig) -> None:
        self.engine = engine
        self.config = config
        self.peers: dict[str, Peer] = {}
        self._opening = 0
        self._seeds = itertools.count()

    async def open(self, offer: str, avatar: str | None, look_ahead_ms: int) -> tuple[Peer, str]:
        """A new peer and the SDP of its answer.

        Raises BadOffer, EngineFull, UnknownAvatar, EngineDown, or VivifyError for a look-ahead that is not offered.
        """
        if not self.engine.alive:
            raise EngineDown("The engine is not running: restart the server.")
        self._refuse_when_full()
        self._opening += 1
        try:
            peer = Peer(secrets.token_urlsafe(12), look_ahead_ms, self.config.codec, self._forget)
            try:
                answer = await peer.answer(self.engine, offer, avatar, next(self._seeds))
            except BaseException:
                await peer.close()
                raise
            self.peers[peer.name] = peer
        finally:
            self._opening -= 1
        log.info("session %s: opened with avatar '%s', %s", peer.name, peer.avatar, peer.codec)
        return peer, answer

    async def close(self, name: str) -> bool:
        """End a session; False if there is none of that name."""
        peer = self.peers.get(name)
        if peer is None:
            return False
        await peer.close("The session was ended.")
        return True

    async def close_all(self) -> None:
        await asyncio.gather(*(peer.close("The server is stopping.") for peer in list(self.peers.values())))

    def _refuse_when_full(self) -> None:
        limit = self.config.engine.max_sessions
        if len(self.peers) + self._opening >= limit:
            raise EngineFull(f"The server is full: all {limit} places are taken; please try again in a little while.")

    def _forget(self, peer: Peer) -> None:
        if self.peers.pop(peer.name, None) is not None:
            log.info("session %s: closed", peer.name)
