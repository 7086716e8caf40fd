"""Lets sound, pictures and movements leave one playout, each when its time has come, to every output."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable

from clients.outputs.output import Facts, Movement, Picture, Sound
from clients.outputs.output_line import OutputLine
from engine.contracts import FRAMES_PER_SECOND, Frame
from webrtc.media.playout import PIECE_S, Playout
from webrtc.media.voice_line import RATIO, VOICE_RATE


class Leaving:
    """`sounds` and `frames` are tasks of one event loop; whatever an output does, the next piece leaves in time."""

    def __init__(self, playout: Playout, lines: list[OutputLine], feed: Callable[[], None] = lambda: None) -> None:
        """``feed`` is called when the timeline may have grown: where somebody wants what is written on it."""
        self.playout = playout
        self.lines = lines
        self._feed = feed
        self.shown = 0  # frames that left
        self._span: tuple[int, int] | None = None  # positions of the first and the last of them
        self._arrived = asyncio.Event()
        self._left: deque[float] = deque(maxlen=2 * FRAMES_PER_SECOND)
        playout.encode_s = 0.0  # a picture leaves with its sound; how long outputs take is theirs

    @property
    def fps(self) -> int:
        """Frames that left within the last second."""
        now = time.monotonic()
        return sum(left > now - 1 for left in self._left)

    @property
    def seconds(self) -> float:
        """From the first frame that left to the last."""
        return 0.0 if self._span is None else (self._span[1] - self._span[0]) / VOICE_RATE

    async def start(self, facts: Facts) -> None:
        """Start every output, all at once. Raises what the first that cannot be had says."""
        await asyncio.gather(*(asyncio.to_thread(line.start, facts) for line in self.lines))

    def end(self) -> None:
        """Close every output; none is waited for that hangs."""
        for line in self.lines:
            line.end()
        for line in self.lines:
            line.join()

    def came(self, frame: Frame) -> None:
        """A frame: it leaves with its sound."""
        self.playout.picture(frame, time.monotonic())
        self._arrived.set()

    async def sounds(self, over: Callable[[], bool] = lambda: False) -> None:
        """Let each 20 ms leave when its time has come, until it is ``over``; without a voice, silence."""
        line = self.playout.line
        while not over():
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

    async def frames(self) -> None:
        """Let each frame leave when its time has come: its picture and its movement together."""
        while True:
            self._arrived.clear()
            frame, wait = self.playout.next_picture(time.monotonic())
            if frame is not None:
                self.give(frame, self.playout.clock.time_of(RATIO * frame.position))
                continue
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait if wait != float("inf") else None):
                    await self._arrived.wait()

    def give(self, frame: Frame, due: float) -> None:
        """Let a frame leave now."""
        position = RATIO * frame.position
        self.shown += 1
        self._span = (position if self._span is None else self._span[0], position)
        self._left.append(time.monotonic())
        for output in self.lines:
            if frame.motion is not None:
                output.offer(Movement(position, frame.motion, frame.speaking, due))
            if frame.picture.size:
                output.offer(Picture(position, frame.picture, due))
