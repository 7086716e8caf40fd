"""The voice between its coming and its going: one timeline at 48 kHz, and the same timeline at 16 kHz for the engine.

Sample ``n`` of the engine's clock is sample ``3 n`` of the timeline. Pure logic: no clock is read here.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, AudioChunk, FloatArray
from webrtc.media.catching_up import shortened
from webrtc.media.concealment import JOIN, PAST, FadedRepeat, joined
from webrtc.media.concealment import PcmArray as PcmArray  # where everybody looks for it

VOICE_RATE = 48_000  # Hz, WebRTC's own
PIECE = 960  # samples of one 20 ms packet at 48 kHz
RATIO = VOICE_RATE // SAMPLE_RATE  # 3
CAPACITY = 4 * VOICE_RATE  # the delay line: 4 s; what would overrun it is refused, see `VoiceLine.room`
MAX_GAP = VOICE_RATE  # a hole in the packets' times up to 1 s is silence; a longer one is a restart of the sender
SILENT_RMS = 0.004  # -48 dB full scale: below it a piece counts as silence
SILENT_RUN = 5  # pieces in a row (100 ms) before silence may be shortened or lengthened: word ends stay whole
HURRIED_RUN = 2  # the same for a voice that must catch up
MOVES = 64  # movements of the timeline that are remembered, for pieces that come late
CAME, LOST, MADE = 1, 2, 4  # what a sample is: the sender's; a lost packet's; made up

Kinds = npt.NDArray[np.uint8]


@dataclass(frozen=True, slots=True)
class VoicePiece:
    """Sound of the sender's: ``pcm`` [n] int16, whose first sample it calls ``pts``; the first ``filled`` are made up.

    ``lost``: in their place packets are missing; otherwise the sender paused. ``late``: the piece lies before others
    that came already. ``again``: it came already, and is better known now.
    """

    pts: int
    pcm: PcmArray
    filled: int = 0
    lost: bool = False
    late: bool = False
    again: bool = False

    @property
    def begin(self) -> int:
        """The first sample that came."""
        return self.pts + self.filled

    @property
    def came(self) -> int:
        """Samples that came."""
        return len(self.pcm) - self.filled

    def kinds(self) -> Kinds:
        """What each sample is."""
        out = np.full(len(self.pcm), CAME, np.uint8)
        out[: self.filled] = MADE | LOST if self.lost else MADE
        return out


class Decimator:
    """48 kHz int16 in, 16 kHz float32 in [-1, 1] out: a causal windowed-sinc filter, whatever the cuts.

    The filter's delay, `TAPS` // 2 samples of 48 kHz (0.65 ms), is left in: taking it out would make every frame
    wait for one more packet.
    """

    TAPS = 63

    def __init__(self) -> None:
        n = np.arange(self.TAPS) - self.TAPS // 2
        cutoff = 2 * 7_200 / VOICE_RATE  # of Nyquist: flat to 6.6 kHz, 50 dB down where 16 kHz sampling folds
        taps = cutoff * np.sinc(cutoff * n) * np.hamming(self.TAPS)
        self._taps = (taps / taps.sum()).astype(np.float32)
        self._history = np.zeros(self.TAPS - 1, np.float32)
        self._phase = 0  # samples of 48 kHz to skip before the next one that is kept

    def push(self, pcm: PcmArray) -> FloatArray:
        """Filter ``pcm`` [n] and keep every third sample: [about n / 3]."""
        samples = np.concatenate([self._history, pcm.astype(np.float32) / 32768])
        self._history = samples[len(samples) - (self.TAPS - 1) :]
        kept = np.convolve(samples, self._taps, "valid")[self._phase :: RATIO]
        self._phase = (self._phase - len(pcm)) % RATIO
        return kept.astype(np.float32)


class VoiceLine:
    """A ring of the last `CAPACITY` samples: pieces are written by their time stamps, read in order.

    Every sample that comes before its time to leave is read once, in its place, whatever came before it. What may
    differ is only what is made up where nothing came, and silence: a silent piece may be left out or put in to bring
    the delay back to its aim. The engine's copy is written once and waits for nothing: it holds what was known when
    its time came, and what comes late mends only the sound that leaves.
    """

    def __init__(self) -> None:
        self.written = 0  # samples of the timeline that exist
        self.read = 0  # samples that have left
        self.newest = 0  # where the newest piece ends; what stands behind it was put in for want of a voice
        self.received = 0  # samples that came from the sender
        self.lost = 0  # samples of packets that were missing when their time came
        self.concealed = 0  # samples that left made up: for lost packets, or the end of a voice that broke off
        self.late = 0  # samples that came after their time, and were thrown away
        self.shed = 0  # silent samples left out
        self.hurried = 0  # samples of speech left out to catch up after a stall, by saying it faster
        self.refused = 0  # samples for which the delay line had no room
        self.padded = 0  # samples that left for a voice that was late, absent or pausing
        self._ring = np.zeros(CAPACITY, np.int16)
        self._kinds = np.zeros(CAPACITY, np.uint8)  # what each sample in the ring is
        self._shift: int | None = None  # timeline index minus the sender's time stamp
        self._moves: deque[tuple[float, int | None]] = deque(maxlen=MOVES)  # from which time stamp on it was what
        self._waiting = 0  # from this index on, what is written stands for a voice that may still come
        self._muted = 0  # a barge-in: before this index nothing is written any more
        self._fade: FadedRepeat | None = None  # the end of a voice that broke off
        self._silent_run = 0
        self._decimator = Decimator()
        self._position = self._told = 0  # on the engine's clock: what is written, and what of it was given out
        self._chunks: list[AudioChunk] = []

    @property
    def room(self) -> int:
        """Samples that can be written before unread ones would be overwritten."""
        return CAPACITY - (self.written - self.read)

    @property
    def in_silence(self) -> bool:
        """True when the newest pieces were silent for long enough to lengthen or shorten the silence."""
        return self._silent_run >= SILENT_RUN

    def accept(self, pts: int, pcm: PcmArray, correction: int = 0) -> int:
        """`take_in` a piece of which nothing else is known."""
        return self.take_in(VoicePiece(pts, pcm), correction)

    def take_in(self, piece: VoicePiece, correction: int = 0, hurry: tuple[float, float] | None = None) -> int:
        """Write a piece.

        ``correction`` is what the delay lacks, in samples: in silence, a piece is left out where it is at most
        minus the piece's length, and as much silence put in where it is at least that. To ``hurry`` (see
        `webrtc.media.catching_up`), short silence is left out as well, and speech is shortened. Returns by how many
        samples the timeline moved against the sender's time stamps: everything later leaves that much later.
        """
        if piece.late or piece.again:
            self._mend(piece)
            return 0
        self._note_silence(piece.pcm[piece.filled :])
        self.received += piece.came
        piece, moved = self._placed(piece)
        if self._index(piece.pts) + len(piece.pcm) - self.read > CAPACITY:
            self.refused += piece.came
            return moved + self._leave_out(piece)
        if self._silent_run >= (SILENT_RUN if hurry is None else HURRIED_RUN) and correction <= -piece.came:
            self.shed += piece.came
            return moved + self._leave_out(piece)
        if hurry is not None and not piece.filled:
            return moved + self._say_faster(piece, hurry)
        self._put(piece)
        if self.in_silence and correction >= piece.came:
            self.pad(piece.came)
            self.newest = self.written
            return moved + self._move(piece.came, piece.begin + piece.came)
        return moved

    def new_sender(self) -> None:
        """The next packet's time stamp has nothing to do with the last one's: it goes on where the timeline ends."""
        self._shift = None
        self._moves.clear()

    def pad(self, samples: int, broke_off: bool = False) -> None:
        """Write silence, because time went on and no voice came. One that ``broke_off`` fades, and may still come."""
        samples = min(samples, self.room)
        if not broke_off:
            self._write(np.zeros(samples, np.int16), 0)
            self._waiting, self._fade = self.written, None
            return
        if self._fade is None:
            self._fade = FadedRepeat(self._past(self.written))
        self._write(self._fade.next(samples), MADE if self._fade.audible else 0)

    def take(self, samples: int) -> PcmArray:
        """The next ``samples`` of the timeline [samples] int16; what is not there yet becomes silence."""
        if self.written - self.read < samples:
            self.pad(samples - (self.written - self.read), broke_off=True)
        at = _at(self.read, self.read + samples)
        kinds = self._kinds[at]
        if not (kinds == CAME).all():
            self.lost += int(np.count_nonzero(kinds & LOST))
            self.concealed += int(np.count_nonzero(kinds & MADE))
            self.padded += int(np.count_nonzero(kinds & (CAME | LOST) == 0))
        self.read += samples
        return self._ring[at].copy()

    def mute(self) -> None:
        """Barge-in: what has come and not left yet becomes silence; its time stays."""
        self._ring[_at(self.read, self.written)] = 0
        self._muted, self._fade = self.written, None

    def chunks(self, whole: bool = False) -> list[AudioChunk]:
        """What was written since the last call, for the engine; ``whole``: not before it fills a frame."""
        if whole and self._position // SAMPLES_PER_FRAME == self._told // SAMPLES_PER_FRAME:
            return []
        out, self._chunks, self._told = self._chunks, [], self._position
        return [AudioChunk(out[0].position, np.concatenate([one.samples for one in out]))] if out else []

    def _index(self, pts: int) -> int:
        assert self._shift is not None
        return pts + self._shift

    def _placed(self, piece: VoicePiece) -> tuple[VoicePiece, int]:
        """Let a piece's time stamp mean a place that is free; returns what of it goes there, and how far that moved."""
        if self._shift is None:
            self._shift = self.written - piece.pts
            self._moves.append((-np.inf, self._shift))
            return piece, 0
        gap = self._index(piece.pts) - self.written
        if gap > min(MAX_GAP, self.room - len(piece.pcm)):
            return piece, self._move(-gap, piece.pts)
        begin = self._index(piece.begin)
        if begin >= min(self.written, max(self.read, self._waiting, self._muted)):
            return piece, 0
        whole = replace(piece, pts=piece.begin, pcm=piece.pcm[piece.filled :], filled=0)  # its hole has passed
        return whole, self._move(self.written - begin, piece.begin)

    def _put(self, piece: VoicePiece) -> None:
        """Write a piece whose place is free: over what stands for it there, and beyond."""
        at = self._index(piece.pts)
        end = at + len(piece.pcm)
        kinds = piece.kinds()
        over = min(max(self.written - at, 0), len(piece.pcm))
        if over:
            if piece.lost:
                self.lost += min(max(self.read - at, 0), piece.filled)  # has left already, as silence
            self._overwrite(at, piece.pcm[:over], kinds[:over])
            self._fade = None
        elif at > self.written:
            self._write(np.zeros(at - self.written, np.int16), LOST)
        pcm = piece.pcm[over:]
        if self._fade is not None:
            pcm = joined(self._fade.next(min(JOIN, len(pcm))), pcm)
            self._fade = None
        self._write(pcm, kinds[over:])
        if end < self.written and self._waiting < self.written:  # what stands behind it was of an older end
            self._fade = FadedRepeat(self._past(end))
            self._overwrite(end, self._fade.next(self.written - end), np.full(self.written - end, MADE, np.uint8))
        self._waiting = self.newest = end

    def _mend(self, piece: VoicePiece) -> None:
        """Write a piece that lies before others, as much of it as has not left yet."""
        since = (shift for pts, shift in reversed(self._moves) if pts <= piece.begin)
        shift = next(since, None)
        passed = piece.came if shift is None else min(max(self.read - piece.begin - shift, 0), piece.came)
        if piece.late:
            self.late += passed
            self.received += piece.came - passed
        if shift is None:
            return
        at, kinds = piece.pts + shift, piece.kinds()
        known = self._kinds[_at(at, at + len(kinds))] & CAME != 0
        free = ~known if piece.late else ~known | (kinds == CAME)
        self._overwrite(at, piece.pcm, kinds, free)

    def _overwrite(self, at: int, pcm: PcmArray, kinds: Kinds, free: npt.NDArray[np.bool_] | None = None) -> None:
        """Replace what stands at ``at`` and has not left; where that is cut, the old sound goes over into the new."""
        cut = max(max(self.read, self._muted) - at, 0)
        pcm, kinds = pcm[cut : self.written - at], kinds[cut : self.written - at]
        if not len(pcm):
            return
        place = np.arange(at + cut, at + cut + len(pcm)) % CAPACITY
        if cut:
            pcm = joined(self._ring[place[:JOIN]], pcm)
        if free is not None:
            free = free[cut : cut + len(pcm)]
            place, pcm, kinds = place[free], pcm[free], kinds[free]
        self._ring[place], self._kinds[place] = pcm, kinds

    def _say_faster(self, piece: VoicePiece, hurry: tuple[float, float]) -> int:
        pcm = shortened(piece.pcm, hurry)
        self._put(replace(piece, pcm=pcm))
        self.hurried += piece.came - len(pcm)
        self._moves.append((piece.begin, None))  # nothing can be mended in it
        return self._move(len(pcm) - piece.came, piece.begin + piece.came)

    def _leave_out(self, piece: VoicePiece) -> int:
        self._moves.append((piece.begin, None))
        return self._move(-piece.came, piece.begin + piece.came)

    def _move(self, samples: int, since: int) -> int:
        """From the sender's time ``since`` on everything leaves ``samples`` later."""
        assert self._shift is not None
        self._shift += samples
        self._moves.append((since, self._shift))
        return samples

    def _past(self, end: int) -> PcmArray:
        return self._ring[_at(max(end - PAST, 0), end)]

    def _note_silence(self, pcm: PcmArray) -> None:
        sound = pcm.astype(np.float32)
        self._silent_run = self._silent_run + 1 if sound @ sound <= len(pcm) * (32768 * SILENT_RMS) ** 2 else 0

    def _write(self, pcm: PcmArray, kinds: Kinds | int) -> None:
        """Go on with the timeline, and with the engine's copy of it."""
        if not len(pcm):
            return
        at = _at(self.written, self.written + len(pcm))
        self._ring[at], self._kinds[at] = pcm, kinds
        self.written += len(pcm)
        samples = self._decimator.push(pcm)
        if len(samples):
            self._chunks.append(AudioChunk(self._position, samples))
            self._position += len(samples)


def _at(begin: int, end: int) -> slice | npt.NDArray[np.int64]:
    """Places in the ring."""
    first, last = begin % CAPACITY, begin % CAPACITY + end - begin
    return slice(first, last) if last <= CAPACITY else np.arange(begin, end) % CAPACITY
