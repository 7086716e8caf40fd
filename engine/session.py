"""One person's stream inside the engine: audio in order, frames in order, epochs between them. No torch here."""

from __future__ import annotations

from collections import deque
from math import inf

import numpy as np

from engine.audio.chunker import FrameCutter, SpeechChunker
from engine.audio.vad import TurnDetector, VoiceActivity
from engine.audio.voice_arrays import as_voice
from engine.contracts import (
    FRAMES_PER_SECOND,
    SAMPLE_RATE,
    SAMPLES_PER_FRAME,
    AudioChunk,
    FloatArray,
    Frame,
    Motion,
    SpeechEvent,
)
from engine.errors import VivifyError

MAX_PENDING_SECONDS = 30  # audio waiting for the engine; more is refused, never silently dropped
LONGEST_SPEECH_SECONDS = 10  # a chunk of speech; what goes on longer comes in parts
MAX_WAITING_MOTIONS = MAX_PENDING_SECONDS * FRAMES_PER_SECOND  # nobody fetched; the newest win
PACE_S = 0.039  # from one frame to the next where several came in one go; less than they last, to forget a late one
MAX_WAITING_FRAMES = 8  # finished frames nobody fetched; in a live session the newest win


class Session:
    """`push_audio`, `clear`, `frames` and `motions` of one stream. The scheduler moves audio through it.

    Nothing blocks. A live session skips drawing when it has fallen behind; any other draws every frame. With
    ``matte`` its pictures are RGBA; one that ``moves_only`` has empty ones.
    """

    _heard: int  # end of the last frame that voice detection has heard
    _voice: VoiceActivity
    _turns: TurnDetector
    _chunker: SpeechChunker

    def __init__(self, row: int, live: bool = True, matte: bool = False, moves_only: bool = False) -> None:
        self.row = row
        self.live = live
        self.matte = matte
        self.moves_only = moves_only
        self.epoch = 0
        self.closed = False  # by the scheduler; nothing more may be asked of it then
        self.dropped = 0  # frames never drawn, or overwritten before anyone fetched them
        self.to_leave_out = 0.0  # pictures, as far as lateness has asked for it
        self.expected = inf  # monotonic time from which on the frame taken last could be expected
        self._cutter = FrameCutter()
        self._listen_from(0)
        self._pending: deque[AudioChunk] = deque()  # whole frames of 640 samples
        self._arrivals: deque[float] = deque()  # monotonic time at which each pending frame was complete
        self._frames: deque[Frame] = deque(maxlen=MAX_WAITING_FRAMES if live else None)
        self._motions: deque[Motion] = deque(maxlen=MAX_WAITING_MOTIONS)
        self._skipped = 0
        self.events: deque[SpeechEvent] = deque(maxlen=64)  # when speech began and ended; the oldest are forgotten
        self.speech: deque[AudioChunk] = deque(maxlen=4)  # what was said, cut where speech began and ended

    @property
    def speaking(self) -> bool:
        return self._turns.speaking

    @property
    def pending(self) -> int:
        """Whole audio frames that wait for the engine."""
        return len(self._pending)

    @property
    def turn(self) -> tuple[float, int]:
        """Of sessions with a frame, the least one's is taken first: by when it could be expected, then by its place."""
        return self._expected_next(), self._pending[0].position

    def check_open(self) -> None:
        """Raises VivifyError once the session has been closed."""
        if self.closed:
            raise VivifyError("The session was expected to be open, but it has been closed: open another one.")

    def push_audio(self, chunk: AudioChunk, now: float = 0.0) -> None:
        """Append sound. ``now`` is the monotonic time of arrival, for the ledger.

        Raises VivifyError when the session is closed, the sound is no mono sound at 16 kHz (see `as_voice`), the chunk
        does not continue the clock, or too much is waiting already.
        """
        self.check_open()
        if chunk.rate != SAMPLE_RATE:
            raise VivifyError(
                f"Sound at {SAMPLE_RATE} Hz was expected, but {chunk.rate} Hz came: "
                f"RateConverter({chunk.rate}, {SAMPLE_RATE}) of engine.audio.rate_converter brings it there."
            )
        samples = as_voice(chunk.samples)
        if chunk.position != self._cutter.position:
            raise VivifyError(
                f"Audio was expected to go on at sample {self._cutter.position}, but sample {chunk.position} came: "
                "chunks must follow one another on the session's clock."
            )
        limit = MAX_PENDING_SECONDS * SAMPLE_RATE
        if self.pending * SAMPLES_PER_FRAME + len(samples) > limit:
            raise VivifyError(
                f"At most {MAX_PENDING_SECONDS} s of audio may wait for the engine, but more came: "
                "push it at the pace at which frames come out."
            )
        for frame in self._cutter.push(samples):
            self._pending.append(frame)
            self._arrivals.append(now)

    def clear(self, now: float = 0.0, times: int = 1) -> int:
        """Barge-in at the monotonic time ``now``: forget all sound and every frame not fetched. Returns the new epoch.

        ``times`` that came at once are one, but count as so many epochs.

        The clock does not stop: sound that waited is skipped, and `take_skipped` tells how many frames that was. The
        frame that was filling is taken for silence and goes to the engine at once, so that the mouth need not wait for
        more sound to close; up to 40 ms of what follows is not heard.
        """
        self.epoch += times
        self._skipped += len(self._pending)
        self._pending.clear()
        self._arrivals.clear()
        if (closing := self._cutter.finish()) is not None:
            self._pending.append(closing)
            self._arrivals.append(now)
        self._frames.clear()
        self._motions.clear()
        return self.epoch

    def take_skipped(self) -> int:
        """Frames of audio that barge-ins removed since the last call."""
        skipped, self._skipped = self._skipped, 0
        return skipped

    def next_audio(self) -> tuple[AudioChunk, float, float] | None:
        """The next whole frame of sound, its loudness 0..1, and when it arrived; None when there is none."""
        if not self._pending:
            return None
        chunk = self._pending.popleft()
        if chunk.position != self._heard:  # a barge-in took away what lay between
            self._listen_from(chunk.position)
        self._heard = chunk.end
        self.expected, arrived = self._expected_next(), self._arrivals.popleft()
        settled = [self._turns.push(decision) for decision in self._voice.push(chunk.samples)]
        events = [event for event in settled if event is not None]
        self.events.extend(events)
        self.speech.extend(self._chunker.push(chunk.samples, events))
        return chunk, loudness(chunk.samples), arrived

    def _expected_next(self) -> float:
        """When the next frame can be expected: those that came in one go, one by one; inf where nobody told when."""
        arrived = self._arrivals[0] or inf
        return arrived if self.expected == inf else max(arrived, self.expected + PACE_S)

    def _listen_from(self, position: int) -> None:
        """Start voice detection anew at ``position``."""
        self._heard = position
        self._voice = VoiceActivity(position)
        self._turns = TurnDetector()
        self._chunker = SpeechChunker(position, LONGEST_SPEECH_SECONDS * SAMPLE_RATE)

    def deliver(self, frame: Frame) -> None:
        """Called by the scheduler with a finished frame; one of an older epoch is dropped."""
        if frame.epoch != self.epoch:
            self.dropped += 1
            return
        if self._frames.maxlen is not None and len(self._frames) == self._frames.maxlen:
            self.dropped += 1
        self._frames.append(frame)

    def frames(self) -> list[Frame]:
        """Every finished frame not fetched before, oldest first."""
        ready = list(self._frames)
        self._frames.clear()
        return ready

    def moved(self, motion: Motion) -> None:
        """Called by the scheduler with the motion of every frame, drawn or not."""
        self._motions.append(motion)

    def motions(self) -> list[Motion]:
        """Every motion not fetched before, oldest first: one a frame, also of frames that were not drawn."""
        ready = list(self._motions)
        self._motions.clear()
        return ready


def loudness(samples: FloatArray) -> float:
    """Level of a piece of sound on 0..1: -50 dB full scale and below is 0, -10 dB is 1."""
    rms = float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-12))
    return float(np.clip((20 * np.log10(rms) + 50) / 40, 0.0, 1.0))
