"""Sound that a program pushes at any pace, given out in 20 ms pieces as a microphone would give them.

Pure logic: no clock is read here.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from av import AudioFrame, AudioResampler

from engine.errors import VivifyError
from webrtc.media.voice_line import PIECE, VOICE_RATE, PcmArray

RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz, what may be pushed
MOST_WAITING_S = 60  # sound that waits to be spoken; more is refused
FIRST_PIECES = 2  # of a new stretch, before it begins: sound that comes in time does not stutter


class PushedVoice:
    """A bounded queue of sound. `next` always gives a piece: silence where nothing waits."""

    def __init__(self, rate: int) -> None:
        if rate not in RATES:
            raise VivifyError(f"The rate was expected to be one of {', '.join(map(str, RATES))} Hz, but {rate} came.")
        self.rate = rate
        self._waiting: deque[PcmArray] = deque()
        self._count = 0  # samples in it, 48 kHz
        self._given = 0  # samples given out
        self._playing = False
        self._ends: deque[int] = deque()  # of flushed stretches: played to there without waiting for more
        self._odd = b""  # half a sample of a message that ended within it
        self._begin()

    @property
    def waiting_s(self) -> float:
        return self._count / VOICE_RATE

    def push(self, data: bytes) -> None:
        """PCM16, little endian, mono, at `rate`. Raises VivifyError when too much waits already."""
        data = self._odd + data
        whole = len(data) // 2 * 2
        if self._count + (whole // 2) * VOICE_RATE // self.rate > MOST_WAITING_S * VOICE_RATE:
            raise VivifyError(
                f"At most {MOST_WAITING_S} s of sound may wait to be spoken, but more came: "
                "push no faster than that; this piece was dropped."
            )
        self._odd = data[whole:]
        if whole:
            self._take(np.frombuffer(data[:whole], "<i2"))

    def flush(self) -> None:
        """Nothing belongs to this stretch any more: play it to its end."""
        self._odd = b""
        self._keep(self._resampler.resample(None))
        self._begin()
        self._ends.append(self._given + self._count)

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._ends.clear()
        self._count, self._odd = 0, b""
        self._playing = False
        self._begin()

    def next(self) -> tuple[PcmArray, int]:
        """The next piece [960] int16, and how many flushed stretches end within it."""
        enough = PIECE if self._playing else FIRST_PIECES * PIECE
        self._playing = self._count >= enough or bool(self._ends)
        if not self._playing:
            return np.zeros(PIECE, np.int16), 0
        piece = self._pop()
        ended = 0
        while self._ends and self._ends[0] <= self._given:
            self._ends.popleft()
            ended += 1
        return piece, ended

    def _begin(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=VOICE_RATE)

    def _take(self, pcm: PcmArray) -> None:
        frame = AudioFrame.from_ndarray(pcm[np.newaxis].astype(np.int16), format="s16", layout="mono")
        frame.sample_rate = self.rate
        self._keep(self._resampler.resample(frame))

    def _keep(self, frames: list[AudioFrame]) -> None:
        for frame in frames:
            pcm: PcmArray = frame.to_ndarray().reshape(-1).astype(np.int16)
            if len(pcm):
                self._waiting.append(pcm)
                self._count += len(pcm)

    def _pop(self) -> PcmArray:
        piece, filled = np.zeros(PIECE, np.int16), 0
        while self._waiting and filled < PIECE:
            first = self._waiting[0]
            part = first[: PIECE - filled]
            piece[filled : filled + len(part)] = part
            filled += len(part)
            if len(part) == len(first):
                self._waiting.popleft()
            else:
                self._waiting[0] = first[len(part) :]
        self._count -= filled
        self._given += filled
        return piece
