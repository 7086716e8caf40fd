"""Vivify in livekit-agents (1.8): their `VideoGenerator`, a recipe for their `AvatarRunner`, an `AvatarSession`.

    avatar = VivifyAvatar(avatar="astronaut")
    await avatar.start(session, room=ctx.room)     # before session.start(...)

The face is drawn in the agent's own process tree; the agent publishes both tracks itself. docs/agents.md has examples.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, TypeAlias

from clients.agents.face_clock import Picture, Sound
from clients.agents.speech_queue import mono
from clients.agents.talking_face import TalkingFace
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, FRAMES_PER_SECOND
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper

try:
    from livekit import rtc
    from livekit.agents import AgentSession
    from livekit.agents.voice.avatar import (
        AudioSegmentEnd,
        AvatarOptions,
        AvatarRunner,
        AvatarSession,
        QueueAudioOutput,
        VideoGenerator,
    )
except ImportError as missing:
    raise VivifyError(
        f"LiveKit's agents were expected, but {missing.name} is not installed: pip install 'vivify[livekit]'."
    ) from missing

RATE = 24_000  # Hz; what most voices are made at
LEAD_MS = 40  # of sound that LiveKit's queue holds: an event loop may stall so long without a gap being heard
SETTLE_S = 0.2  # an interruption waits so long for a frame that is being handed over

Came: TypeAlias = rtc.VideoFrame | rtc.AudioFrame | AudioSegmentEnd


class VivifyGenerator(VideoGenerator):
    """A face as LiveKit's `VideoGenerator`.

    Pictures come 25 times a second for as long as it is iterated over; sound only where something is said, so that a
    runner's playback begins and ends with the speech, to the sample. Raises VivifyError.
    """

    def __init__(
        self,
        *,
        avatar: str | None = None,
        size: int = 512,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        rate: int = RATE,
        engine: EngineKeeper | None = None,
    ) -> None:
        self.face = TalkingFace(
            avatar=avatar, size=size, look_ahead_ms=look_ahead_ms, rate=rate, lead_ms=LEAD_MS, engine=engine
        )
        self.unheard_s = 0.0  # of the sound handed over, what the last interruption took away
        self._sync: rtc.AVSynchronizer | None = None
        self._played_until = 0.0  # when what was handed over has been heard
        self._taken = asyncio.Event()  # whoever iterates has dealt with what it got
        self._taken.set()

    @property
    def options(self) -> AvatarOptions:
        """What an `AvatarRunner` must be told."""
        return AvatarOptions(
            video_width=self.face.size,
            video_height=self.face.size,
            video_fps=FRAMES_PER_SECOND,
            audio_sample_rate=self.face.rate,
            audio_channels=1,
        )

    def drive(self, runner: AvatarRunner) -> AvatarRunner:
        """Let interruptions reach what the runner's synchroniser still holds; the runner itself forgets that."""
        self._sync = runner.av_sync
        return runner

    async def start(self) -> None:
        """Start the face; iterating does it as well."""
        await self.face.start()

    async def aclose(self) -> None:
        """End it."""
        await self.face.aclose()

    async def push_audio(self, frame: rtc.AudioFrame | AudioSegmentEnd) -> None:
        """See LiveKit. Waits while a minute of speech waits."""
        if isinstance(frame, AudioSegmentEnd):
            self.face.mark(frame, ends=True)
            return
        if frame.sample_rate != self.face.rate:
            raise VivifyError(
                f"Sound was expected at {self.face.rate} Hz, but came at {frame.sample_rate} Hz: "
                "give the generator and the audio output the same rate."
            )
        await self.face.push(mono(frame.data.cast("B"), frame.num_channels))

    async def clear_buffer(self) -> None:
        """See LiveKit: nothing of what was said is heard from here on, and nothing of it is handed over any more."""
        self.face.clear()
        try:
            async with asyncio.timeout(SETTLE_S):
                await self._taken.wait()
        except TimeoutError:
            pass  # nobody is subscribed yet: the runner waits for that
        self.unheard_s = max(self._played_until - time.monotonic(), 0.0)
        self._played_until = 0.0
        if self._sync is not None:
            await self._sync.clear_queue()

    def __aiter__(self) -> AsyncIterator[Came]:
        return self

    async def __anext__(self) -> Came:
        self._taken.set()
        await self.face.start()
        piece = await anext(self.face)
        self._taken.clear()
        if isinstance(piece, Picture):
            return rtc.VideoFrame(self.face.size, self.face.size, rtc.VideoBufferType.I420, piece.planes.tobytes())
        if isinstance(piece, Sound):
            self._played_until = max(self._played_until, time.monotonic()) + len(piece.pcm) / self.face.rate
            return rtc.AudioFrame(piece.pcm.tobytes(), self.face.rate, 1, len(piece.pcm))
        assert isinstance(piece.what, AudioSegmentEnd)
        return piece.what


