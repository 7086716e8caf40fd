"""What came back: sound and pictures with their time stamps, tied to the server's timeline and made a film."""

from __future__ import annotations

import contextlib
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import av
import numpy as np

from clients.films.film_writer import FilmWriter
from clients.microphone import Microphone
from engine.contracts import SAMPLE_RATE, ByteArray, FloatArray
from engine.errors import VivifyError
from webrtc.media.playout import FRAME
from webrtc.media.voice_line import RATIO, VOICE_RATE, Decimator, PcmArray
from webrtc.rtc.tracks import VIDEO_RATE

WINDOW = SAMPLE_RATE  # the speech is searched for second by second
LONGEST_DELAY_S = 1.5  # the voice is looked for within so much of its being spoken...
LONGEST_STRETCH_S = 0.5  # ...and later parts of it within so much of where the first part lets them be expected
QUIET = 30  # of 32768: a speech that is never louder cannot be found
BAND_HZ = (400, 3400)
LEAST_MATCH = 0.3  # correlation below which the voice that came back is not the speech


@dataclass(slots=True)
class Picture:
    """Where a received picture lies in the spool file, and when it came."""

    pts: int  # 90 kHz, from the first picture on
    arrival: float
    offset: int
    index: int = 0  # on the timeline, 48 kHz; set by `Recording.tie`


class Recording:
    """Pictures go to an unnamed temporary file, sound to memory. Use it as a context manager."""

    def __init__(self) -> None:
        self.pictures: list[Picture] = []
        self.size = 0
        self.last = 0.0  # monotonic time of the last thing that came
        self._sounds: list[tuple[int, float, PcmArray]] = []  # pts, arrival, samples
        self._sound_origin = 0

    def __enter__(self) -> Recording:
        self._spool = tempfile.TemporaryFile()  # closed by __exit__
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        with contextlib.suppress(OSError):  # a full disk is full still
            self._spool.close()

    def add_picture(self, frame: av.VideoFrame) -> None:
        """Keep it, if it is square. Raises OSError where the disk is full."""
        if frame.width != frame.height:
            return
        self.size = self.size or frame.width
        if frame.width != self.size:
            return
        planes = frame.to_ndarray(format="yuv420p")
        self.last = time.monotonic()
        self.pictures.append(Picture(frame.pts or 0, self.last, self._spool.tell()))
        self._spool.write(planes.tobytes())

    def add_sound(self, frame: av.AudioFrame) -> None:
        stereo = frame.to_ndarray().reshape(-1, frame.layout.nb_channels)
        self.last = time.monotonic()
        self._sounds.append((frame.pts or 0, self.last, stereo[:, 0].astype(np.int16)))

    def tie(self, mapping: dict[str, Any]) -> None:
        """Put everything on the server's timeline, see ``mapping`` in protocol.md."""
        self._sound_origin = int(mapping["sound"])
        for picture in self.pictures:
            picture.index = int(mapping["picture"]) + picture.pts * VOICE_RATE // VIDEO_RATE

    def sound(self) -> tuple[int, PcmArray]:
        """All sound in one piece [n] int16 and the timeline index of its first sample; what is missing is 0."""
        if not self._sounds:
            return 0, np.zeros(0, np.int16)
        last_pts, _, last = self._sounds[-1]
        joined = np.zeros(last_pts + len(last), np.int16)
        for pts, _, pcm in self._sounds:
            joined[pts : pts + len(pcm)] = pcm
        return self._sound_origin, joined

    def picture(self, picture: Picture) -> ByteArray:
        """Its planes, yuv420p [H * 3 // 2, W] uint8."""
        count = self.size * self.size * 3 // 2
        self._spool.seek(picture.offset)
        return np.frombuffer(self._spool.read(count), np.uint8).reshape(-1, self.size)

    def av_offset_ms(self) -> float:
        """Median lateness of pictures minus that of the sound of the same instant, as they came."""
        pictures = [p.arrival - p.index / VOICE_RATE for p in self.pictures]
        return 1000 * (float(np.median(pictures)) - self.sound_origin())

    def sound_origin(self) -> float:
        """The monotonic time at which the timeline's first sample came, or would have come."""
        return float(np.median([came - (pts + self._sound_origin) / VOICE_RATE for pts, came, _ in self._sounds]))


