"""Streaming log-mel features: 40 bands, 100 a second, causal.

Feature i is computed from the 25 ms of samples that end at 10 (i + 1) ms and from nothing later. The normalisation is
fixed, with no statistics of the recording, so a feature depends on its window alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from engine.contracts import SAMPLE_RATE, FloatArray
from engine.streaming import State, StreamingModule, keep

HOP = 160  # samples, 10 ms
WINDOW = 400  # samples, 25 ms
FFT = 512
BANDS = 40
LOWEST, HIGHEST = 60.0, 7600.0  # Hz
FLOOR = 1e-5  # power added before the logarithm: samples are within [-1, 1]


def _mel(hertz: float) -> float:
    return float(2595.0 * np.log10(1.0 + hertz / 700.0))


@lru_cache(maxsize=32)
def filterbank(warp: float = 1.0) -> FloatArray:
    """Triangular mel filters [FFT // 2 + 1, BANDS], each summing to one.

    ``warp`` scales the centre frequencies: training hears longer and shorter vocal tracts with it.
    """
    points = 700.0 * (10.0 ** (np.linspace(_mel(LOWEST), _mel(HIGHEST), BANDS + 2) / 2595.0) - 1.0) * warp
    points = np.minimum(points, 7900.0 + 2.0 * np.arange(BANDS + 2))  # below Nyquist, and strictly rising
    hertz = np.arange(FFT // 2 + 1) * SAMPLE_RATE / FFT
    low, centre, high = points[:-2, None], points[1:-1, None], points[2:, None]
    weights = np.maximum(0.0, np.minimum((hertz - low) / (centre - low), (high - hertz) / (high - centre)))
    weights /= weights.sum(1, keepdims=True) + 1e-6
    return np.ascontiguousarray(weights.T, np.float32)


def cleaned(samples: Tensor) -> Tensor:
    """Samples within [-1, 1]; one that is no number counts as silence: it would stay in a row's memory for seconds."""
    return torch.nan_to_num(samples, 0.0, 1.0, -1.0).clamp(-1, 1)


@dataclass
class MelState(State):
    tail: Tensor  # [B, WINDOW - HOP] the samples before the next hop


class LogMel(StreamingModule[MelState]):
    """samples [B, HOP * n] float32 -> features [B, n, BANDS], normalised as (log power + 4) / 4."""

    window: Tensor
    filters: Tensor

    def __init__(self, warp: float = 1.0) -> None:
        super().__init__()
        self.register_buffer("window", torch.from_numpy(np.hanning(WINDOW).astype(np.float32)), persistent=False)
        self.register_buffer("filters", torch.from_numpy(filterbank(warp)), persistent=False)

    def fresh_state(self, batch_size: int) -> MelState:
        return MelState(batch_size, torch.zeros(batch_size, WINDOW - HOP, device=self.window.device))

    def forward(self, samples: Tensor, exec_mask: Tensor | None = None) -> Tensor:
        """See the class. Raises ValueError when the samples do not fill whole hops."""
        if samples.dim() != 2 or samples.shape[1] % HOP:
            raise ValueError(f"LogMel expects samples [B, {HOP} * n], got {tuple(samples.shape)}.")
        state = self._state
        tail = state.tail if state else samples.new_zeros(samples.shape[0], WINDOW - HOP)
        padded = torch.cat([tail, samples], 1)
        if state:
            state.tail = keep(padded[:, -(WINDOW - HOP) :], tail, exec_mask)
        frames = padded.unfold(1, WINDOW, HOP) * self.window  # [B, n, WINDOW]
        # Beside loud bands soft ones would be rounding, and each library's its own: a program could not say the same.
        spectrum = torch.fft.rfft(frames.double(), FFT)
        power = spectrum.abs().square().to(frames.dtype)  # [B, n, FFT // 2 + 1]
        return (torch.log(power @ self.filters + FLOOR) + 4.0) / 4.0
