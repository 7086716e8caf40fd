"""A LiveKit room without a server: what is published in it is played by LiveKit's own sources, before one witness."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import numpy as np
from livekit import rtc

from clients.trials.witness import Witness
from webrtc.media.voice_line import VOICE_RATE


class Publication:
    """As much of a `LocalTrackPublication` as a publisher asks for."""

    def __init__(self, track: Any, options: Any) -> None:
        self.track, self.kind, self.source = track, track.kind, options.source
        self.sid = f"TR_{track.name}"

    async def wait_for_subscription(self) -> None:
        """The witness is there already."""


class Publisher:
    """As much of a `LocalParticipant` as an agent asks for."""

    identity = "agent"
    kind = 0

    def __init__(self, watch: Callable[[Any], None]) -> None:
        self._watch = watch
        self.track_publications: dict[str, Publication] = {}

    async def publish_track(self, track: Any, options: Any) -> Publication:
        """Show a track to the witness."""
        publication = Publication(track, options)
        self.track_publications[publication.sid] = publication
        self._watch(track)
        return publication


class OfflineRoom:
    """A stand-in for `rtc.Room`, connected, in which nothing else happens. `aclose` ends the witness's listening."""

    name = "offline"

    def __init__(self) -> None:
        self.witness = Witness()
        self.local_participant = Publisher(self._watch)
        self.remote_participants: dict[str, Any] = {}
        self._tasks: list[asyncio.Task[None]] = []
        self._streams: list[Any] = []

    def isconnected(self) -> bool:
        return True

    def on(self, event: str, handler: Callable[..., Any] | None = None) -> Any:
        """As `rtc.Room`; never calls."""
        return handler

    def off(self, event: str, handler: Callable[..., Any]) -> None:
        """The reverse."""

    async def aclose(self) -> None:
        """End it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for stream in self._streams:
            await stream.aclose()

    def _watch(self, track: Any) -> None:
        if isinstance(track, rtc.LocalAudioTrack):
            stream, work = rtc.AudioStream(track, sample_rate=VOICE_RATE, num_channels=1), self._hear
        else:
            stream, work = rtc.VideoStream(track), self._see
        self._streams.append(stream)
        self._tasks.append(asyncio.create_task(work(stream)))

    async def _hear(self, stream: rtc.AudioStream) -> None:
        async for event in stream:
            self.witness.hear(np.frombuffer(event.frame.data, np.int16).copy())

    async def _see(self, stream: rtc.VideoStream) -> None:
        async for event in stream:
            frame = event.frame.convert(rtc.VideoBufferType.I420)
            planes = np.frombuffer(frame.data, np.uint8).reshape(frame.height * 3 // 2, frame.width)
            self.witness.see(planes.copy())
