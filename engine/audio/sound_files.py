"""Speech from any sound file, or film with sound, that PyAV reads; whole, or piece by piece in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import numpy as np
from av.container import InputContainer
from av.stream import Disposition

from engine.audio.rate_converter import RateConverter
from engine.audio.track_reader import TrackReader
from engine.audio.voice_survey import Survey, survey
from engine.contracts import SAMPLE_RATE, FloatArray
from engine.errors import VivifyError

# Titles may be written in anything. PyAV from 19 on takes them as they are, and knows the wish no more.
TITLES: dict[str, Any] = {} if int(av.__version__.partition(".")[0]) >= 19 else {"metadata_errors": "ignore"}
MAX_SECONDS = 1800  # half an hour of speech is 115 MB at 16 kHz; more is refused where all is held
LONGEST_FILE_S = 24 * 3600.0  # and a day of it where nothing is
MAX_CHANNELS = 64
LOWEST_RATE = 2000  # Hz; a telephone's is 8,000
QUIET_DB = -42.0  # a voice whose loud part lies below is raised to...
SPOKEN_DB = -22.0  # ...so much, by at most...
MOST_RAISED_DB = 45.0
SPEAKS_DB = 6.0  # what does not rise so far above its own floor is no voice, but noise
TELEPHONE = {"alaw": "A-law", "mulaw": "mu-law"}  # raw sound with one customary rate, 8 kHz
HEADLESS = {f"{kind}{bits}{end}" for kind in "suf" for bits in (16, 24, 32, 64) for end in ("le", "be")} | {"s8", "u8"}
ASIDE = (
    Disposition.comment
    | Disposition.visual_impaired
    | Disposition.hearing_impaired
    | Disposition.descriptions
    | Disposition.clean_effects
    | Disposition.karaoke
)


class SoundFile:
    """A file's voice. All of it is heard once at the start; `pieces` and `voice` then read it again, in little memory.

    The track is the one that a player would play, or the next one where that is silent; its first sample lies ``zero``
    seconds on the file's clock. ``notes`` says in sentences what a user should know. Raises VivifyError, in one
    sentence, for a file that cannot be read, holds no sound, has no header that tells its rate, is longer than
    ``max_seconds``, or holds samples that are not numbers. With ``beginning``, so much of a longer one is listened to.
    """

    def __init__(self, path: Path, max_seconds: float = LONGEST_FILE_S, beginning: bool = False) -> None:
        self.path = Path(path)
        self.notes: list[str] = []
        if not self.path.is_file():
            raise VivifyError(f"A sound file was expected at '{path}', but there is none: check the path.")
        with self._open() as container:
            tracks = self._tracks(container)
        self._index, self.survey = self._listen(tracks, max_seconds)
        self._check(LONGEST_FILE_S if beginning else max_seconds)
        self.gain = self._gain()

    @property
    def seconds(self) -> float:
        return self.survey.samples / self.survey.rate

    def pieces(self) -> Iterator[FloatArray]:
        """The track's sound [n, C] at its own rate, piece by piece, within full scale."""
        scale = np.float32(self.survey.scale)
        with self._open() as container:
            for piece in self._reader(container, self._index):
                yield np.clip(piece * scale, -1, 1) if scale != 1 else piece

    def mixed(self, piece: FloatArray) -> FloatArray:
        """The voice [n, 1] in a piece [n, C]: its channels brought together, as loud as the file has it."""
        return piece @ self.survey.weights[:, None]

    def voice(self, rate: int = SAMPLE_RATE) -> Iterator[FloatArray]:
        """The voice [n] at ``rate`` Hz, piece by piece."""
        converter = RateConverter(self.survey.rate, rate)
        for piece in self.pieces():
            yield np.clip(converter.push(self.mixed(piece))[:, 0], -1, 1)
        yield np.clip(converter.finish()[:, 0], -1, 1)

    def _listen(self, tracks: list[int], max_seconds: float) -> tuple[int, Survey]:
        """The first of the tracks that is not silent, and what is on it."""
        heard: list[tuple[int, Survey]] = []
        for index in tracks:
            with self._open() as container:
                track = self._reader(container, index)
                heard.append((index, survey(track, max_seconds * track.rate)))
                zero = track.zero
            if not heard[-1][1].silent:
                break
        index, found = heard[-1] if not heard[-1][1].silent else heard[0]
        if index != heard[0][0]:
            self.notes.append(f"The track that players choose is silent: track {index} is taken instead.")
        self.zero = zero
        return index, found

    def _check(self, max_seconds: float) -> None:
        found, path = self.survey, self.path
        if not found.samples:
            raise VivifyError(f"'{path}' was expected to hold speech, but it holds 0 s of sound: record it again.")
        if found.rate < LOWEST_RATE:
            raise VivifyError(
                f"'{path}' was expected to have {LOWEST_RATE} Hz or more, but has {found.rate}: convert it."
            )
        if self.seconds > max_seconds:
            raise VivifyError(f"'{path}' is longer than {max_seconds:.0f} s, the most that is taken: cut it.")
        if found.faulty:
            raise VivifyError(
                f"'{path}' was expected to hold numbers, but {found.faulty} of its samples are NaN or infinite: "
                "export it again."
            )
        if found.damaged:
            self.notes.append(f"{found.damaged} damaged pieces of '{path.name}' were left out.")
        if found.cancels:
            self.notes.append("The channels cancel one another: only the louder one is used.")

    def _gain(self) -> float:
        """What the engine's ear needs to hear this voice; the film keeps the voice as it is."""
        found = self.survey
        if found.silent:
            self.notes.append("The sound is silent: the face will not speak.")
        if found.silent or found.level_db >= QUIET_DB:
            return 1.0
        if found.level_db - found.floor_db < SPEAKS_DB:
            self.notes.append(f"There is only quiet, even noise ({found.level_db:.0f} dB): the face may not speak.")
            return 1.0
        raised = min(SPOKEN_DB - found.level_db, MOST_RAISED_DB)
        self.notes.append(
            f"The voice is very quiet ({found.level_db:.0f} dB): the face hears it {raised:.0f} dB louder."
        )
        return float(10 ** (raised / 20))

    def _tracks(self, container: InputContainer) -> list[int]:
        """The sound tracks, the one that a player would play first."""
        path = self.path
        tracks = [stream for stream in container.streams.audio if stream.codec_context is not None]
        if not tracks:
            raise VivifyError(
                f"'{path}' was expected to hold sound, but no audio stream in it can be read: choose another file."
            )
        for stream in tracks:
            if not 1 <= stream.codec_context.channels <= MAX_CHANNELS:
                raise VivifyError(
                    f"'{path}' was expected to have 1 to {MAX_CHANNELS} channels, "
                    f"but it has {stream.codec_context.channels}."
                )
        tracks.sort(key=lambda s: (bool(s.disposition & ASIDE), not s.disposition & Disposition.default, s.index))
        if container.format.name in TELEPHONE:
            law = TELEPHONE[container.format.name]
            self.notes.append(f"'{path.name}' has no header: it is read as telephone sound, {law} of 8 kHz.")
        return [stream.index for stream in tracks]

    @staticmethod
    def _reader(container: InputContainer, index: int) -> TrackReader:
        track = container.streams[index]
        assert isinstance(track, av.AudioStream)
        return TrackReader(container, track)

    @contextmanager
    def _open(self) -> Iterator[InputContainer]:
        """The file, at its beginning. What FFmpeg cannot make of it becomes a sentence."""
        try:
            with av.open(str(self.path), **TITLES) as container:
                name = container.format.name
                if name not in TELEPHONE:
                    self._refuse_headless(name)
                    yield container
                    return
            with av.open(str(self.path), format=name, options={"sample_rate": "8000"}) as container:
                yield container
        except (av.FFmpegError, ValueError, OverflowError) as error:
            raise VivifyError(
                f"'{self.path}' was expected to be a sound file, but it cannot be read ({_reason(error)}): "
                "convert it to wav."
            ) from error

    def _refuse_headless(self, format_name: str) -> None:
        if format_name in HEADLESS:
            raise VivifyError(
                f"'{self.path}' was expected to say its sample rate, but it is raw sound without a header: convert it "
                f"with its true rate, such as `ffmpeg -f {format_name} -ar 16000 -i '{self.path.name}' voice.wav`."
            )


def read_speech(path: Path, rate: int = SAMPLE_RATE, max_seconds: float = MAX_SECONDS) -> FloatArray:
    """The voice of a file, brought to one channel: float32 [n] in [-1, 1] at ``rate`` Hz. See `SoundFile`."""
    return np.concatenate(list(SoundFile(path, max_seconds).voice(rate)))


def _reason(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or error).splitlines()[0][:120]
