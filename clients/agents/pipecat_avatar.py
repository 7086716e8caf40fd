"""Vivify as a service of Pipecat (1.14): what a TTS service makes goes in, sound and pictures in step come out.

    avatar = VivifyVideoService(avatar="astronaut")
    Pipeline([transport.input(), stt, ..., llm, tts, avatar, transport.output(), ...])

The transport needs `picture_params`. The face is drawn in the bot's own process tree; docs/agents.md has an example.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from av import VideoFrame

from clients.agents.face_clock import Picture, Piece, Sound
from clients.agents.speech_queue import mono
from clients.agents.talking_face import TalkingFace
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, ByteArray
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper

try:
    from pipecat.audio.utils import create_stream_resampler
    from pipecat.frames.frames import (
        EndFrame,
        Frame,
        InterruptionFrame,
        OutputImageRawFrame,
        OutputTransportReadyFrame,
        SystemFrame,
        TTSAudioRawFrame,
        TTSStoppedFrame,
    )
    from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
    from pipecat.services.ai_service import AIService
    from pipecat.services.settings import ServiceSettings
except ImportError as missing:
    raise VivifyError(
        f"Pipecat was expected, but {missing.name} is not installed: pip install 'vivify[pipecat]'."
    ) from missing

LEAD_MS = 40  # of speech that lies in the transport's queue, with its pictures
PICTURE_RATE = 30  # Hz at which the transport looks for a new picture; its WebRTC track paces at no other
LOOK_S = 0.02


def picture_params(size: int = 512) -> dict[str, Any]:
    """What a transport's parameters must be for pictures of ``size``: TransportParams(**picture_params(), ...).

    Not ``video_out_is_live``: with it pictures that are to keep step with the sound are never shown. Another size than
    the face's would be stretched without a word.
    """
    return {
        "audio_out_enabled": True,
        "video_out_enabled": True,
        "video_out_width": size,
        "video_out_height": size,
        "video_out_framerate": PICTURE_RATE,
    }


@dataclass(frozen=True, slots=True)
class _Context:
    """From here on what is said belongs to this context of the TTS service."""

    name: str | None


class VivifyVideoService(AIService):
    """Takes `TTSAudioRawFrame`s, gives them back when their pictures are there, with the pictures.

    Pictures come for as long as the pipeline runs. Whatever else flows down after speech (texts, ends of answers) stays
    behind it, so that nothing is taken for said that was not. An `InterruptionFrame` takes away what has not been said.
    ``engine`` may be shared between services; without one the service starts its own, which takes seconds.
    """

    def __init__(
        self,
        *,
        avatar: str | None = None,
        size: int = 512,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        engine: EngineKeeper | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(settings=ServiceSettings(model=None), **kwargs)
        self._wanted: dict[str, Any] = {
            "avatar": avatar,
            "size": size,
            "look_ahead_ms": look_ahead_ms,
            "engine": engine,
        }
        self._face: TalkingFace | None = None
        self._resampler = create_stream_resampler(clear_after_secs=None)
        self._showing: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()  # the transport takes what comes
        self._turn = asyncio.Lock()  # nothing of before an interruption comes after it
        self._heard: str | None = None  # context of the speech that came last
        self._said: str | None = None  # context of the speech that leaves

    @property
    def face(self) -> TalkingFace:
        """The face, from `setup` on."""
        assert self._face is not None
        return self._face

    def can_generate_metrics(self) -> bool:
        return False

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the face. Raises VivifyError."""
        await super().setup(setup)
        self._face = TalkingFace(rate=setup.audio_out_sample_rate, lead_ms=LEAD_MS, together=True, **self._wanted)
        await self._face.start()
        self._showing = self.create_task(self._show())

    async def cleanup(self) -> None:
        """End the face."""
        if self._showing is not None:
            await self.cancel_task(self._showing)
            self._showing = None
        if self._face is not None:
            await self._face.aclose()
        await super().cleanup()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """See Pipecat."""
        if isinstance(frame, EndFrame):
            await self._finish()
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            if isinstance(frame, OutputTransportReadyFrame):
                self._ready.set()
            await self.push_frame(frame, direction)
        elif isinstance(frame, InterruptionFrame):
            await self._interrupt(frame)
        elif isinstance(frame, TTSAudioRawFrame):
            await self._say(frame)
        elif isinstance(frame, TTSStoppedFrame):
            await self._resampled(await self._resampler.flush())
            self.face.mark(frame, ends=True)
        elif isinstance(frame, SystemFrame) or self.face.idle:
            await self.push_frame(frame, direction)
        else:
            self.face.mark(frame)

    async def _say(self, frame: TTSAudioRawFrame) -> None:
        if frame.context_id != self._heard:
            self._heard = frame.context_id
            self.face.mark(_Context(frame.context_id))
        pcm = mono(frame.audio, frame.num_channels)
        await self._resampled(await self._resampler.resample(pcm.tobytes(), frame.sample_rate, self.face.rate))

    async def _resampled(self, audio: bytes) -> None:
        if audio:
            await self.face.push(mono(audio))

    async def _interrupt(self, frame: InterruptionFrame) -> None:
        async with self._turn:
            left_out = self.face.clear()
            await self._resampler.reset()
            self._heard = None
            await self.push_frame(frame)
            for held in left_out:
                if isinstance(held, Frame) and not held.interruptible:
                    await self.push_frame(held)

    async def _finish(self) -> None:
        """Until all has been said."""
        while self._ready.is_set() and not self.face.idle:  # noqa: ASYNC110  # once
            await asyncio.sleep(LOOK_S)

    async def _show(self) -> None:
        await self._ready.wait()
        async for piece in self.face:
            clears = self.face.clears
            async with self._turn:
                if clears == self.face.clears or isinstance(piece, Picture):
                    await self._give(piece)

    async def _give(self, piece: Piece) -> None:
        if isinstance(piece, Picture):
            shown = OutputImageRawFrame(_rgb(piece.planes), (self.face.size, self.face.size), "RGB")
            shown.sync_with_audio = True
            await self.push_frame(shown)
        elif isinstance(piece, Sound):
            await self.push_frame(TTSAudioRawFrame(piece.pcm.tobytes(), self.face.rate, 1, self._said))
        elif isinstance(piece.what, _Context):
            self._said = piece.what.name
        elif isinstance(piece.what, Frame):
            await self.push_frame(piece.what)


def _rgb(planes: ByteArray) -> bytes:
    return bytes(VideoFrame.from_ndarray(planes, format="yuv420p").to_ndarray(format="rgb24").tobytes())
