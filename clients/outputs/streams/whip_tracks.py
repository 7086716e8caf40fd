"""Pictures and sound that come from another thread, as aiortc tracks: what waits too long is left out."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import Any

from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from clients.outputs.output import Picture, Sound
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.tracks import VIDEO_RATE, sound_frame

MOST_WAITING = {"video": 2, "audio": 25}  # for their encoder


class PushedTrack(MediaStreamTrack):
    """Gives out what `push` got, which is called on the event loop. ``left_out`` counts what was too much."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
        super().__init__()
        self.left_out = 0
        self._queue: deque[Picture | Sound] = deque()
        self._came = asyncio.Event()

    def push(self, piece: Picture | Sound) -> None:
        self._queue.append(piece)
        if len(self._queue) > MOST_WAITING[self.kind]:
            self._queue.popleft()
            self.left_out += 1
        self._came.set()

    async def recv(self) -> Any:
        """The next piece as a frame. Raises MediaStreamError once the track is stopped."""
        while not self._queue:
            if self.readyState != "live":
                raise MediaStreamError
            self._came.clear()
            await self._came.wait()
        piece = self._queue.popleft()
        return sent_picture(piece) if isinstance(piece, Picture) else sent_sound(piece)


def sent_sound(piece: Sound) -> AudioFrame:
    return sound_frame(piece.pcm, piece.position)


def sent_picture(piece: Picture) -> VideoFrame:
    """The pixels are copied: encoders mark what they get."""
    frame = VideoFrame.from_ndarray(piece.planes, format="yuv420p")
    frame.pts, frame.time_base = piece.position * VIDEO_RATE // VOICE_RATE, VIDEO_TIME_BASE
    return frame
