"""A file's own channels as a film carries them: mono, stereo or 5.1 at 48 kHz."""

from __future__ import annotations

import numpy as np

from clients.films.muxer import SOUND_RATE
from engine.audio.rate_converter import RateConverter
from engine.audio.sound_files import SoundFile
from engine.contracts import FloatArray


class FilmSound:
    """Pieces of a `SoundFile` in, sound [m, C] in ``layout`` out.

    Stereo stays stereo and 5.1 stays 5.1; other layouts become stereo, channels in no known order one. Channels that
    cancel one another are all given the one that is the voice.
    """

    def __init__(self, file: SoundFile) -> None:
        self._file, survey = file, file.survey
        self.channels = len(survey.weights)
        given = _known(survey.layout, self.channels)
        self._mixed = survey.cancels or given is None
        self.layout = given if given in ("mono", "stereo", "5.1") else "stereo" if given else "mono"
        if survey.cancels and self.channels > 2:
            self.layout = "mono"
        source = self.layout if self._mixed or given is None else given
        self._repeated = 2 if self._mixed and self.layout == "stereo" else 1
        self._converter = RateConverter(survey.rate, SOUND_RATE, source, self.layout)

    def push(self, piece: FloatArray) -> FloatArray:
        """The film's sound [m, C] of a piece [n, channels of the file]."""
        if self._mixed:
            piece = np.repeat(self._file.mixed(piece), self._repeated, 1)
        return np.clip(self._converter.push(piece), -1, 1)

    def finish(self) -> FloatArray:
        """What is left of it."""
        return np.clip(self._converter.finish(), -1, 1)


def _known(layout: str, channels: int) -> str | None:
    """FFmpeg's name for a layout, or None where the order of its channels is not known."""
    if channels <= 2:
        return ("mono", "stereo")[channels - 1]  # whatever else two channels are called
    if "channels" in layout:
        return None
    return "5.1" if layout.startswith("5.1") and channels == 6 else layout  # its rears stand behind or beside
