"""When what a face says and shows leaves. Pure logic: no clock is read here; times are monotonic seconds.

Frame time ``k`` begins 40 ms after the one before. What is said in it is known then, its picture some time later, after
the look-ahead and what computing takes; then both are due. A receiver that plays at once what it gets would stutter at
every hiccup, so what follows the first sound of a stretch leaves with it, and all later sound before it is due. The
delay changes only where nothing is said.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

from clients.agents.speech_queue import Mark, PcmArray, Slot
from engine.contracts import FRAMES_PER_SECOND, SAMPLE_RATE, SAMPLES_PER_FRAME, ByteArray, Frame
from webrtc.media.playout import HOLD_LIMIT_S, LATE_LIMIT_S, Margin

SLOT_S = 1 / FRAMES_PER_SECOND
MARGIN_S = 0.060  # for compute, at the start; then as the pictures' lateness asks
STALL_S = 0.2  # behind by more, the clock begins anew: sound is late, never lost
PIECES = 2  # that a frame time of sound leaves in
FAR_S = 1.0


@dataclass(frozen=True, slots=True)
class Picture:
    """``planes`` is I420 [size * 3 // 2, size]; nobody may write into it."""

    position: int  # samples of 16 kHz since the face began
    planes: ByteArray
    speaking: bool


@dataclass(frozen=True, slots=True)
class Sound:
    """``pcm`` [n] int16 at the face's rate, 20 ms or the rest of a stretch; ``position`` as a picture's."""

    position: int
    pcm: PcmArray


@dataclass(frozen=True, slots=True)
class Reached:
    """All that was pushed before a mark has left, and if it ends a stretch, has been heard."""

    what: object


Piece = Picture | Sound | Reached


class FaceClock:
    """`begin` a frame time when it has come, give it each `picture` that comes, and `release` what is due.

    ``lead_s`` is how much sound the receiver is to hold; with ``together`` it holds the pictures of speech as well.
    """

    def __init__(self, rate: int, look_ahead_s: float, lead_s: float, together: bool, now: float = 0.0) -> None:
        self._rate = rate
        self._piece = -(-rate // (FRAMES_PER_SECOND * PIECES))  # samples
        self._lead_s, self._together = lead_s, together
        self._least_s = look_ahead_s + (lead_s if together else 0.0)
        self._margin = Margin()
        self._margin.seconds = MARGIN_S
        self.delay_s = self._least_s + MARGIN_S  # from a frame time's beginning to its picture's leaving
        self.slot = 0  # the next frame time
        self.dropped = 0  # pictures that came and never left
        self._origin = now
        self._began: float | None = None  # when the first sound of this stretch is due
        self._early_pictures: dict[int, float] = {}  # frame times with sound, where pictures lead, and when they leave
        self._leaving: deque[tuple[float, Sound | Reached]] = deque()
        self._pictures: deque[Frame] = deque()
        self._hurry = False  # after a barge-in: the first picture does not wait for its time
        self._shown = 0.0  # when the last picture left

    @property
    def idle(self) -> bool:
        """Nothing is on its way but pictures."""
        return not self._leaving

    def restart(self, now: float) -> None:
        """The next frame time begins now."""
        self._origin = now - self.slot * SLOT_S

    def due(self, now: float) -> float:
        """When the next frame time begins, or has begun; after a stall, now."""
        if now - self._begins(self.slot) > STALL_S:
            self.restart(now)
        return self._begins(self.slot)

    def begin(self, slot: Slot) -> int:
        """The next frame time, in which this is said; its position."""
        if not slot.samples:
            self._began = None
        if slot.parts:
            self._keep(slot)
        elif not self._early_pictures and not self._leaving:
            self.delay_s = self._least_s + self._margin.seconds
        self.slot += 1
        return (self.slot - 1) * SAMPLES_PER_FRAME

    def picture(self, frame: Frame, now: float) -> None:
        """A picture came."""
        self._margin.note(self._due(frame) - now)
        self._pictures.append(frame)

    def release(self, now: float) -> list[Piece]:
        """What is due, pictures before the sound that is due at the same time."""
        out: list[Piece] = []
        while (frame := self._next_picture(now)) is not None:
            out.append(Picture(frame.position, frame.picture, frame.speaking))
        while self._leaving and self._leaving[0][0] <= now:
            out.append(self._leaving.popleft()[1])
        return out

    def next(self, now: float) -> float:
        """When something is due again."""
        times = [self._begins(self.slot), now + FAR_S]
        if self._leaving:
            times.append(self._leaving[0][0])
        if self._pictures:
            times.append(self._due(self._pictures[0]))
        return min(times)

    def clear(self) -> list[object]:
        """Barge-in: what is on its way does not leave. Returns what the marks among it say."""
        marks = [piece.what for _, piece in self._leaving if isinstance(piece, Reached)]
        self.dropped += len(self._pictures)
        self._leaving.clear()
        self._early_pictures.clear()
        self._pictures.clear()
        self._hurry = True
        return marks

    def _begins(self, slot: int) -> float:
        return self._origin + slot * SLOT_S

    def _keep(self, slot: Slot) -> None:
        due = self._begins(self.slot) + self.delay_s
        if self._began is None and slot.samples:
            self._began = due
        if slot.samples and self._together:
            self._early_pictures[self.slot] = self._early(due)
        said = 0
        for part in slot.parts:
            heard = due + said / self._rate
            if isinstance(part, Mark):
                self._leaving.append(
                    (heard if part.ends and not self._together else self._early(heard), Reached(part.what))
                )
                continue
            for at in range(0, len(part), self._piece):
                piece = part[at : at + self._piece]
                position = self.slot * SAMPLES_PER_FRAME + said * SAMPLE_RATE // self._rate
                self._leaving.append((self._early(due + said / self._rate), Sound(position, piece)))
                said += len(piece)

    def _early(self, due: float) -> float:
        """When what is due then leaves."""
        return due if self._began is None else max(self._began, due - self._lead_s)

    def _next_picture(self, now: float) -> Frame | None:
        """The newest that is due; one that comes much too late only where the last one stands for too long."""
        while len(self._pictures) > 1 and self._due(self._pictures[0]) < self._due(self._pictures[1]) <= now:
            self._pictures.popleft()
            self.dropped += 1
        while self._pictures:
            late = now - self._due(self._pictures[0])
            if late < 0 and not self._hurry:
                return None
            frame = self._pictures.popleft()
            shown = _slot(frame)
            self._early_pictures = {slot: due for slot, due in self._early_pictures.items() if slot > shown}
            if late <= LATE_LIMIT_S or now - self._shown >= HOLD_LIMIT_S:
                self._hurry, self._shown = False, now
                return frame
            self.dropped += 1
        return None

    def _due(self, frame: Frame) -> float:
        """When a picture leaves."""
        slot = _slot(frame)
        early = self._early_pictures.get(slot)
        return self._begins(slot) + self.delay_s if early is None else early


def _slot(frame: Frame) -> int:
    return frame.position // SAMPLES_PER_FRAME
