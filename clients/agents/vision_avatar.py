"""Vivify as an `Avatar` of Vision-Agents (0.6.9): the agent's voice in, a track and a stream of sound out.

    agent = Agent(..., tts=..., avatar=VivifyFace(avatar="astronaut"))

The face is drawn in the agent's own process tree; docs/agents.md says how it is installed.
"""

from __future__ import annotations

import asyncio
from fractions import Fraction

import numpy as np
from aiortc import VideoStreamTrack
from aiortc.mediastreams import MediaStreamError
from av import AudioFrame, AudioResampler, VideoFrame

from clients.agents.face_clock import Picture, Sound
from clients.agents.speech_queue import PcmArray
from clients.agents.talking_face import TalkingFace
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, SAMPLE_RATE
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper

try:
    from getstream.video.rtc.track_util import AudioFormat, PcmData
    from vision_agents.core.agents.inference import AudioOutputChunk, AudioOutputFlush, AudioOutputStream
    from vision_agents.core.avatars import Avatar
except ImportError as missing:
    raise VivifyError(
        f"Vision-Agents were expected, but {missing.name} is not installed: pip install 'vivify[vision-agents]'."
    ) from missing

RATE = 48_000  # Hz; the agent's own track wants this
PIECE = RATE // 50  # samples that go out together; a stream holds back what is less
LEAD_MS = 40  # of sound that the agent's track holds
PICTURE_CLOCK = 90_000  # Hz, RTP's


class VivifyFace(Avatar):
    """The agent's face. Sound comes only where something is said, the agent's track fills the rest with silence.

    ``engine`` is one that runs already; without it `start` starts one, which takes seconds.
    """

    provider_name = "vivify"

    def __init__(
        self,
        *,
        avatar: str | None = None,
        size: int = 512,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        engine: EngineKeeper | None = None,
    ) -> None:
        super().__init__()
        self.face = TalkingFace(
            avatar=avatar, rate=RATE, size=size, look_ahead_ms=look_ahead_ms, lead_ms=LEAD_MS, engine=engine
        )
        self._sound = AudioOutputStream()
        self._pictures = FaceTrack()
        self._to_rate = _ToRate()
        self._tasks: list[asyncio.Task[None]] = []

    def video_output(self) -> VideoStreamTrack:
        """25 pictures a second."""
        return self._pictures

    def audio_output(self) -> AudioOutputStream:
        """What the face says, when it says it."""
        return self._sound

    async def start(self) -> None:
        """Start the face, and say what the agent's stream brings. Raises VivifyError."""
        await self.face.start()
        self._tasks = [asyncio.create_task(work) for work in (self._listen(), self._show())]

    async def interrupt(self) -> None:
        """What has not been said never is. The agent's flows say so themselves, by a flush in their stream."""
        self.face.clear()
        self._to_rate = _ToRate()
        self._sound.clear()
        await self._sound.flush()

    async def close(self) -> None:
        """End the face."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._sound.close()
        self._pictures.stop()
        await self.face.aclose()

    async def _listen(self) -> None:
        async for item in self.input_audio_stream:
            if isinstance(item, AudioOutputFlush):
                await self.interrupt()
                continue
            if item.data is not None:
                await self.face.push(self._to_rate.push(item.data))
            if item.final:
                await self.face.push(self._to_rate.flush())
                self.face.mark(None, ends=True)

    async def _show(self) -> None:
        async for piece in self.face:
            if isinstance(piece, Picture):
                self._pictures.show(piece)
            elif isinstance(piece, Sound):
                pcm = np.zeros(PIECE, np.int16)
                pcm[: len(piece.pcm)] = piece.pcm
                await self._sound.send(AudioOutputChunk(data=PcmData(RATE, AudioFormat.S16, pcm)))
            else:
                await self._sound.send(AudioOutputChunk(final=True))


class FaceTrack(VideoStreamTrack):
    """The newest picture, once."""

    def __init__(self) -> None:
        super().__init__()
        self._newest: Picture | None = None
        self._came = asyncio.Event()

    def show(self, picture: Picture) -> None:
        self._newest = picture
        self._came.set()

    def stop(self) -> None:
        super().stop()
        self._came.set()

    async def recv(self) -> VideoFrame:
        """The next picture, yuv420p. Raises MediaStreamError at the end."""
        while True:
            if self.readyState != "live":
                raise MediaStreamError
            picture, self._newest = self._newest, None
            if picture is not None:
                frame = VideoFrame.from_ndarray(picture.planes, format="yuv420p")
                frame.pts = picture.position * PICTURE_CLOCK // SAMPLE_RATE
                frame.time_base = Fraction(1, PICTURE_CLOCK)
                return frame
            self._came.clear()
            await self._came.wait()


class _ToRate:
    """Sound of any kind becomes mono at the face's rate, without a crack between its pieces."""

    def __init__(self) -> None:
        self._resampler: AudioResampler | None = None
        self._rate = 0

    def push(self, sound: PcmData) -> PcmArray:
        samples = np.atleast_2d(sound.to_int16().samples)
        pcm = samples.astype(np.int32).mean(0).round().astype(np.int16)
        if self._resampler is None or self._rate != sound.sample_rate:
            self._resampler = AudioResampler(format="s16", layout="mono", rate=RATE)
            self._rate = sound.sample_rate
        if not len(pcm):
            return pcm
        frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._rate
        return _joined(self._resampler.resample(frame))

    def flush(self) -> PcmArray:
        """What the last sound still lacks."""
        resampler, self._resampler = self._resampler, None
        return _joined(resampler.resample(None)) if resampler is not None else np.zeros(0, np.int16)


def _joined(frames: list[AudioFrame]) -> PcmArray:
    pieces = [frame.to_ndarray().reshape(-1).astype(np.int16) for frame in frames]
    return np.concatenate([np.zeros(0, np.int16), *pieces])
