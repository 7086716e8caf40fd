"""One sound track of a file, decoded and laid on the clock by which a player would play it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
import numpy.typing as npt
from av.container import InputContainer
from av.stream import Disposition

from engine.audio.rate_converter import RateConverter
from engine.contracts import FloatArray

GAP_S = 0.05  # time stamps further ahead than this leave silence...
OVERLAP_S = 0.15  # ...and so far behind, what comes twice is cut: stamps that only tremble change nothing
LONGEST_OVERLAP_S = 1.0  # a clock that goes back further has been set anew
LONGEST_JUMP_S = 10.0  # and one that goes so much on, past the file's own length or where clocks may be set anew
LATEST_START_S = 60.0  # a file whose first stream of all begins later has a clock from elsewhere
ZERO_BASED = ("mov", "matroska", "webm")  # containers whose time 0 is where they begin to play
CLOCKLESS = {  # formats for which FFmpeg makes up the time stamps
    *("aac", "ac3", "aiff", "alaw", "amr", "amrnb", "amrwb", "ape", "au", "caf", "dts", "eac3", "flac"),
    *("loas", "mp3", "mulaw", "tta", "w64", "wav", "wv"),
}
ASSUMED = {1: "mono", 2: "stereo", 6: "5.1", 8: "7.1"}  # where a file does not say whose its channels are
CLOCK_MAY_BE_SET = 0x0200  # AVFMT_TS_DISCONT
INTEGERS = {"u8": (128.0, 128.0), "s16": (0.0, 2.0**15), "s32": (0.0, 2.0**31), "s64": (0.0, 2.0**63)}


def _leave_unread(stream: av.stream.Stream) -> None:
    """Pass over a stream's packets, from PyAV 17 on; before, they are read for nothing."""
    if hasattr(av.stream, "Discard"):
        stream.discard = av.stream.Discard.all


