"""One voice and its face on one clock, given to any set of outputs: what `vivify live` is.

The clock is the server's own (`webrtc.media.playout`): a sample leaves one delay after it came, and the picture of that
instant leaves with it. Whatever an output does, the next piece leaves in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from typing import Any

from clients.live.sound_sources import SoundSource
from clients.outputs.output import Facts, Movement, Picture, Sound
from clients.outputs.output_line import OutputLine
from engine.contracts import FRAMES_PER_SECOND, Frame
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper, KeptSession
from webrtc.media.playout import PIECE_S, Playout
from webrtc.media.voice_line import RATIO, PcmArray


class LiveFace:
    """Runs until its source ends. Everything happens on one event loop; outputs have threads of their own."""

    def __init__(
        self,
        engine: EngineKeeper,
        source: SoundSource,
        lines: list[OutputLine],
        look_ahead_ms: int,
        wishes: dict[str, Any] | None = None,
    ) -> None:
        """``wishes`` are `Controls` to begin with."""
        self.source = source
        self.lines = lines
        self.playout = Playout(look_ahead_ms, time.monotonic())
        self.playout.encode_s = 0.0  # a picture leaves with its sound; how long outputs take is theirs
        self._engine = engine
        self._look_ahead_ms = look_ahead_ms
        self._wishes = wishes or {}
        self._session: KeptSession | None = None
        self._arrived = asyncio.Event()
        self._over: asyncio.Future[None] | None = None
        self._ends_at: int | None = None  # timeline index behind which there is no voice
        self._left: deque[float] = deque(maxlen=2 * FRAMES_PER_SECOND)

    @property
    def draws(self) -> bool:
        """Whether anybody wants to see pictures; else the session only moves."""
        return any(Picture in line.output.wants for line in self.lines)

    @property
    def fps(self) -> int:
        """Pictures, or movements, that left within the last second."""
        now = time.monotonic()
        return sum(left > now - 1 for left in self._left)

    @property
    def delay_s(self) -> float:
        """From a sound in the air to its leaving, as measured; as aimed at, while too little has come."""
        measured = self.playout.measured_delay
        return (self.playout.delay if measured is None else measured) + self.source.latency_s

    async def run(self, avatar: str | None, seed: int) -> None:
        """Until the source has ended and all of it has left. Raises VivifyError when something cannot be had.

        Closes the source, the session and the outputs however it ends; the engine is the caller's.
        """
        loop = asyncio.get_running_loop()
        self._over = loop.create_future()
        tasks: list[asyncio.Task[None]] = []
        try:
            await self._open(loop, avatar, seed)
            tasks = [loop.create_task(self._sounds()), loop.create_task(self._frames())]
            for task in tasks:
                task.add_done_callback(self._ended)
            await self._over
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.to_thread(self.close)

    def close(self) -> None:
        """Close the source, the session and all outputs. Calling it again does nothing more."""
        self.source.close()
        if self._session is not None:
            self._session.close()
        for line in self.lines:
            line.end()
        for line in self.lines:
            line.join()

    async def _open(self, loop: asyncio.AbstractEventLoop, avatar: str | None, seed: int) -> None:
        facts = Facts(avatar or self._engine.default_avatar, self._engine.config.size, self.playout.delay)
        await asyncio.gather(*(asyncio.to_thread(line.start, facts) for line in self.lines))

        def on_frame(frame: Frame) -> None:  # on the engine's reader thread
            loop.call_soon_threadsafe(self._on_frame, frame)

        def on_lost(reason: str) -> None:
            loop.call_soon_threadsafe(self._fail, VivifyError(reason))

        def on_sound(pts: int, pcm: PcmArray, now: float) -> None:  # on the source's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._on_sound, pts, pcm, now)

        def on_end(reason: str) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_end, reason)

        self._session = await asyncio.to_thread(
            self._engine.open, avatar, self._look_ahead_ms, seed, on_frame, on_lost, False, not self.draws
        )
        self._session.set_controls(self._wishes)
        self.playout.restart(time.monotonic())
        await asyncio.to_thread(self.source.start, on_sound, on_end)

    def _on_sound(self, pts: int, pcm: PcmArray, now: float) -> None:
        self.playout.voice(pts, pcm, now)
        self._feed()

    def _on_end(self, reason: str) -> None:
        if reason:
            self._fail(VivifyError(reason))
        self._ends_at = self.playout.line.written

    def _on_frame(self, frame: Frame) -> None:
        self.playout.picture(frame, time.monotonic())
        self._arrived.set()

    def _feed(self) -> None:
        assert self._session is not None
        for chunk in self.playout.line.chunks():
            self._session.push_audio(chunk)

    async def _sounds(self) -> None:
        """Let each 20 ms leave when its time has come; without a voice, silence."""
        line = self.playout.line
        while self._ends_at is None or line.read < self._ends_at:
            now = time.monotonic()
            due = self.playout.clock.time_of(line.read)
            if due > now:
                self.playout.idle(now)
                self._feed()
                await asyncio.sleep(min(due - now, PIECE_S))
                continue
            index, pcm = self.playout.next_sound(now)
            self._feed()
            for output in self.lines:
                output.offer(Sound(index, pcm, due))
            await asyncio.sleep(0)  # after a stall many are due at once

    async def _frames(self) -> None:
        """Let each frame leave when its time has come: its picture and its movement together."""
        while True:
            self._arrived.clear()
            frame, wait = self.playout.next_picture(time.monotonic())
            if frame is not None:
                self._give(frame)
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait if wait != float("inf") else None):
                    await self._arrived.wait()

    def _give(self, frame: Frame) -> None:
        assert frame.motion is not None
        position = RATIO * frame.position
        due = self.playout.clock.time_of(position)
        self._left.append(time.monotonic())
        for output in self.lines:
            output.offer(Movement(position, frame.motion, frame.speaking, due))
            if frame.picture.size:
                output.offer(Picture(position, frame.picture, due))

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        elif self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)
