"""A face that a program speaks through, in an engine of its own, without a network between.

    async with TalkingFace(rate=24_000) as face:
        await face.push(pcm)               # [n] int16, faster than it is spoken or slower
        face.mark("the end", ends=True)
        async for piece in face:           # Picture, Sound, Reached, each when it is due
            ...

The sound that leaves is the sound that was pushed, sample by sample; where nothing is said none leaves, only pictures.
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from types import TracebackType
from typing import Any

from clients.agents.face_clock import SLOT_S, FaceClock, Picture, Piece, Reached, Sound
from clients.agents.speech_queue import SILENT, PcmArray, SpeechQueue, ToEngine
from engine.clock import look_ahead_frames
from engine.config import DEFAULT_AVATAR, EngineConfig
from engine.contracts import DEFAULT_LOOK_AHEAD_MS, AudioChunk, Frame
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper, KeptSession

MOST_WAITING_S = 60.0  # of speech; who pushes more waits
UNTAKEN_S = 0.2  # with more sound that nobody takes, no more is said
UNTAKEN_PICTURES = 2
FIRST_PICTURE_S = 5.0


class TalkingFace:
    """Push speech, iterate over what leaves. Methods belong to one event loop; they raise VivifyError.

    ``lead_ms`` is how much sound the receiver is to hold against gaps. With ``together`` it holds the pictures of
    speech as well, because it plays both in the order in which they come. ``engine`` may be shared between faces;
    without one the face starts its own and ends it.
    """

    def __init__(
        self,
        *,
        avatar: str | None = None,
        rate: int = 24_000,
        size: int = 512,
        look_ahead_ms: int = DEFAULT_LOOK_AHEAD_MS,
        lead_ms: int = 0,
        together: bool = False,
        engine: EngineKeeper | None = None,
    ) -> None:
        look_ahead_frames(look_ahead_ms)
        self._speech = SpeechQueue(rate)
        self._to_engine = ToEngine(rate)
        self._clock = FaceClock(rate, look_ahead_ms / 1000, lead_ms / 1000, together)
        self._owned = engine is None
        self._engine = engine or EngineKeeper(EngineConfig(avatar or DEFAULT_AVATAR, size, 1))
        self._asked = None if engine is None else avatar, look_ahead_ms, 0  # avatar, look-ahead, seed
        self._session: KeptSession | None = None
        self._task: asyncio.Task[None] | None = None
        self._out: deque[Piece] = deque()
        self._untaken = 0  # samples in it
        self._lost: str | None = None
        self._closed = False
        self._wake, self._given, self._room, self._seen = (asyncio.Event() for _ in range(4))
        self._starting = asyncio.Lock()
        self.clears = 0  # how often speech was interrupted

    @property
    def rate(self) -> int:
        return self._speech.rate

    @property
    def size(self) -> int:
        """Side of the pictures in pixels."""
        return self._engine.config.size

    @property
    def delay_ms(self) -> float:
        """From the frame time in which sound begins to be said to its picture's leaving."""
        return 1000 * self._clock.delay_s

    @property
    def dropped(self) -> int:
        """Pictures that came and never left."""
        return self._clock.dropped

    @property
    def idle(self) -> bool:
        """Nothing is being said, and nothing waits to be."""
        waits = any(not isinstance(piece, Picture) for piece in self._out)
        return self._speech.empty and self._clock.idle and not waits

    async def __aenter__(self) -> TalkingFace:
        await self.start()
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None):  # type: ignore[no-untyped-def]
        await self.aclose()

    async def start(self) -> None:
        """Start the engine, if it is its own (seconds), and the clock, and wait for a picture. Raises VivifyError."""
        async with self._starting:
            if self._task is None and not self._closed:
                await self._start()

    async def _start(self) -> None:
        loop = asyncio.get_running_loop()

        def tell(do: Callable[[Any], None], what: Any) -> None:  # from the engine's thread
            if not loop.is_closed():
                loop.call_soon_threadsafe(do, what)

        try:
            if self._owned:
                await asyncio.to_thread(self._engine.start)
            self._session = await asyncio.to_thread(
                self._engine.open,
                *self._asked,
                lambda frame: tell(self._on_frame, frame),
                lambda reason: tell(self._on_lost, reason),
            )
        except BaseException:
            await self.aclose()
            raise
        self._clock.restart(time.monotonic())
        self._task = asyncio.create_task(self._run())
        try:
            async with asyncio.timeout(FIRST_PICTURE_S):
                await self._seen.wait()
        except TimeoutError:
            pass  # a busy machine: sound needs no pictures

    async def aclose(self) -> None:
        """End it. Calling it again does nothing."""
        if self._closed:
            return
        self._closed = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        if self._session is not None:
            self._session.close()
        if self._owned:
            await asyncio.to_thread(self._engine.stop)
        self._given.set()
        self._room.set()

    async def push(self, pcm: PcmArray) -> None:
        """Append speech, [n] int16. Waits while a minute of it waits; what a `clear` overtakes meanwhile is dropped."""
        clears = self.clears
        while self._speech.waiting_s > MOST_WAITING_S and not self._closed:
            self._room.clear()
            await self._room.wait()
        if clears == self.clears and not self._closed:
            self._speech.push(pcm)

    def mark(self, what: object, ends: bool = False) -> None:
        """Ask for `Reached` once all speech so far has left; ``ends``: it is a stretch's end."""
        self._speech.mark(what, ends)

    def clear(self) -> list[object]:
        """Barge-in: what has not left never does, and the mouth closes. Returns the marks that will not be reached."""
        self.clears += 1
        marks = [piece.what for piece in self._out if isinstance(piece, Reached)]
        marks += self._clock.clear()
        marks += [mark.what for mark in self._speech.clear()]
        self._out.clear()
        self._untaken = 0
        self._to_engine.reset()
        if self._session is not None:
            self._session.clear()
            if self._clock.due(now := time.monotonic()) < now + SLOT_S:
                self._begin()  # at once, in silence: the mouth need not wait for the next frame time
        self._room.set()
        self._wake.set()
        return marks

    def __aiter__(self) -> AsyncIterator[Piece]:
        return self

    async def __anext__(self) -> Piece:
        while not self._out:
            if self._lost is not None:
                raise VivifyError(self._lost)
            if self._closed:
                raise StopAsyncIteration
            self._given.clear()
            await self._given.wait()
        piece = self._out.popleft()
        if isinstance(piece, Sound):
            self._untaken -= len(piece.pcm)
        return piece

    async def _run(self) -> None:
        while True:
            now = time.monotonic()
            while self._clock.due(now) <= now:
                self._begin()
            for piece in self._clock.release(now):
                self._give(piece)
            try:
                async with asyncio.timeout(max(self._clock.next(now) - time.monotonic(), 0.0)):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()

    def _begin(self) -> None:
        """The next frame time: what is said in it goes to the engine."""
        assert self._session is not None
        slot = SILENT if self._untaken > UNTAKEN_S * self.rate else self._speech.take()
        if self._speech.waiting_s <= MOST_WAITING_S:
            self._room.set()
        position = self._clock.begin(slot)
        samples = self._to_engine.push(slot.pcm(self._speech.per_slot))
        self._session.push_audio(AudioChunk(position, samples))

    def _give(self, piece: Piece) -> None:
        if isinstance(piece, Picture):
            waiting = [other for other in self._out if isinstance(other, Picture)]
            if len(waiting) >= UNTAKEN_PICTURES:
                self._out = deque(other for other in self._out if other is not waiting[0])
        elif isinstance(piece, Sound):
            self._untaken += len(piece.pcm)
        self._out.append(piece)
        self._given.set()

    def _on_frame(self, frame: Frame) -> None:
        if self._session is not None and frame.epoch == self._session.epoch:
            self._clock.picture(frame, time.monotonic())
            self._seen.set()
            self._wake.set()

    def _on_lost(self, reason: str) -> None:
        self._lost = reason
        self._given.set()
