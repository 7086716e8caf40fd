"""Sound at one rate and layout becomes sound at another, as it comes: FFmpeg's resampler over arrays."""

from __future__ import annotations

import av
import numpy as np

from engine.contracts import FloatArray


class RateConverter:
    """Pushes of any length [n, C] in, what they give at the wanted rate [m, C'] out; `finish` gives the rest.

    Layouts are FFmpeg's names, such as "mono", "stereo" and "5.1". Not for two streams at once.
    """

    def __init__(self, rate: int, wanted: int, layout: str = "mono", wanted_layout: str | None = None) -> None:
        self._rate, self._layout = rate, layout
        target = wanted_layout or layout
        self._channels = av.AudioLayout(target).nb_channels
        self._resampler = av.AudioResampler(format="fltp", layout=target, rate=wanted)

    def push(self, samples: FloatArray) -> FloatArray:
        """samples [n, C] float in [-1, 1], C as the layout says."""
        if not len(samples):
            return self._joined([])
        planes = np.ascontiguousarray(samples.T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self._layout)
        frame.sample_rate = self._rate
        return self._joined(self._resampler.resample(frame))

    def finish(self) -> FloatArray:
        """What the resampler still held back [m, C']; nothing may be pushed afterwards."""
        return self._joined([frame for frame in self._resampler.resample(None) if frame is not None])

    def _joined(self, frames: list[av.AudioFrame]) -> FloatArray:
        parts = [np.zeros((0, self._channels), np.float32), *(frame.to_ndarray().T for frame in frames)]
        return np.concatenate(parts)
