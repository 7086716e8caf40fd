"""The avatar's voice and face as aiortc tracks, both paced by one `Playout`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from fractions import Fraction
from math import isfinite

import numpy as np
from aiortc.mediastreams import VIDEO_TIME_BASE, MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from engine.contracts import SAMPLE_RATE, Frame
from engine.latency import LatencyWindow
from webrtc.media.playout import PIECE_S, STALL_S, Playout
from webrtc.media.voice_line import RATIO, VOICE_RATE, PcmArray

VIDEO_RATE = 90_000  # Hz, RTP's clock for pictures
ENCODE_WEIGHT = 0.1  # of a new measurement in the running mean
LONGEST_ENCODE_S = 0.040  # a stall is not an encoder's time: what is longer counts as this
EARLY_S = 0.0005  # event loops wake up to whole milliseconds: what is due so soon is due, rather than waited for again
VOICE_TIME_BASE = Fraction(1, VOICE_RATE)


def sound_frame(pcm: PcmArray, index: int) -> AudioFrame:
    """``pcm`` [n] as a frame of one channel at ``index`` of a 48 kHz timeline.

    Only for `webrtc.rtc.sending.sound_encoder`: aiortc's own encoder spreads it over two, at half its power.
    """
    frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
    frame.sample_rate = VOICE_RATE
    frame.pts = index
    frame.time_base = VOICE_TIME_BASE
    return frame


def picture_frame(frame: Frame) -> VideoFrame:
    """An engine's I420 picture at its place on RTP's clock. Its pixels are shared: encoders only read them."""
    picture = VideoFrame.from_numpy_buffer(frame.picture, format="yuv420p")
    picture.pts = frame.position * VIDEO_RATE // SAMPLE_RATE
    picture.time_base = VIDEO_TIME_BASE
    return picture


class SoundTrack(MediaStreamTrack):
    """The voice, 20 ms at a time, when the playout says so.

    ``on_sound`` is called when there may be sound to feed, ``on_piece`` with every piece that leaves and its index.
    """

    kind = "audio"

    def __init__(
        self,
        playout: Playout,
        started: asyncio.Event,
        on_sound: Callable[[], None],
        on_piece: Callable[[int, PcmArray], None],
    ) -> None:
        super().__init__()
        self._playout = playout
        self._started = started
        self._on_sound = on_sound
        self._on_piece = on_piece
        self.first: int | None = None  # index of the first piece that left
        self.late_s = 0.0  # how much later than due the last piece left

    async def recv(self) -> AudioFrame:
        index, pcm = await self.next()
        return sound_frame(pcm, index)

    async def next(self) -> tuple[int, PcmArray]:
        """The next piece and its index, when it is due. Raises MediaStreamError at the end."""
        await self._started.wait()
        due = await self._due()
        now = time.monotonic()
        self.late_s = now - due
        index, pcm = self._playout.next_sound(now)
        self.first = index if self.first is None else self.first
        self._on_sound()
        self._on_piece(index, pcm)
        return index, pcm

    async def _due(self) -> float:
        """Wait for the next piece's time and return it; until then the clock runs on, with voice or without."""
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            due, now = self._playout.sound_due(), time.monotonic()
            if now - due > STALL_S:
                self._playout.stood_still(now - due)
                due = now
            if due <= now + EARLY_S:
                return due
            self._playout.idle(now)
            self._on_sound()
            await asyncio.sleep(min(due - now, PIECE_S))


class PictureTrack(MediaStreamTrack):
    """The face: the newest picture that is due, as yuv420p. ``on_shown`` is called with every one that leaves.

    aiortc asks for the next picture when the last one is encoded and sent: the time between is the encoder's, and
    the playout releases pictures earlier by its mean. ``latency`` gets that time, and the A/V offset at sending
    (positive: the picture left later than its sound).
    """

    kind = "video"

    def __init__(
        self,
        playout: Playout,
        started: asyncio.Event,
        sound: SoundTrack,
        latency: LatencyWindow,
        on_shown: Callable[[Frame], None],
    ) -> None:
        super().__init__()
        self._playout = playout
        self._started = started
        self._sound = sound
        self._latency = latency
        self._on_shown = on_shown
        self._arrived = asyncio.Event()
        self._encoding: tuple[Frame, float] | None = None  # the picture handed out, and when

    def arrived(self) -> None:
        """A picture came from the engine: look again."""
        self._arrived.set()

    async def recv(self) -> VideoFrame:
        if self._encoding is not None:
            self.note_sent(*self._encoding)
            self._encoding = None
        frame = await self.next()
        picture = picture_frame(frame)
        self._encoding = frame, time.monotonic()
        return picture

    async def next(self) -> Frame:
        """The newest picture, when it is due. Raises MediaStreamError at the end."""
        await self._started.wait()
        frame = await self._next()
        self._on_shown(frame)
        return frame

    async def _next(self) -> Frame:
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            self._arrived.clear()
            frame, wait = self._playout.next_picture(time.monotonic() + EARLY_S)
            if frame is not None:
                return frame
            timer = asyncio.get_running_loop().call_later(wait, self._arrived.set) if isfinite(wait) else None
            try:
                await self._arrived.wait()
            finally:
                if timer is not None:
                    timer.cancel()

    def note_sent(self, frame: Frame, handed_out: float) -> None:
        """A picture that an encoder got at ``handed_out`` is encoded and sent just now."""
        now = time.monotonic()
        spent = now - handed_out
        self._playout.encode_s += ENCODE_WEIGHT * (min(spent, LONGEST_ENCODE_S) - self._playout.encode_s)
        late = now - self._playout.clock.time_of(RATIO * frame.position)
        self._latency.add(encode=1000 * spent, av_offset=1000 * (late - self._sound.late_s))
