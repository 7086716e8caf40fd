"""Writes a talking picture to an MP4 file: H.264 at 25 fps and AAC, through PyAV."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np

from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray
from engine.errors import VivifyError

AUDIO_RATE = 48_000
AUDIO_BLOCK = 1024  # an AAC frame


class Mp4Writer:
    """Pictures and sound in, a playable file out. The file appears under its name only once it is complete.

    Picture ``k`` is shown at ``k / 25`` s, the first sample of sound is heard at 0 s.
    """

    def __init__(self, path: Path, size: int, crf: int = 18) -> None:
        self._path = path
        self._part = path.with_name(f".{path.stem}.part{path.suffix or '.mp4'}")
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = av.open(str(self._part), "w", format="mp4", options={"movflags": "+faststart"})
        except OSError as error:
            raise VivifyError(f"'{path}' was expected to be a place to write an MP4 to, but: {error}.") from None
        self._video = self._file.add_stream("libx264", rate=FRAMES_PER_SECOND)
        self._video.width = self._video.height = size
        self._video.pix_fmt = "yuv420p"
        self._video.options = {"crf": str(crf), "preset": "veryfast"}
        self._audio = self._file.add_stream("aac", rate=AUDIO_RATE)
        self._audio.layout = "mono"
        self._audio.bit_rate = 128_000
        self.pictures = 0
        self.samples = 0

    def picture(self, picture: ByteArray) -> None:
        """Add RGB [H, W, 3] or planar I420 [H * 3 // 2, W] bytes."""
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24" if picture.ndim == 3 else "yuv420p")
        frame.pts, frame.time_base = self.pictures, Fraction(1, FRAMES_PER_SECOND)
        self._file.mux(self._video.encode(frame))
        self.pictures += 1

    def sound(self, samples: FloatArray) -> None:
        """Add mono float samples [n] at 48 kHz."""
        for start in range(0, len(samples), AUDIO_BLOCK):
            block = np.ascontiguousarray(samples[start : start + AUDIO_BLOCK], np.float32)[None]
            frame = av.AudioFrame.from_ndarray(block, format="fltp", layout="mono")
            frame.sample_rate, frame.pts, frame.time_base = AUDIO_RATE, self.samples, Fraction(1, AUDIO_RATE)
            self._file.mux(self._audio.encode(frame))
            self.samples += block.shape[1]

    def close(self) -> None:
        """Finish the file and give it its name."""
        self._file.mux(self._video.encode(None))
        self._file.mux(self._audio.encode(None))
        self._file.close()
        self._part.replace(self._path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def __enter__(self) -> Mp4Writer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.close()
        else:
            self.discard()
