"""The shared playout clock: when each sound and each picture leaves, so that one instant leaves together.

A sample that came is due to leave ``delay`` later: the engine's structural delay (look-ahead and one frame) plus a
margin for compute, jitter and encoding. The voice line delays the sound by exactly that; pictures are released
against the same clock. All times are monotonic seconds handed in by the caller: no clock is read here.
"""

from __future__ import annotations

from collections import deque

import numpy as np

from engine.clock import structural_delay_ms
from engine.contracts import FRAMES_PER_SECOND, SAMPLES_PER_FRAME, Frame
from webrtc.media.catching_up import CatchingUp
from webrtc.media.voice_line import PIECE, RATIO, VOICE_RATE, PcmArray, VoiceLine, VoicePiece

FRAME = RATIO * SAMPLES_PER_FRAME  # 1920 samples of 48 kHz
FRAME_S = FRAME / VOICE_RATE  # 0.040
PIECE_S = PIECE / VOICE_RATE  # 0.020
OPUS_DELAY = 312  # samples by which an Opus encoder delays its sound: it leaves that much earlier
MARGIN_S = 0.015  # at the start; then as the pictures' measured lateness asks
MIN_MARGIN_S, MAX_MARGIN_S = 0.012, 0.200
SLACK_S = 0.001  # what a picture should have to spare
SPARE_S = 0.001  # more than that is given back
MAX_SLEW = 0.002  # seconds per second by which the pace may differ from the sender's: inaudible...
QUICK_SLEW = 0.02  # ...in silence, or when the face suffers: a receiver still follows without a crack
SUFFERING_S = 0.020  # more delay than this is owed to the pictures
GUARD_S = 0.030  # with less than this ahead of the reader, missing voice is replaced by silence
STALL_S = 0.400  # who stood still for so long goes on where he was, see `webrtc.media.catching_up`
ABSENT_S = 0.300  # without voice for so long, the clock runs on silence as if it came in time
LATE_LIMIT_S = 0.080  # a picture later than this is dropped...
HOLD_LIMIT_S = 0.060  # ...unless none left for so long: a face that is late is better than one that freezes
PICTURE_QUEUE = 64  # pictures waiting for their time (a held-up voice brings them early); the oldest are dropped


class PaceClock:
    """Turns a timeline index into the monotonic time at which it leaves, and steers gently towards an aim."""

    def __init__(self, origin: float) -> None:
        self._origin = origin
        self._steered = origin

    def time_of(self, index: float) -> float:
        return self._origin + index / VOICE_RATE

    def postpone(self, seconds: float) -> None:
        """Let everything leave so much later."""
        self._origin += seconds

    def steer(self, error: float, now: float, slew: float) -> None:
        """Move the leaving times by ``error`` seconds, at most ``slew`` of the time since the last call."""
        limit = slew * min(max(now - self._steered, 0.0), 0.1)
        self._steered = now
        self._origin += min(max(error, -limit), limit)


class Lead:
    """How early the voice comes on the timeline: index minus time of the best of the last packets, in seconds.

    The best, so that jitter does not count. It knows nothing of the pace: steering does not disturb it.
    """

    WINDOW = 100  # packets, 2 s
    ENOUGH = 25  # packets before it is believed
    LONGEST_MOVE_S = 1.0

    def __init__(self) -> None:
        self._values: deque[float] = deque(maxlen=self.WINDOW)
        self.best: float | None = None

    def add(self, index: int, now: float) -> None:
        self._values.append(index / VOICE_RATE - now)
        self.best = max(self._values) if len(self._values) >= self.ENOUGH else None

    def forget(self) -> None:
        self._values.clear()
        self.best = None

    def move(self, samples: int) -> None:
        """The timeline moved against the sender's time stamps; after a jump the past tells nothing."""
        seconds = samples / VOICE_RATE
        if abs(seconds) > self.LONGEST_MOVE_S:
            self.forget()
        elif samples:
            self._values = deque((value + seconds for value in self._values), self.WINDOW)
            self.best = None if self.best is None else self.best + seconds