def find_speech(recording: Recording, microphone: Microphone) -> tuple[int, float]:
    """The timeline index at which the speech's first sample plays, and how well it matches (0..1).

    The match is the median correlation of the speech's loud seconds, each found where the server may have put it: it
    lengthens pauses when it needs more time. Raises VivifyError when the voice that came back is not the one that was
    sent. A silent file cannot be found and is taken to come back at once.
    """
    origin, pcm = recording.sound()
    loud = np.abs(microphone.pcm.astype(int))
    if loud.max() < QUIET:
        return int((microphone.captured(0) - recording.sound_origin()) * VOICE_RATE), 1.0
    sound, speech = _thin(pcm), _thin(microphone.pcm)
    begin = max(int(np.argmax(loud > 0.1 * loud.max())) // RATIO - SAMPLE_RATE // 10, 0)
    spoken = (microphone.captured(0) - recording.sound_origin()) * SAMPLE_RATE - origin / RATIO  # it comes later
    delay, _ = _locate(sound, speech[begin : begin + WINDOW], int(spoken) + begin, LONGEST_DELAY_S)
    start = int(spoken) + delay
    matches = []
    for at in range(begin, max(len(speech) - WINDOW, begin + 1), WINDOW):
        piece = speech[at : at + WINDOW]
        if piece.std() > 0.3 * speech.std():
            matches.append(_locate(sound, piece, start + at, LONGEST_STRETCH_S)[1])
    match = float(np.median(matches)) if matches else 0.0
    if match < LEAST_MATCH:
        raise VivifyError(
            f"The voice that came back was expected to be the speech, but they match only {100 * match:.0f} %: "
            "the connection may be too poor."
        )
    return origin + RATIO * start, match


def _locate(sound: FloatArray, piece: FloatArray, earliest: int, within_s: float) -> tuple[int, float]:
    """Samples after ``earliest`` at which ``piece`` is found best in ``sound``, and its correlation there."""
    span = sound[max(earliest, 0) : max(earliest, 0) + int(within_s * SAMPLE_RATE) + len(piece)]
    if len(span) < len(piece):
        return 0, 0.0
    size = 1 << int(np.ceil(np.log2(len(span) + len(piece))))
    products = np.fft.irfft(np.fft.rfft(span, size) * np.conj(np.fft.rfft(piece, size)), size)
    lag = int(np.argmax(products[: len(span) - len(piece) + 1]))
    found = span[lag : lag + len(piece)]
    scale = float(np.linalg.norm(found) * np.linalg.norm(piece))
    return lag + max(-earliest, 0), float(found @ piece) / scale if scale else 0.0


def write_film(recording: Recording, start: int, samples: int, out: Path) -> tuple[int, int]:
    """Write frames and sound of ``samples`` from timeline index ``start`` on: H.264 at 25 fps and AAC.

    The film begins at the frame boundary nearest to ``start``, so that every picture stands exactly on its sound.
    A missing picture repeats the one before. Returns the frames written and how many of them were repeats.
    """
    first = round(start / FRAME)
    count = -(-samples // FRAME)
    by_index = {round(p.index / FRAME): p for p in recording.pictures}
    origin, sound = recording.sound()
    begin = first * FRAME - origin
    cut = np.zeros(count * FRAME, np.int16)
    part = sound[max(begin, 0) : max(begin + len(cut), 0)]
    cut[max(-begin, 0) : max(-begin, 0) + len(part)] = part
    earlier = [p for p in recording.pictures if p.index <= first * FRAME]
    current = earlier[-1] if earlier else recording.pictures[0]
    order, repeated = [], 0
    for k in range(first, first + count):
        repeated += k not in by_index
        current = by_index.get(k, current)
        order.append(current)
    with FilmWriter(out, recording.size) as film:
        for k, picture in enumerate(order):
            film.picture(recording.picture(picture))
            film.sound(cut[k * FRAME : (k + 1) * FRAME].astype(np.float32) / 32768)
    return count, repeated


def _thin(pcm: PcmArray) -> FloatArray:
    """The telephone's band of a sound at 16 kHz: where Opus, which filters the lows, keeps the waveform."""
    sound = Decimator().push(pcm)
    spectrum = np.fft.rfft(sound)
    hertz = np.fft.rfftfreq(len(sound), 1 / SAMPLE_RATE)
    spectrum[(hertz < BAND_HZ[0]) | (hertz > BAND_HZ[1])] = 0
    return np.fft.irfft(spectrum, len(sound)).astype(np.float32)
