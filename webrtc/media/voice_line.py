"""The voice between its coming and its going: one timeline at 48 kHz, and the same timeline at 16 kHz for the engine.

Sample ``n`` of the engine's clock is sample ``3 n`` of the timeline. Pure logic: no clock is read here.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from engine.contracts import SAMPLE_RATE, AudioChunk, FloatArray

VOICE_RATE = 48_000  # Hz, WebRTC's own
PIECE = 960  # samples of one 20 ms packet at 48 kHz
RATIO = VOICE_RATE // SAMPLE_RATE  # 3
CAPACITY = 4 * VOICE_RATE  # the delay line: 4 s; what would overrun it is refused, see `VoiceLine.room`
MAX_GAP = VOICE_RATE  # a hole in the packets' times up to 1 s is silence; a longer one is a restart of the sender
SILENT_RMS = 0.004  # -48 dB full scale: below it a piece counts as silence
SILENT_RUN = 5  # pieces in a row (100 ms) before silence may be shortened or lengthened: word ends stay whole

PcmArray = npt.NDArray[np.int16]


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
    """A ring of the last `CAPACITY` samples: packets are written by their time stamps, pieces are read in order.

    Every sample that comes is read once, in order. What may differ is only silence: holes that lost packets leave
    are filled with it, and a silent piece may be left out or put in (`accept`) to bring the delay back to its aim.
    """

    def __init__(self) -> None:
        self.written = 0  # samples of the timeline that exist
        self.read = 0  # samples that have left
        self.received = 0  # samples that came from the sender
        self.lost = 0  # samples of holes filled with silence
        self.shed = 0  # silent samples left out
        self.refused = 0  # samples for which the delay line had no room
        self.padded = 0  # silent samples put in, because the voice was late or absent
        self._ring = np.zeros(CAPACITY, np.int16)
        self._shift: int | None = None  # timeline index minus the sender's time stamp
        self._silent_run = 0
        self._decimator = Decimator()
        self._position = 0  # on the engine's clock
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
        """Write a packet: ``pcm`` [n] int16, whose first sample the sender calls ``pts``.

        ``correction`` is what the delay lacks, in samples: in silence, a packet is left out where it is at most
        minus the packet's length, and as much silence put in where it is at least that. Returns by how many samples
        the timeline moved against the sender's time stamps: everything later leaves that much later.
        """
        self._note_silence(pcm)
        moved = self._place(pts, len(pcm))
        self.received += len(pcm)
        if self.room < len(pcm):
            self.refused += len(pcm)
            return moved + self._move(-len(pcm))
        if self.in_silence and correction <= -len(pcm):
            self.shed += len(pcm)
            return moved + self._move(-len(pcm))
        self._write(pcm)
        if self.in_silence and correction >= len(pcm):
            self.pad(len(pcm))
            return moved + self._move(len(pcm))
        return moved

    def new_sender(self) -> None:
        """The next packet's time stamp has nothing to do with the last one's: it goes on where the timeline ends."""
        self._shift = None

    def pad(self, samples: int) -> None:
        """Write silence, because time went on and no voice came."""
        samples = min(samples, self.room)
        self.padded += samples
        self._write(np.zeros(samples, np.int16))

    def take(self, samples: int) -> PcmArray:
        """The next ``samples`` of the timeline [samples] int16; what is not there yet becomes silence."""
        if self.written - self.read < samples:
            self.pad(samples - (self.written - self.read))
        out: PcmArray = self._ring[np.arange(self.read, self.read + samples) % CAPACITY]
        self.read += samples
        return out

    def mute(self) -> None:
        """Barge-in: what has come and not left yet becomes silence; its time stays."""
        self._ring[np.arange(self.read, self.written) % CAPACITY] = 0

    def chunks(self) -> list[AudioChunk]:
        """What was written since the last call, for the engine."""
        out, self._chunks = self._chunks, []
        return out

    def _place(self, pts: int, length: int) -> int:
        """Make the packet fall on the end of the timeline, filling a hole; returns how far the time stamps moved."""
        if self._shift is None:
            self._shift = self.written - pts
            return 0
        gap = pts + self._shift - self.written
        if 0 <= gap <= min(MAX_GAP, self.room - length):
            self.lost += gap
            self._write(np.zeros(gap, np.int16))
            return 0
        return self._move(-gap)

    def _move(self, samples: int) -> int:
        assert self._shift is not None
        self._shift += samples
        return samples

    def _note_silence(self, pcm: PcmArray) -> None:
        level = float(np.sqrt(np.mean(np.square(pcm, dtype=np.float64)))) / 32768 if len(pcm) else 0.0
        self._silent_run = self._silent_run + 1 if level < SILENT_RMS else 0

    def _write(self, pcm: PcmArray) -> None:
        if not len(pcm):
            return
        self._ring[np.arange(self.written, self.written + len(pcm)) % CAPACITY] = pcm
        self.written += len(pcm)
        samples = self._decimator.push(pcm)
        if len(samples):
            self._chunks.append(AudioChunk(self._position, samples))
            self._position += len(samples)
