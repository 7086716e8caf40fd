"""Clients on a server's own machine that take no more of it than clients elsewhere would, but for their packets.

What only a client does is left out or done beforehand: pictures and sound are counted instead of decoded, the voice was
encoded before it is spoken. Its packets, their protection, RTCP's reports, what is said over the data channel: all
that is as of any client, and so are the times at which they come.
"""

from __future__ import annotations

import asyncio
import queue
import time
from collections.abc import Callable, Coroutine
from types import SimpleNamespace
from typing import Any

import numpy as np
from aiortc import rtcrtpreceiver
from aiortc.codecs.opus import TIME_BASE
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame
from av.packet import Packet

from engine.contracts import FloatArray
from webrtc.media.voice_line import PIECE, VOICE_RATE
from webrtc.rtc.sending.sound_encoder import VoiceEncoder
from webrtc.rtc.tracks import sound_frame
from webrtc.upkeep.listening import loop_factory


class SpokenBefore(MediaStreamTrack):
    """A voice (float32 [n], 48 kHz) over and over, as `clients.microphone.Microphone` hands it out, but encoded."""

    kind = "audio"

    def __init__(self, voice: FloatArray) -> None:
        super().__init__()
        self._packets = _encoded(voice)
        self._sent = 0
        self._began: float | None = None
        self._started = asyncio.Event()

    def start(self) -> None:
        if self._began is None:
            self._began = time.monotonic()
            self._started.set()

    async def recv(self) -> Packet[Any]:
        await self._started.wait()
        assert self._began is not None
        due = self._began + (self._sent + 1) * PIECE / VOICE_RATE
        await asyncio.sleep(max(due - time.monotonic(), 0.0))
        if self.readyState != "live":
            raise MediaStreamError
        packet = Packet(self._packets[self._sent % len(self._packets)])
        packet.pts, packet.time_base = self._sent * PIECE, TIME_BASE
        self._sent += 1
        return packet


def _encoded(voice: FloatArray) -> list[bytes]:
    """Its whole pieces of 20 ms as Opus."""
    pcm, encoder = np.round(32767 * voice).astype(np.int16), VoiceEncoder()
    frames = [sound_frame(pcm[at : at + PIECE], at) for at in range(0, len(pcm) - PIECE + 1, PIECE)]
    return [payload for frame in frames for payload in encoder.encode(frame)[0]]


class _Pictures:
    """A decoder that only says that a picture came."""

    def decode(self, encoded: Any) -> list[VideoFrame]:
        frame = VideoFrame(16, 16, "yuv420p")
        frame.pts, frame.time_base = encoded.timestamp, VIDEO_TIME_BASE
        return [frame]


class _Sounds:
    """The same of sound: every packet of the server's is one piece."""

    def decode(self, encoded: Any) -> list[AudioFrame]:
        frame = AudioFrame("s16", "mono", PIECE)
        frame.sample_rate, frame.pts, frame.time_base = VOICE_RATE, encoded.timestamp, TIME_BASE
        return [frame]


class _AtOnce(queue.Queue[Any]):
    """What aiortc queues for a decoding thread, counted where it is queued: such a decoder needs none."""

    def __init__(self) -> None:
        super().__init__()
        self._decoders: dict[str, _Pictures | _Sounds] = {}
        self.track: asyncio.Queue[Any] | None = None

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        """``item``: codec and what was encoded, or None at the end, as for `rtcrtpreceiver.decoder_worker`."""
        assert self.track is not None
        if item is None:
            self.track.put_nowait(None)
            return
        kind = item[0].mimeType.split("/")[0]
        decoder = self._decoders.setdefault(kind, _Pictures() if kind == "video" else _Sounds())
        for frame in decoder.decode(item[1]):
            self.track.put_nowait(frame)


def _tie(loop: asyncio.AbstractEventLoop, waiting: _AtOnce, track: asyncio.Queue[Any], error: Any) -> None:
    """In the place of aiortc's decoding thread, which ends at once."""
    waiting.track = track


def count_only() -> None:
    """From now on this process decodes nothing that it receives: for clients by the dozen."""
    rtcrtpreceiver.queue = SimpleNamespace(Queue=_AtOnce)  # type: ignore[assignment]
    rtcrtpreceiver.decoder_worker = _tie  # type: ignore[assignment]


def run(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """`asyncio.run` on the loop that servers use."""
    with asyncio.Runner(loop_factory=loop_factory()) as runner:
        return runner.run(work())
