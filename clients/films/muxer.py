"""Pictures and sound encoded and interleaved into any container FFmpeg writes: a file here, a stream elsewhere."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av import Packet
from av.container import OutputContainer
from av.video.frame import PictureType
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc, Interpolation

from clients.films.film_formats import FilmFormat
from engine.contracts import FRAMES_PER_SECOND, ByteArray, FloatArray

SOUND_RATE = 48_000
SOUND_PER_PICTURE = SOUND_RATE // FRAMES_PER_SECOND
MATRICES = {"bt709": (Colorspace.ITU709, 1), "bt601": (Colorspace.ITU601, 6)}  # as swscale and as streams call them
CAREFUL = Interpolation.BICUBIC | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INP


class Muxer:
    """Picture ``k`` is shown at ``k / 25`` s, the first sample of sound is heard at 0 s.

    Give them in turns, a picture and then the sound of its 40 ms: FFmpeg waits for whichever stream is behind and so
    writes them side by side, as long as they are not ten seconds apart. What lives may leave some out and say where the
    next stand. Colours are said to be what they are: BT.709,
    limited range, and the format's matrix.
    """

    def __init__(
        self,
        file: OutputContainer,
        form: FilmFormat,
        size: int | tuple[int, int],
        layout: str = "mono",
        tick: Fraction = Fraction(1, FRAMES_PER_SECOND),
    ) -> None:
        """``size``: the square's side, or width and height; ``tick``: what times of pictures are counted in."""
        self._file = file
        self._matrix, self._tag = MATRICES[form.matrix]
        video = file.add_stream(form.picture_codec, rate=FRAMES_PER_SECOND)
        audio = file.add_stream(form.sound_codec, rate=SOUND_RATE)
        assert isinstance(video, av.VideoStream)
        assert isinstance(audio, av.AudioStream)
        self._video, self._audio = video, audio
        self._video.width, self._video.height = (size, size) if isinstance(size, int) else size
        self._video.pix_fmt = form.pixels
        self._video.options = {**form.picture_options}
        context = self._video.codec_context
        context.time_base = tick
        context.colorspace, context.color_range = self._tag, ColorRange.MPEG
        context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        self._audio.layout = self.layout = layout
        if form.bit_rates[layout]:
            self._audio.bit_rate = form.bit_rates[layout]
        self.pictures = 0
        self.samples = 0
        self.octets = 0  # that the encoders gave

    def picture(self, picture: ByteArray, at: int | None = None, whole: bool = False) -> None:
        """Add RGB [H, W, 3], RGBA [H, W, 4] not multiplied by its matte, or planar I420 of BT.601 [H * 3 // 2, W].

        ``at`` is its place in samples of 48 kHz, where it is not the next one's; ``whole`` asks for a keyframe.
        """
        frame = self._planes(picture)
        frame.pts = SOUND_PER_PICTURE * self.pictures if at is None else at
        frame.time_base = Fraction(1, SOUND_RATE)
        if whole:
            frame.pict_type = PictureType.I
        self._mux(self._video.encode(frame))
        self.pictures += 1

    def sound(self, samples: FloatArray) -> None:
        """Add samples [n, C] or mono [n] in [-1, 1] at 48 kHz, C as the layout says; they begin at ``samples``."""
        if not len(samples):
            return
        planes = np.ascontiguousarray(samples.reshape(len(samples), -1).T, np.float32)
        frame = av.AudioFrame.from_ndarray(planes, format="fltp", layout=self.layout)
        frame.sample_rate, frame.pts, frame.time_base = SOUND_RATE, self.samples, Fraction(1, SOUND_RATE)
        self._mux(self._audio.encode(frame))
        self.samples += len(samples)

    def finish(self) -> None:
        """Let out what the encoders still hold, and end the file."""
        self._mux(self._video.encode(None))
        self._mux(self._audio.encode(None))
        self._file.close()

    def _mux(self, packets: list[Packet[Any]]) -> None:
        self.octets += sum(packet.size for packet in packets)
        self._file.mux(packets)

    def _planes(self, picture: ByteArray) -> av.VideoFrame:
        if picture.ndim == 2:
            frame = av.VideoFrame.from_ndarray(picture, format="yuv420p")
        else:
            given = av.VideoFrame.from_ndarray(picture, format="rgba" if picture.shape[2] == 4 else "rgb24")
            frame = given.reformat(
                format=self._video.pix_fmt,
                dst_colorspace=self._matrix,
                dst_color_range=ColorRange.MPEG,
                interpolation=CAREFUL,
            )
        frame.colorspace, frame.color_range = self._tag, ColorRange.MPEG
        frame.color_primaries, frame.color_trc = ColorPrimaries.BT709, ColorTrc.BT709
        return frame
