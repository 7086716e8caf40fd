"""Sound that a program pushes at any pace, given out in 20 ms pieces as a microphone would give them.

It waits as it came and is resampled as it is given out, so that a sentence pushed at once, or in a million pieces,
costs no more than one that comes in time. Pure logic: no clock is read here.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from av import AudioFrame, AudioResampler

from engine.errors import VivifyError
from webrtc.media.voice_line import PIECE, VOICE_RATE, PcmArray

RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)  # Hz, what may be pushed
MOST_WAITING_S = 60  # sound that waits to be spoken; more is refused
MOST_ENDS = 256  # flushed stretches that wait to be spoken; more are refused
FIRST_PIECES = 2  # of a new stretch, before it begins: sound that comes in time does not stutter
PIECES_A_SECOND = VOICE_RATE // PIECE
BYTES = 2  # of a sample


class PushedVoice:
    """A bounded queue of sound. `next` always gives a piece: silence where nothing waits."""

    def __init__(self, rate: int) -> None:
        if rate not in RATES:
            raise VivifyError(f"The rate was expected to be one of {', '.join(map(str, RATES))} Hz, but {rate} came.")
        self.rate = rate
        self._waiting = bytearray()  # as it came, half a sample at its end perhaps
        self._taken = 0  # bytes that went on to be resampled
        self._ready: PcmArray = np.zeros(0, np.int16)  # 48 kHz, not given out yet
        self._given = 0  # samples given out, 48 kHz
        self._playing = False
        self._ends: deque[int] = deque()  # of flushed stretches, in bytes that came: played to there without more
        self._ending: deque[int] = deque()  # the same of those that are resampled, in samples given out
        self._begin()

    @property
    def waiting_s(self) -> float:
        return len(self._waiting) / BYTES / self.rate + len(self._ready) / VOICE_RATE

    def push(self, data: bytes) -> None:
        """PCM16, little endian, mono, at `rate`. Raises VivifyError when too much waits already."""
        if len(self._waiting) + len(data) > MOST_WAITING_S * self.rate * BYTES:
            raise VivifyError(
                f"At most {MOST_WAITING_S} s of sound may wait to be spoken, but more came: "
                "push no faster than that; this piece was dropped."
            )
        self._waiting += data

    def flush(self) -> None:
        """Nothing belongs to this stretch any more: play it to its end. Raises VivifyError when too many wait."""
        if len(self._ends) + len(self._ending) >= MOST_ENDS:
            raise VivifyError(
                f"At most {MOST_ENDS} flushed stretches may wait to be spoken, but one more came: "
                "wait until some were played; this flush was not heard."
            )
        if len(self._waiting) % BYTES:
            del self._waiting[-1:]
        self._ends.append(self._taken + len(self._waiting))

    def clear(self) -> None:
        """Forget what waits."""
        self._waiting.clear()
        self._ready = self._ready[:0]
        self._ends.clear()
        self._ending.clear()
        self._playing = False
        self._begin()

    def next(self) -> tuple[PcmArray, int]:
        """The next piece [960] int16, and how many flushed stretches end within it."""
        enough = PIECE if self._playing else FIRST_PIECES * PIECE
        self._resample(enough)
        self._playing = len(self._ready) >= enough or bool(self._ending)
        if not self._playing:
            return np.zeros(PIECE, np.int16), 0
        piece = np.zeros(PIECE, np.int16)
        part = self._ready[:PIECE]
        piece[: len(part)] = part
        self._ready = self._ready[PIECE:]
        self._given += len(part)
        ended = 0
        while self._ending and self._ending[0] <= self._given:
            self._ending.popleft()
            ended += 1
        return piece, ended

    def _begin(self) -> None:
        self._resampler = AudioResampler(format="s16", layout="mono", rate=VOICE_RATE)

    def _resample(self, enough: int) -> None:
        """Have so many samples ready, where so much waits; to the end of each stretch and beyond."""
        while len(self._ready) < enough or (self._ends and self._ends[0] == self._taken):
            until = self._ends[0] - self._taken if self._ends else len(self._waiting)
            size = min(until // BYTES, self.rate // PIECES_A_SECOND) * BYTES
            if size:
                self._take(size)
            elif self._ends:
                self._ends.popleft()
                self._keep(self._resampler.resample(None))
                self._begin()
                self._ending.append(self._given + len(self._ready))
            else:
                return

    def _take(self, size: int) -> None:
        pcm = np.frombuffer(bytes(self._waiting[:size]), "<i2").astype(np.int16)
        del self._waiting[:size]
        self._taken += size
        frame = AudioFrame.from_ndarray(pcm[np.newaxis], format="s16", layout="mono")
        frame.sample_rate = self.rate
        self._keep(self._resampler.resample(frame))

    def _keep(self, frames: list[AudioFrame]) -> None:
        pieces = [frame.to_ndarray().reshape(-1).astype(np.int16) for frame in frames]
        self._ready = np.concatenate([self._ready, *pieces])
