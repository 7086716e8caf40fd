"""What a program wants said, cut into the frame times of a face: sound to the sample, and marks between the samples.

Pure logic: no clock is read here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from av import AudioFrame, AudioResampler

from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray
from engine.errors import VivifyError

PcmArray = npt.NDArray[np.int16]

RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz; whole samples in every frame time
DRY_SLOTS = 4  # frame times after which what is too short for one is said all the same: nobody has flushed
PRIMED = 96  # samples of 16 kHz that the resampler may lag behind


@dataclass(frozen=True, slots=True)
class Mark:
    """Something of the caller's that has a place in what is said. ``ends``: it ends a stretch of speech."""

    what: object
    ends: bool


@dataclass(frozen=True, slots=True)
class Slot:
    """One frame time, 40 ms. ``parts`` are sound and marks in their order; no sound means silence.

    Between two marks the sound is one piece.
    """

    parts: tuple[PcmArray | Mark, ...] = ()

    @property
    def samples(self) -> int:
        return sum(len(part) for part in self.parts if not isinstance(part, Mark))

    @property
    def ends(self) -> bool:
        return any(isinstance(part, Mark) and part.ends for part in self.parts)

    def pcm(self, length: int) -> PcmArray:
        """Its sound [length], filled with silence."""
        out = np.zeros(length, np.int16)
        sound = [part for part in self.parts if not isinstance(part, Mark)]
        if sound:
            out[: self.samples] = np.concatenate(sound)
        return out


SILENT = Slot()


class SpeechQueue:
    """Sound and marks in order. `take` gives what one frame time holds.

    A stretch of speech begins with a whole frame time of sound, or when its end is there, and is never filled up from
    the next one: between two of them lies at least one silent frame time.
    """

    def __init__(self, rate: int) -> None:
        if rate not in RATES:
            raise VivifyError(f"The rate was expected to be one of {', '.join(map(str, RATES))} Hz, but {rate} came.")
        self.rate = rate
        self.per_slot = rate // FRAMES_PER_SECOND
        self._parts: deque[PcmArray | Mark] = deque()
        self._count = 0  # samples in it
        self._ends = 0  # marks in it that end something
        self._dry = 0
        self._pause = False

    @property
    def waiting_s(self) -> float:
        return self._count / self.rate

    @property
    def empty(self) -> bool:
        return not self._parts

    def push(self, pcm: PcmArray) -> None:
        """Append sound, [n] int16 mono."""
        if len(pcm):
            self._parts.append(pcm)
            self._count += len(pcm)

    def mark(self, what: object, ends: bool = False) -> None:
        """Append a mark."""
        self._parts.append(Mark(what, ends))
        self._ends += ends

    def clear(self) -> list[Mark]:
        """Forget everything. The marks whose place will never come."""
        marks = [part for part in self._parts if isinstance(part, Mark)]
        self._parts.clear()
        self._count = self._ends = self._dry = 0
        self._pause = False
        return marks

    def take(self) -> Slot:
        """The next frame time."""
        if self._pause or not self._parts:
            self._pause, self._dry = False, 0
            return SILENT
        if not self._ready():
            self._dry += 1
            return SILENT
        self._dry = 0
        parts: list[PcmArray | Mark] = []
        room = self.per_slot
        while self._parts and (room or isinstance(self._parts[0], Mark)):
            part = self._parts.popleft()
            if isinstance(part, Mark):
                parts.append(part)
                if part.ends:
                    self._ends -= 1
                    self._pause = True
                    break
                continue
            if len(part) > room:
                self._parts.appendleft(part[room:])
                part = part[:room]
            taken = len(part)
            if parts and not isinstance(parts[-1], Mark):
                part = np.concatenate([parts.pop(), part])
            room -= taken
            self._count -= taken
            parts.append(part)
        return Slot(tuple(parts))

    def _ready(self) -> bool:
        only_marks = self._count == 0
        return only_marks or self._ends > 0 or self._count >= self.per_slot or self._dry >= DRY_SLOTS


class ToEngine:
    """Frame times of sound at ``rate`` in, as many of 640 samples at 16 kHz out, late by a few milliseconds."""

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._ready = np.zeros(0, np.int16)
        self.reset()

    def reset(self) -> None:
        """What comes next has nothing to do with what came before."""
        self._resampler = AudioResampler(format="s16", layout="mono", rate=SAMPLE_RATE)
        self._ready = np.zeros(0 if self._rate == SAMPLE_RATE else PRIMED, np.int16)

    def push(self, pcm: PcmArray) -> FloatArray:
        """``pcm`` [rate / 25] int16: [640] float32 in [-1, 1]."""
        frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self._rate
        made = [out.to_ndarray().reshape(-1).astype(np.int16) for out in self._resampler.resample(frame)]
        ready = np.concatenate([self._ready, *made])
        out, self._ready = ready[:SAMPLES_PER_FRAME], ready[SAMPLES_PER_FRAME:]
        if len(out) < SAMPLES_PER_FRAME:  # a resampler that lags by more: silence, once
            out = np.concatenate([np.zeros(SAMPLES_PER_FRAME - len(out), np.int16), out])
        return out.astype(np.float32) / 32768


def mono(data: bytes | memoryview, channels: int = 1) -> PcmArray:
    """PCM16 of one or more interleaved channels as one [n] int16. Raises VivifyError for a broken sample."""
    if len(data) % (2 * channels):
        raise VivifyError(
            f"Whole samples of 16 bits in {channels} channels were expected, but {len(data)} bytes came: "
            "push sound as it was made, cut between samples."
        )
    pcm = np.frombuffer(data, "<i2")
    if channels > 1:
        return np.asarray(pcm.reshape(-1, channels).astype(np.int32).mean(1).round(), np.int16)
    return pcm.astype(np.int16)  # a copy: the caller may use its memory again
