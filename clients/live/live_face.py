"""One voice and its face on one clock, given to any set of outputs: what `vivify live` is.

The clock is the server's own (`webrtc.media.playout`): a sample leaves one delay after it came, and the picture of that
instant leaves with it. Whatever an output does, the next piece leaves in time.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Any

from clients.live.leaving import Leaving
from clients.live.sound_sources import SoundSource
from clients.outputs.output import Facts, Picture
from clients.outputs.output_line import OutputLine
from engine.contracts import Frame
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper, KeptSession
from webrtc.media.playout import Playout
from webrtc.media.voice_line import PcmArray


class LiveFace:
    """Runs until its source ends. Everything happens on one event loop; outputs have threads of their own."""

    def __init__(
        self,
        engine: EngineKeeper,
        source: SoundSource,
        lines: list[OutputLine],
        look_ahead_ms: int,
        wishes: dict[str, Any] | None = None,
        badge: bool = False,
    ) -> None:
        """``wishes`` are `Controls` to begin with; with ``badge`` pictures say for all to see that they are made."""
        self.source = source
        self.lines = lines
        self.playout = Playout(look_ahead_ms, time.monotonic())
        self.leaving = Leaving(self.playout, lines, self._feed)
        self._engine = engine
        self._look_ahead_ms = look_ahead_ms
        self._wishes = wishes or {}
        self._badge = badge
        self._session: KeptSession | None = None
        self._over: asyncio.Future[None] | None = None
        self._ends_at: int | None = None  # timeline index behind which there is no voice

    @property
    def draws(self) -> bool:
        """Whether anybody wants to see pictures; else the session only moves."""
        return any(Picture in line.output.wants for line in self.lines)

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
            tasks = [loop.create_task(self.leaving.sounds(self._spoken)), loop.create_task(self.leaving.frames())]
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
        self.leaving.end()

    async def _open(self, loop: asyncio.AbstractEventLoop, avatar: str | None, seed: int) -> None:
        facts = Facts(avatar or self._engine.default_avatar, self._engine.config.size, self.playout.delay)
        await self.leaving.start(facts)

        def on_frame(frame: Frame) -> None:  # on the engine's reader thread
            loop.call_soon_threadsafe(self.leaving.came, frame)

        def on_lost(reason: str) -> None:
            loop.call_soon_threadsafe(self._fail, VivifyError(reason))

        def on_sound(pts: int, pcm: PcmArray, now: float) -> None:  # on the source's thread
            with contextlib.suppress(RuntimeError):  # the loop has ended
                loop.call_soon_threadsafe(self._on_sound, pts, pcm, now)

        def on_end(reason: str) -> None:
            with contextlib.suppress(RuntimeError):
                loop.call_soon_threadsafe(self._on_end, reason)

        self._session = await asyncio.to_thread(
            self._engine.open, avatar, self._look_ahead_ms, seed, on_frame, on_lost, False, not self.draws, self._badge
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

    def _feed(self) -> None:
        assert self._session is not None
        for chunk in self.playout.line.chunks():
            self._session.push_audio(chunk)

    def _spoken(self) -> bool:
        """Whether the source has ended, and all of it has left."""
        return self._ends_at is not None and self.playout.line.read >= self._ends_at

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._fail(error)
        elif self._over is not None and not self._over.done():
            self._over.set_result(None)

    def _fail(self, error: BaseException) -> None:
        if self._over is not None and not self._over.done():
            self._over.set_exception(error)
