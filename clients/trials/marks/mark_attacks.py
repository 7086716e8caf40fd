"""What films go through on their way: the chain that a mark has to outlive."""

from __future__ import annotations

import io
from collections.abc import Callable
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.vpx import VpxPayloadDescriptor
from av import CodecContext

from engine.contracts import ByteArray
from webrtc.rtc.sending.picture_encoders import PictureEncoder

Film = list[ByteArray]  # RGB pictures [H, W, 3]


def encoded(film: Film, codec: str, options: dict[str, str], kbit: int | None = None, rate: int = 25) -> Film:
    """``film`` encoded and decoded again."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as file:
        stream = file.add_stream(codec, rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = film[0].shape[:2]
        stream.pix_fmt, stream.options = "yuv420p", {**options}
        if kbit:
            stream.bit_rate = 1000 * kbit
        for k, picture in enumerate(film):
            frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r") as read:
        return [_rgb(frame) for frame in read.decode(video=0)]


def _rgb(frame: av.VideoFrame) -> ByteArray:
    return np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)


def vp8(film: Film, kbit: int) -> Film:
    """By the encoder of live sessions, at the bitrate that congestion control allowed it."""
    encoder, decoder = PictureEncoder(), CodecContext.create("vp8", "r")
    encoder.target_bitrate = 1000 * kbit
    out: Film = []
    for k, picture in enumerate(film):
        frame = av.VideoFrame.from_ndarray(picture, format="rgb24").reformat(format="yuv420p")
        frame.pts, frame.time_base = 3600 * k, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame)
        whole = b"".join(VpxPayloadDescriptor.parse(payload)[1] for payload in payloads)
        out += [_rgb(decoded) for decoded in decoder.decode(av.Packet(whole))]
    return out


def h264(film: Film, crf: int, rate: int = 25) -> Film:
    return encoded(film, "libx264", {"crf": str(crf), "preset": "veryfast"}, rate=rate)


def scaled(film: Film, share: float) -> Film:
    side = [round(n * share / 2) * 2 for n in film[0].shape[:2]]
    frames = (av.VideoFrame.from_ndarray(picture, format="rgb24") for picture in film)
    return [_rgb(frame.reformat(width=side[1], height=side[0])) for frame in frames]


def cropped(film: Film, share: float) -> Film:
    """``share`` of each side away."""
    y, x = (int(n * share) // 2 * 2 for n in film[0].shape[:2])
    return [np.ascontiguousarray(picture[y:-y, x:-x]) for picture in film]


def grainy(film: Film, levels: float = 6.0) -> Film:
    rng = np.random.default_rng(0)
    noise = (rng.standard_normal((*picture.shape[:2], 1)) * levels for picture in film)
    return [np.clip(p + n, 0, 255).astype(np.uint8) for p, n in zip(film, noise, strict=True)]


def recorded(film: Film) -> Film:
    """A screen recording: 30 pictures a second of 25, encoded by x264."""
    return h264([film[min(k * 25 // 30, len(film) - 1)] for k in range(len(film) * 30 // 25)], 23, 30)


def phone(film: Film) -> Film:
    """A phone-like chain: smaller, encoded, larger again, encoded."""
    return h264(scaled(h264(scaled(film, 0.9), 26), 1.1), 28)


ATTACKS: dict[str, Callable[[Film], Film]] = {
    "as made": lambda film: film,
    "VP8 at 300 kbit/s": lambda film: vp8(film, 300),
    "VP8 at 2500 kbit/s": lambda film: vp8(film, 2500),
    "H.264 crf 28": lambda film: h264(film, 28),
    "H.264 crf 28, then 32": lambda film: h264(h264(film, 28), 32),
    "scaled to 50 %": lambda film: h264(scaled(film, 0.5), 18),
    "scaled to 140 %": lambda film: h264(scaled(film, 1.4), 18),
    "10 % a side cropped": lambda film: h264(cropped(film, 0.1), 18),
    "screen recording at 30 fps": recorded,
    "grain": lambda film: h264(grainy(film), 23),
    "phone": phone,
}