class Margin:
    """Time beyond the structural delay, grown when pictures keep coming late and shrunk again when they do not.

    One hiccup is not worth a longer delay: a picture held for once is. So a fifth of the last second, or a
    twentieth of the last four, must be late. It shrinks to what all but a fiftieth of the last four needed: a picture
    that comes some milliseconds late is shown that much later, and nobody sees it.
    """

    SECOND, WINDOW = 25, 100  # pictures
    LARGEST_STEP_S = 0.060

    def __init__(self) -> None:
        self.seconds = MARGIN_S
        self._slack: deque[float] = deque(maxlen=self.WINDOW)

    def forget(self) -> None:
        """What was noted tells nothing any more."""
        self._slack.clear()

    def note(self, slack: float) -> None:
        """``slack``: seconds a picture was early (late if negative)."""
        self._slack.append(slack)
        if len(self._slack) % self.SECOND:
            return
        values = np.fromiter(self._slack, float)
        spare = float(np.percentile(values[-self.SECOND :], 20)) - SLACK_S
        if spare > 0 and len(values) == self.WINDOW:
            spare = float(np.percentile(values, 5)) - SLACK_S
        if spare < 0:
            self.seconds = min(self.seconds + min(-spare, self.LARGEST_STEP_S), MAX_MARGIN_S)
        elif len(values) == self.WINDOW and (room := float(np.percentile(values, 2)) - SLACK_S) > SPARE_S:
            self.seconds = max(self.seconds - room / 2, MIN_MARGIN_S)
        if spare < 0 or len(values) == self.WINDOW:
            self._slack.clear()


