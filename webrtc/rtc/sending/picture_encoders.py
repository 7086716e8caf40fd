"""The encoders of live pictures: VP8 tuned for a drawn face, not a camera's grain; H.264 that says its colours."""

from __future__ import annotations

from typing import Any
from weakref import WeakSet

from aiortc.codecs import vpx
from aiortc.codecs.h264 import H264Encoder
from av import CodecContext, VideoFrame
from av.frame import Frame
from av.video.codeccontext import VideoCodecContext

from engine.cores import usable_cores

# libvpx's realtime speeds. Where more pictures are encoded than there are cores, all take a third less time for 1.4 dB
# (PSNR 47.1 against 48.5 at 1.5 Mbit/s and 512 x 512, 44.7 against 46.5 at 800 kbit/s).
CALM, HURRIED = "-8", "-14"
ENOUGH = 1_500_000  # bits per second of a picture then, whatever its receiver could take
LEAST_CHANGE = 0.1  # of the bitrate, before an encoder is made anew: that costs a whole picture
BT709, BT601, LIMITED = 1, 6, 1  # as H.264's annex E numbers them


class PictureEncoder(vpx.Vp8Encoder):
    """aiortc's VP8 encoder without its noise filter, and a step faster.

    The filter takes grain of cameras for noise; a drawn face has none, and lost 5 dB by it (PSNR 43.7 against 48.6 at
    1.5 Mbit/s and 512 x 512), at a third more time.
    """

    def __init__(self) -> None:
        super().__init__()
        self.speed = CALM  # libvpx's
        _encoders.add(self)

    @property
    def target_bitrate(self) -> int:
        """Bits per second."""
        return super().target_bitrate

    @target_bitrate.setter
    def target_bitrate(self, bitrate: int) -> None:
        wanted = min(bitrate, ENOUGH) if self.speed == HURRIED else bitrate
        vpx.Vp8Encoder.target_bitrate.__set__(self, wanted)  # type: ignore[attr-defined]

    def encode(self, frame: Frame, force_keyframe: bool = False) -> tuple[list[bytes], int]:
        assert isinstance(frame, VideoFrame)
        codec, speed = self.codec, CALM if len(_encoders) <= usable_cores() else HURRIED
        if speed != self.speed:
            self.speed, codec = speed, None
            self.target_bitrate = self.target_bitrate
        if codec is not None and (frame.width, frame.height) != (codec.width, codec.height):
            codec = None
        if codec is None or abs(self.target_bitrate - (codec.bit_rate or 0)) > LEAST_CHANGE * (codec.bit_rate or 0):
            self.codec = _vp8(frame.width, frame.height, self.target_bitrate, self.speed)
        return super().encode(frame, force_keyframe)


_encoders: WeakSet[PictureEncoder] = WeakSet()  # of all that encode now


def _vp8(width: int, height: int, bitrate: int, speed: str) -> VideoCodecContext:
    """A constant-bitrate encoder for live pictures."""
    codec = CodecContext.create("libvpx", "w")
    codec.width, codec.height, codec.bit_rate, codec.pix_fmt = width, height, bitrate, "yuv420p"
    codec.gop_size = 3000  # a whole picture only when somebody asks for one
    codec.qmin, codec.qmax = 2, 56
    codec.thread_count = vpx.number_of_threads(width * height, usable_cores())
    rate = str(bitrate)
    codec.options = {
        "deadline": "realtime",
        "cpu-used": speed,
        "lag-in-frames": "0",
        "noise-sensitivity": "0",
        "static-thresh": "1",
        "partitions": "0",
        **dict.fromkeys(("bufsize", "minrate", "maxrate"), rate),  # a buffer of a second, and no less nor more
        "overshoot-pct": "15",
        "undershoot-pct": "100",
    }
    return codec


class TaggedEncoder(H264Encoder):
    """aiortc's H.264 encoder, whose stream says that it is BT.601 in limited range.

    Where nothing is said, chromium takes H.264 of any size for BT.709, red 10 of 255 too bright. aiortc assigns a new
    codec context to ``codec`` before it is opened; there it is told.
    """

    @property
    def codec(self) -> Any:
        return self._codec

    @codec.setter
    def codec(self, context: Any) -> None:
        self._codec = context
        if context is not None:
            context.colorspace, context.color_range = BT601, LIMITED
            context.color_primaries, context.color_trc = BT709, BT709