class SpokenOutput(QueueAudioOutput):
    """Hands a runner the next segment when the last one has been reported, and reports what was heard.

    A runner forgets a segment that it has read to its end before the one before is over, takes an end that comes after
    an interruption for that of the next segment, and counts as played what an interruption takes out of its queue.
    """

    def __init__(self, generator: VivifyGenerator) -> None:
        super().__init__(sample_rate=generator.face.rate, wait_playback_start=True)
        self._generator = generator
        self._sound = False  # of a segment has been handed on, and neither its end nor an interruption has come
        self._over = asyncio.Event()  # the last segment has been reported
        self.on("clear_buffer", self._interrupted)

    def notify_playback_finished(self, playback_position: float, interrupted: bool) -> None:
        """See LiveKit."""
        self._over.set()
        if interrupted:
            playback_position = max(playback_position - self._generator.unheard_s, 0.0)
        super().notify_playback_finished(playback_position, interrupted)

    def __aiter__(self) -> AsyncIterator[rtc.AudioFrame | AudioSegmentEnd]:
        return self._frames(super().__aiter__())

    async def _frames(
        self, frames: AsyncIterator[rtc.AudioFrame | AudioSegmentEnd]
    ) -> AsyncIterator[rtc.AudioFrame | AudioSegmentEnd]:
        async for frame in frames:
            if not isinstance(frame, AudioSegmentEnd):
                self._sound = True
                yield frame
            elif self._sound:
                self._sound = False
                self._over.clear()
                yield frame
                await self._over.wait()

    def _interrupted(self) -> None:
        self._sound = False
        self._over.set()


def runner_for(room: rtc.Room, output: SpokenOutput, generator: VivifyGenerator) -> AvatarRunner:
    """An `AvatarRunner` of ``room`` that plays what ``output`` is given; its `start` and `aclose` are the caller's."""
    return generator.drive(AvatarRunner(room, audio_recv=output, video_gen=generator, options=generator.options))


class VivifyAvatar(AvatarSession[str]):
    """An agent's face, drawn where the agent runs. Start it before the agent's session.

    ``engine`` is one that runs already, as from a prewarm function; without it one is started, which takes seconds.
    """

    def __init__(
        self,
        *,
        avatar: str | None = None,
        size: int = 512,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        rate: int = RATE,
        engine: EngineKeeper | None = None,
    ) -> None:
        super().__init__()
        self._room: rtc.Room | None = None
        self.generator = VivifyGenerator(
            avatar=avatar, size=size, look_ahead_ms=look_ahead_ms, rate=rate, engine=engine
        )
        self.output = SpokenOutput(self.generator)
        self._runner: AvatarRunner | None = None

    @property
    def avatar_identity(self) -> str:
        """The agent's own: it publishes the face."""
        return self._room.local_participant.identity if self._room is not None else ""

    @property
    def provider(self) -> str:
        return "vivify"

    async def start(self, agent_session: AgentSession[Any], room: rtc.Room) -> None:
        """Start the face and let the session speak through it. Raises VivifyError."""
        await super().start(agent_session, room)
        await self.generator.start()
        self._runner = runner_for(room, self.output, self.generator)
        await self._runner.start()
        agent_session.output.replace_audio_tail(self.output)

    async def aclose(self) -> None:
        """End the face. The agent stays in the room."""
        if self._room is not None:  # LiveKit's own end removes the avatar's participant, here the agent itself
            self._room.off("connection_state_changed", self._on_connection_state_changed)
            self._room = None
        await super().aclose()
        if self._runner is not None:
            await self._runner.aclose()
            self._runner = None
        await self.generator.aclose()