class TrackReader:
    """Iterate once for the track's sound, float32 [n, C] piece by piece at ``rate`` Hz, in full scale [-1, 1].

    Gaps and a late start are silence, encoders' delays are taken off, a clock that jumps is followed, and what cannot
    be decoded is left out and counted in ``damaged``. ``zero`` is the file's clock, in seconds, at the first sample.
    ``rate``, ``layout`` and ``channels`` are those of the first frame; where a file changes them half-way, what follows
    is brought to these. Raises FFmpegError when nothing at all can be decoded.
    """

    def __init__(self, container: InputContainer, track: av.AudioStream) -> None:
        self.damaged = 0
        self._sound_came = False
        self._container, self._track = container, track
        for stream in container.streams:
            if stream.index != track.index:
                _leave_unread(stream)  # a film's pictures need not be read
        self._frames = self._decoded()
        self._first = next(self._frames, None)
        known = self._first or track.codec_context
        self.rate = int(known.sample_rate or 0)
        self.channels = int(known.layout.nb_channels)
        self.layout = (
            ASSUMED.get(self.channels, known.layout.name) if "channels" in known.layout.name else known.layout.name
        )
        names = [] if "channels" in self.layout else [channel.name for channel in av.AudioLayout(self.layout).channels]
        self.centre = names.index("FC") if "FC" in names else None
        names = container.format.name.split(",")
        self._zero_based = any(name in ZERO_BASED for name in names)
        self.zero = self._zero(self._first) if self._first is not None else 0.0
        self._has_clock = not any(name in CLOCKLESS for name in names)
        self._position = 0  # samples given out
        self._set_back = 0.0  # samples by which a jump of the clock is undone
        self._other: RateConverter | None = None
        self._other_rate = self.rate

    def __iter__(self) -> Iterator[FloatArray]:
        if self._first is None:
            return
        yield from self._placed(self._first)
        for frame in self._frames:
            yield from self._placed(frame)

    def _decoded(self) -> Iterator[av.AudioFrame]:
        """Every frame that can be decoded, as players do; a broken packet costs no more than itself."""
        failed: av.FFmpegError | None = None
        packets = self._container.demux(self._track)
        while True:
            try:
                packet = next(packets, None)
            except av.FFmpegError as error:  # the file ends in the middle of something
                packet, failed = None, failed or error
                self.damaged += 1
            if packet is None:
                break
            try:
                frames = packet.decode()
            except av.FFmpegError as error:
                failed = error
                self.damaged += 1
                continue
            for frame in frames:
                if isinstance(frame, av.AudioFrame) and frame.samples:
                    self._sound_came = True
                    yield frame
        if failed is not None and not self._sound_came:
            raise failed

    def _zero(self, first: av.AudioFrame) -> float:
        """The time stamp, in seconds, at which the file begins to play."""
        starts = [first.time or 0.0]
        for stream in self._container.streams.video:
            begins, tick = stream.start_time, stream.time_base
            if begins is not None and tick is not None and not stream.disposition & Disposition.attached_pic:
                starts.append(float(begins * tick))
        begin = min(starts)
        return min(begin, 0.0) if self._zero_based and begin <= LATEST_START_S else begin

    def _placed(self, frame: av.AudioFrame) -> Iterator[FloatArray]:
        samples = self._as_first(frame)
        if frame.time is not None and self._has_clock:
            ahead = (frame.time - self.zero) * self.rate - self._position - self._set_back
            if ahead > GAP_S * self.rate:
                if self._a_gap(frame.time, ahead / self.rate):
                    yield from self._silence(round(ahead))
                else:
                    self._set_back += ahead
            elif ahead < -LONGEST_OVERLAP_S * self.rate:
                self._set_back += ahead
            elif ahead < -OVERLAP_S * self.rate:
                samples = samples[round(-ahead) :]
            samples = samples[: len(samples) - self._padding(frame)]
        self._position += len(samples)
        if len(samples):
            yield samples

    def _a_gap(self, time: float, seconds: float) -> bool:
        """Whether a step of the clock is silence, rather than the clock being set."""
        if seconds <= LONGEST_JUMP_S or not self._position:
            return True
        if self._container.format.flags & CLOCK_MAY_BE_SET or self._container.duration is None:
            return False
        begin = (self._container.start_time or 0) / 1e6
        return time <= begin + self._container.duration / 1e6 + 1

    def _padding(self, frame: av.AudioFrame) -> int:
        """Samples that only fill up the last packet of an MP4: the track is said to end within it."""
        track = self._track
        if not self._zero_based or track.duration is None or track.time_base is None or frame.time is None:
            return 0
        end = float(((track.start_time or 0) + track.duration) * track.time_base)
        over = frame.time + frame.samples / self.rate - end
        return round(over * self.rate) if 0 < over < frame.samples / self.rate else 0

    def _silence(self, count: int) -> Iterator[FloatArray]:
        self._position += count
        for at in range(0, count, self.rate):
            yield np.zeros((min(self.rate, count - at), self.channels), np.float32)

    def _as_first(self, frame: av.AudioFrame) -> FloatArray:
        """The frame's samples [n, C] at the first frame's rate and number of channels."""
        samples = _samples(frame)
        if samples.shape[1] != self.channels:
            samples = np.repeat(samples.mean(1, keepdims=True), self.channels, 1)
        if frame.sample_rate == self.rate:
            return samples
        if self._other is None or self._other_rate != frame.sample_rate:
            self._other_rate = frame.sample_rate
            self._other = RateConverter(frame.sample_rate, self.rate, f"{self.channels}c")
        return self._other.push(samples)


def _samples(frame: av.AudioFrame) -> FloatArray:
    """float32 [n, C], whatever the frame's format."""
    array: npt.NDArray[Any] = frame.to_ndarray()
    planes = array if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels).T
    middle, full = INTEGERS.get(frame.format.packed.name, (0.0, 1.0))
    wide: npt.NDArray[Any] = planes.T.astype(np.float64 if full > 2**24 else np.float32)
    return np.ascontiguousarray((wide - middle) / full if full != 1.0 else wide, np.float32)
