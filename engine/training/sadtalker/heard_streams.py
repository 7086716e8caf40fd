"""Sound as both networks hear it, of many recordings laid end to end, in a fifth of the room of their windows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from engine.audio.mel_columns import COLUMNS, first_column
from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.sadtalker.voice.mel_windows import mel_windows


@dataclass(frozen=True)
class HeardStreams:
    """Frames and mel columns of streams; ``begins`` and ``column_begins`` [S + 1] say where each starts."""

    columns: np.ndarray  # [C, 80] float16
    column_begins: np.ndarray
    begins: np.ndarray

    def windows(self, stream: int, frames: np.ndarray) -> FloatArray:
        """Mel windows [n, 80, 16] of ``frames`` [n], counted from the stream's first."""
        begin, end = self.column_begins[stream : stream + 2]
        wanted = first_column(frames)[:, None] + np.arange(COLUMNS)
        found = self.columns[begin + np.clip(wanted, 0, end - begin - 1)]
        return np.asarray(found.transpose(0, 2, 1), np.float32)

    def frames(self, stream: int) -> int:
        """How long a stream is."""
        return int(self.begins[stream + 1] - self.begins[stream])


def listened(recordings: list[FloatArray]) -> HeardStreams:
    """Recordings [640 n] each as streams."""
    columns, column_begins, begins = [], [0], [0]
    for samples in recordings:
        columns.append(_columns(samples))
        column_begins.append(column_begins[-1] + len(columns[-1]))
        begins.append(begins[-1] + len(samples) // SAMPLES_PER_FRAME)
    return HeardStreams(np.concatenate(columns), np.array(column_begins), np.array(begins))


def _columns(samples: FloatArray) -> np.ndarray:
    """All columns [C, 80] of a recording, out of its windows."""
    windows = mel_windows(torch.from_numpy(np.ascontiguousarray(samples))).numpy()
    place = np.maximum(0, first_column(np.arange(len(windows)))[:, None] + np.arange(COLUMNS))
    last = len(samples) // SAMPLES_PER_FRAME * 16 // 5  # beyond it windows repeat the last column
    out = np.zeros((last + 1, windows.shape[1]), np.float16)
    inside = place <= last
    out[place[inside]] = windows.transpose(0, 2, 1)[inside]
    return out