class Playout:
    """One peer's voice line and pictures on one clock.

    Sound: `voice` takes packets, `idle` keeps the clock running without them, `next_sound` gives 20 ms pieces.
    Pictures: `picture` takes frames, `next_picture` gives the newest that is due. `line.chunks()` feeds the engine.
    """

    def __init__(self, look_ahead_ms: int, now: float) -> None:
        self.line = VoiceLine()
        self.margin = Margin()
        self.set_look_ahead(look_ahead_ms)
        self.clock = PaceClock(now + self.delay)
        self.encode_s = 0.005  # measured by the video track; pictures leave their queue that much earlier
        self.epoch = 0
        self.shown = 0  # pictures that left
        self.dropped = 0  # pictures that came and never left
        self.first_picture: int | None = None  # index of the first and the last picture that left
        self.last_picture = -1
        self._lead = Lead()
        self._catching_up = CatchingUp()
        self._to_settle = 0  # pictures after a stall that tell nothing of the pace
        self._pictures: deque[Frame] = deque()
        self._last_voice = -np.inf
        self._last_shown = now
        self._hurry = False  # after a barge-in: the first picture does not wait for its time

    def set_look_ahead(self, look_ahead_ms: int) -> None:
        """The engine waits for so much sound from now on; the delay goes there as any other change of it does."""
        self.structural = structural_delay_ms(look_ahead_ms) / 1000

    def restart(self, now: float) -> None:
        """Let the first piece, which has not left yet, be due one delay from ``now``."""
        self.clock = PaceClock(now + self.delay)
        self._last_shown = now

    @property
    def delay(self) -> float:
        """The aim: seconds from a sample's coming to its leaving."""
        return self.structural + self.margin.seconds

    @property
    def measured_delay(self) -> float | None:
        """The same as it was over the last packets; None while there are too few."""
        return None if self._lead.best is None else self.clock.time_of(0) + self._lead.best

    def new_sender(self) -> None:
        """Somebody else speaks from now on: time stamps and pace are learned anew, the timeline goes on."""
        self.line.new_sender()
        self._lead.forget()
        self._catching_up = CatchingUp()

    def voice(self, pts: int, pcm: PcmArray, now: float) -> None:
        """A packet came: ``pcm`` [n] int16 mono 48 kHz, first sample at the sender's ``pts``."""
        self.hear(VoicePiece(pts, pcm), now)

    def hear(self, piece: VoicePiece, now: float) -> None:
        """The same of which more is known. What comes behind others mends the sound and tells nothing of the pace."""
        if piece.late or piece.again:
            self.line.take_in(piece)
            return
        measured = self.measured_delay
        error = 0.0 if measured is None else self.delay - measured
        if measured is not None:
            self._catching_up.note(-error)
        self._lead.move(self.line.take_in(piece, round(error * VOICE_RATE), self._catching_up.shares))
        self._lead.add(self.line.newest, now)
        self.clock.steer(error, now, QUICK_SLEW if self.line.in_silence or error > SUFFERING_S else MAX_SLEW)
        self._last_voice = now

    def idle(self, now: float) -> None:
        """Write silence where voice is missing: at once without a sender, at the last moment within a voice."""
        absent = now - self._last_voice > ABSENT_S
        ahead = self.delay - PIECE_S / 2 if absent else GUARD_S
        missing = ahead - (self.clock.time_of(self.line.written) - now)
        if missing > 0:
            self.line.pad(PIECE * int(np.ceil(missing / PIECE_S)), broke_off=not absent)

    def stood_still(self, seconds: float) -> None:
        """The next piece of sound is so late: nothing ran here. The timeline goes on where it was.

        Otherwise silence would leave in one go for all that time, and the voice that waits outside come too late.
        """
        self.clock.postpone(seconds)
        self._lead.forget()  # whether a voice waits, or stood still as well, shows in what comes
        self._catching_up.stalled()

    def sound_due(self) -> float:
        """When the next piece of sound leaves; its sound is that of the picture leaving at ``time_of`` its index."""
        return self.clock.time_of(self.line.read - OPUS_DELAY)

    def next_sound(self, now: float) -> tuple[int, PcmArray]:
        """The next piece: its timeline index and [960] int16. Call it when `sound_due` has come."""
        self.idle(now)
        index = self.line.read
        return index, self.line.take(PIECE)

    def picture(self, frame: Frame, now: float) -> None:
        """A frame came from the engine. One of an older epoch is dropped."""
        if frame.epoch != self.epoch:
            self.dropped += 1
            return
        measured = self.measured_delay
        owed = 0.0 if measured is None else max(self.delay - measured, 0.0)  # asked for already, not reached yet
        self._note_slack(self._release(frame) + owed - now, 0.0 if measured is None else measured - self.delay)
        if len(self._pictures) == PICTURE_QUEUE:
            self._pictures.popleft()
            self.dropped += 1
        self._pictures.append(frame)

    def next_picture(self, now: float) -> tuple[Frame | None, float]:
        """The newest picture that is due, and the seconds to wait before asking again (for ever: infinity)."""
        while len(self._pictures) > 1 and self._release(self._pictures[1]) <= now:
            self._pictures.popleft()
            self.dropped += 1
        if not self._pictures:
            return None, np.inf
        wait = self._release(self._pictures[0]) - now
        if wait > 0 and not self._hurry:
            return None, wait
        frame = self._pictures.popleft()
        if -wait > LATE_LIMIT_S and now - self._last_shown < HOLD_LIMIT_S:
            self.dropped += 1
            return None, 0.0
        self._note_shown(frame, now)
        return frame, 0.0

    def clear(self, epoch: int) -> None:
        """Barge-in: sound and pictures of before ``epoch`` do not leave any more.

        The first picture of the new epoch leaves at once: its sound is silence, and the mouth should close.
        """
        self.epoch = epoch
        self._hurry = True
        self.dropped += len(self._pictures)
        self._pictures.clear()
        self.line.mute()

    @property
    def held(self) -> int:
        """Frame times in which the last picture stood still, since the first one left."""
        if self.first_picture is None:
            return 0
        return self.last_picture - self.first_picture + 1 - self.shown

    def _release(self, frame: Frame) -> float:
        return self.clock.time_of(RATIO * frame.position) - self.encode_s

    def _note_slack(self, slack: float, late: float) -> None:
        """Let the margin follow a picture's ``slack``; not that of a stall, which no margin could hold."""
        if slack < -STALL_S or late > STALL_S:
            self._to_settle = 2 * FRAMES_PER_SECOND
            self.margin.forget()
        elif self._to_settle:
            self._to_settle -= 1
        else:
            self.margin.note(slack)

    def _note_shown(self, frame: Frame, now: float) -> None:
        index = frame.position // SAMPLES_PER_FRAME
        if self.first_picture is None:
            self.first_picture = index
        self.last_picture = index
        self._last_shown = now
        self._hurry = False
        self.shown += 1
