"""The mel columns that Wav2Lip and its heirs hear, streaming, in plain numpy: for programs that run without torch.

Eighty columns a second of eighty bands, each from the 50 ms around it; a frame hears sixteen of them, from 80 ms
before its start on. `engine.sadtalker.voice.mel_windows` is the same of whole recordings.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from engine.contracts import SAMPLE_RATE, SAMPLES_PER_FRAME, FloatArray

Mask = NDArray[np.bool_]
Whole = NDArray[np.int64]
BANDS, COLUMNS = 80, 16
HOP, FFT = 200, 800  # samples
EMPHASIS = 0.97
KNOWN = (8, 11, 15, 16)  # columns of a frame's sixteen that are known with 0, 40, 80, 120 ms of look-ahead
HISTORY = 9  # frames of sound that a window may reach back over: 120 ms of look-ahead, 80 ms, half a column
FIRST_BAND, LAST_BAND = 55.0, 7600.0  # Hz


@lru_cache(maxsize=1)
def _filters() -> FloatArray:
    """Slaney's triangles of equal area [FFT // 2 + 1, BANDS]: mels linear to 1 kHz, 27 steps a factor of 6.4 above."""
    low, high = FIRST_BAND * 3 / 200, 15 + 27 * np.log(LAST_BAND / 1000) / np.log(6.4)
    mels = np.linspace(low, high, BANDS + 2)
    edges = np.where(mels < 15, mels * 200 / 3, 1000 * np.exp((mels - 15) * np.log(6.4) / 27))
    hertz = np.arange(FFT // 2 + 1)[:, None] * SAMPLE_RATE / FFT
    below, centre, above = edges[:-2], edges[1:-1], edges[2:]
    rising, falling = (hertz - below) / (centre - below), (above - hertz) / (above - centre)
    return np.asarray(np.maximum(0, np.minimum(rising, falling)) * 2 / (above - below))


_WINDOW = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(FFT) / FFT)


def _columns(pieces: FloatArray) -> FloatArray:
    """Pieces [..., FFT] of emphasised sound as columns [..., BANDS] within [-4, 4]."""
    loud = np.abs(np.fft.rfft(pieces * _WINDOW)) @ _filters()
    return np.clip(8 * (20 * np.log10(np.maximum(loud, 1e-5)) + 80) / 100 - 4, -4, 4).astype(np.float32)


def first_column(frame: Whole) -> Whole:
    """The first of the sixteen columns of each frame, 80 (i - 2) / 25 towards zero."""
    return np.asarray(np.trunc(80 * (frame - 2) / 25), np.int64)


def held(windows: FloatArray, known: Whole) -> FloatArray:
    """Windows [B, BANDS, COLUMNS] with each column that is not among the first ``known`` [B] as the newest that is."""
    place = np.minimum(np.arange(COLUMNS), np.asarray(known)[:, None] - 1)
    return np.take_along_axis(windows, place[:, None], 2)


class MelColumns:
    """Windows of the frame that is ``look_ahead`` frames before the one that has just come, for ``rows`` rows."""

    def __init__(self, rows: int) -> None:
        self._sound = np.zeros((rows, HISTORY * SAMPLES_PER_FRAME + 1))
        self._heard = np.zeros(rows, np.int64)  # frames so far
        self._windows = np.zeros((rows, BANDS, COLUMNS), np.float32)

    def begin(self, mask: Mask) -> None:
        """The rows of ``mask`` [B] hear from their first frame on."""
        self.forget(mask)
        self._heard[mask] = 0

    def forget(self, mask: Mask) -> None:
        """What the rows of ``mask`` [B] heard becomes silence; they count on."""
        self._sound[mask] = 0

    def step(self, samples: FloatArray, look_ahead: Whole, mask: Mask) -> FloatArray:
        """The rows of ``mask`` [B] hear 40 ms, samples [B, 640] -> windows [B, BANDS, COLUMNS], valid in these rows.

        Columns that the ``look_ahead`` [B] (frames) does not reach repeat the newest that it does.
        """
        rows = np.flatnonzero(mask)
        if not len(rows):
            return self._windows
        heard = np.clip(np.nan_to_num(samples[rows], nan=0.0), -1, 1)
        self._sound[rows, :-SAMPLES_PER_FRAME] = self._sound[rows, SAMPLES_PER_FRAME:]
        self._sound[rows, -SAMPLES_PER_FRAME:] = heard
        ahead = look_ahead[rows]
        first = np.maximum(0, first_column(self._heard[rows] - ahead)[:, None] + np.arange(COLUMNS))
        end = SAMPLES_PER_FRAME * (self._heard[rows] + 1)  # of all that came
        self._heard[rows] += 1
        begin = HOP * first - FFT // 2 - end[:, None] + HISTORY * SAMPLES_PER_FRAME + 1  # in the history
        known = np.minimum(begin, self._sound.shape[1] - FFT)
        sound = self._sound[rows]
        emphasised = sound[:, 1:] - EMPHASIS * sound[:, :-1]
        place = np.maximum(known - 1, 0)[:, :, None] + np.arange(FFT)
        pieces = np.take_along_axis(emphasised[:, None], place.reshape(len(rows), 1, -1), 2)
        columns = _columns(pieces.reshape(len(rows), COLUMNS, FFT)).transpose(0, 2, 1)
        come = (HOP * first + FFT // 2 <= end[:, None]).sum(1)  # fewer of a recording's first two frames
        self._windows[rows] = held(columns, np.minimum(come, np.array(KNOWN)[ahead]))
        return self._windows
