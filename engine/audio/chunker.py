"""Cut a voice: into video frames for the engine, and into stretches of speech for whoever wants those."""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, AudioChunk, FloatArray, SpeechEvent


class FrameCutter:
    """Pushes of any length in, chunks of exactly one video frame (640 samples) out, each with its position."""

    def __init__(self, position: int = 0) -> None:
        if position % SAMPLES_PER_FRAME:
            raise ValueError(f"A stream of frames starts at a multiple of {SAMPLES_PER_FRAME} samples, not {position}.")
        self._start = position  # of what waits
        self._rest = np.zeros(0, np.float32)
        self._ahead = 0  # samples of a frame given out before its time, still to come

    @property
    def position(self) -> int:
        """Where the next push begins on the sample clock."""
        return self._start + len(self._rest) - self._ahead

    def finish(self) -> AudioChunk | None:
        """The frame that is filling, at once and all of it silent; its samples are dropped as they come.

        None where that has just been done: the clock must not be left behind.
        """
        if self._ahead:
            return None
        chunk = AudioChunk(self._start, np.zeros(SAMPLES_PER_FRAME, np.float32))
        self._ahead = SAMPLES_PER_FRAME - len(self._rest)
        self._start += SAMPLES_PER_FRAME
        self._rest = self._rest[:0]
        return chunk

    def push(self, samples: FloatArray) -> list[AudioChunk]:
        """samples [n] -> the frames they complete; what is left over waits for the next push."""
        if samples.ndim != 1:
            raise ValueError(f"FrameCutter expects mono samples [n], got {samples.shape}.")
        dropped = min(self._ahead, len(samples))
        self._ahead -= dropped
        samples = samples[dropped:]
        waiting = np.concatenate([self._rest, samples.astype(np.float32, copy=False)])
        whole = len(waiting) // SAMPLES_PER_FRAME * SAMPLES_PER_FRAME
        chunks = [
            AudioChunk(self._start + at, waiting[at : at + SAMPLES_PER_FRAME])
            for at in range(0, whole, SAMPLES_PER_FRAME)
        ]
        self._start += whole
        self._rest = waiting[whole:]
        return chunks


class SpeechChunker:
    """Sound and speech events in, stretches of speech [start, end) out.

    Sound is kept only while it may still be asked for: a second before speech begins, and the speech itself up to
    ``longest`` samples, after which it is handed out in parts that follow each other without a gap.
    """

    def __init__(self, position: int = 0, longest: int = 30 * SAMPLE_RATE, history: int = SAMPLE_RATE) -> None:
        self._longest, self._history = longest, history
        self._kept: deque[FloatArray] = deque()  # put together when asked for: that is once in seconds, not every frame
        self._from = position  # position of the first kept sample
        self._start: int | None = None  # of the speech going on

    @property
    def kept(self) -> int:
        """How many samples are held."""
        return sum(map(len, self._kept))

    def push(self, samples: FloatArray, events: list[SpeechEvent]) -> list[AudioChunk]:
        """The next samples [n], and the events that settled within them; returns the stretches that are complete."""
        self._kept.append(samples.astype(np.float32, copy=False))
        chunks = []
        for event in events:
            if event.kind == "start":
                self._start = max(event.position, self._from)
            elif self._start is not None:
                chunks += self._cut(self._start, event.position)
                self._start = None
        now = self._from + self.kept
        if self._start is not None and now - self._start >= self._longest:
            chunks += self._cut(self._start, self._start + self._longest)
            self._start += self._longest
        self._forget(now - self._history if self._start is None else self._start)
        return chunks

    def _cut(self, start: int, end: int) -> list[AudioChunk]:
        piece = np.concatenate(self._kept)[start - self._from : max(0, end - self._from)]
        return [AudioChunk(start, piece.copy())] if len(piece) else []

    def _forget(self, before: int) -> None:
        while self._from < before:
            first = self._kept.popleft()
            if (left := len(first) - (before - self._from)) > 0:
                self._kept.appendleft(first[-left:].copy())
            self._from = min(self._from + len(first), before)
