"""One who watches a session (WHEP): what leaves the session, encoded once more for this connection alone."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from engine.contracts import Frame
from webrtc.access.rights import Caller
from webrtc.logs import SessionLog
from webrtc.media.voice_line import PcmArray
from webrtc.rtc.peer_connection import PeerConnection
from webrtc.rtc.session_description import Offer
from webrtc.rtc.tracks import picture_frame, sound_frame
from webrtc.server_config import ServerConfig

SOUND_QUEUE = 25  # pieces (0.5 s) that wait for a slow viewer; then the oldest are dropped
OnSent = Callable[[Frame, float], None]


class Tap(MediaStreamTrack):
    """What a session sends, for one viewer. `offer` never waits: of ``depth`` waiting items the oldest makes room."""

    def __init__(self, depth: int) -> None:
        super().__init__()
        self.dropped = 0
        self._items: deque[Any] = deque(maxlen=depth)
        self._arrived = asyncio.Event()

    def offer(self, item: Any) -> None:
        self.dropped += len(self._items) == self._items.maxlen
        self._items.append(item)
        self._arrived.set()

    def clear(self) -> None:
        """A barge-in: what waits is not sent any more."""
        self._items.clear()

    def stop(self) -> None:
        super().stop()
        self._arrived.set()

    async def _item(self) -> Any:
        while not self._items:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            await self._arrived.wait()
        return self._items.popleft()


class SoundTap(Tap):
    """Takes pieces (timeline index, pcm [960] int16)."""

    kind = "audio"

    async def recv(self) -> AudioFrame:
        item: tuple[int, PcmArray] = await self._item()
        return sound_frame(item[1], item[0])


class PictureTap(Tap):
    """Takes frames of the engine. ``on_sent`` is told what was encoded and sent, and when it was handed out."""

    kind = "video"
    on_sent: OnSent | None = None

    def __init__(self, depth: int) -> None:
        super().__init__(depth)
        self._encoding: tuple[Frame, float] | None = None

    async def recv(self) -> VideoFrame:
        if self._encoding is not None and self.on_sent is not None:
            self.on_sent(*self._encoding)
        frame: Frame = await self._item()
        self._encoding = frame, time.monotonic()
        return picture_frame(frame)


class Viewer:
    """A connection that only receives. It ends with the session, or before; ``on_closed`` is called once."""

    def __init__(
        self,
        name: str,
        session: str,
        opener: Caller,
        offer: Offer,
        config: ServerConfig,
        on_closed: Callable[[Viewer], None],
        on_ice_failed: Callable[[str], None],
    ) -> None:
        self.name = name
        self.session = session
        self.opener = opener
        self.sound = SoundTap(SOUND_QUEUE)
        self.picture = PictureTap(1)
        self.connection = PeerConnection(session, offer, config, on_ice_failed)
        self._on_closed = on_closed
        self._closing = False
        self.connection.pc.on("connectionstatechange", self._on_state)

    async def answer(self, on_sent: OnSent | None) -> str:
        """The answer's SDP. ``on_sent`` gets the times of this viewer's encoder. Raises BadOffer."""
        self.picture.on_sent = on_sent
        wanted = [track for track in (self.sound, self.picture) if track.kind in self.connection.offer.kinds]
        self.connection.send(*wanted, direction="sendonly")
        await self.connection.take()
        sdp = await self.connection.answer()
        self.connection.spawn(self._give_up())
        return sdp

    def clear(self) -> None:
        """A barge-in: what has not been encoded yet never leaves."""
        self.sound.clear()
        self.picture.clear()

    async def close(self) -> None:
        """End it. Calling it again does nothing."""
        if self._closing:
            return
        self._closing = True
        self.sound.stop()
        self.picture.stop()
        await self.connection.close()
        self._on_closed(self)
        SessionLog(self.session).info("no longer watched by %s", self.name)

    def _on_state(self) -> None:
        if self.connection.state in ("failed", "closed"):
            self.connection.note_end()
            self.connection.spawn(self.close())

    async def _give_up(self) -> None:
        if not await self.connection.connects():
            await self.close()
