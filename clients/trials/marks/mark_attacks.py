"""What films go through on their way: the chain that a mark has to outlive."""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np
from aiortc.codecs.vpx import VpxPayloadDescriptor
from av import CodecContext

from engine.contracts import ByteArray, FloatArray
from webrtc.rtc.sending.picture_encoders import PictureEncoder

Film = list[ByteArray]  # planar I420 [H * 3 // 2, W], as pictures are marked and encoded
KBIT = (300, 2500)  # of live sessions, the least and the most
NAMES = (
    "as made",
    *(f"VP8 at {kbit} kbit/s" for kbit in KBIT),
    "H.264 crf 28",
    "H.264 crf 28, then 32",
    "scaled to 50 %",
    "scaled to 140 %",
    "10 % a side cropped",
    "screen recording at 30 fps",
    "grain",
    "phone",
)


def attacked(film: Film) -> Iterator[tuple[str, Film]]:
    """``film`` after each attack of `NAMES`, in their order."""
    once = h264(film, 28)
    ends = (
        film,
        *(vp8(film, kbit) for kbit in KBIT),
        once,
        h264(once, 32),
        h264(scaled(film, 0.5), 23),
        h264(scaled(film, 1.4), 23),
        h264(cropped(film, 0.1), 23),
        recorded(film),
        h264(grainy(film), 28),
        phone(film),
    )
    return zip(NAMES, ends, strict=True)


def vp8(film: Film, kbit: int) -> Film:
    """By the encoder of live sessions, at the bitrate that congestion control allowed it."""
    encoder, decoder = PictureEncoder(), CodecContext.create("vp8", "r")
    encoder.target_bitrate = 1000 * kbit
    out: Film = []
    for k, planes in enumerate(film):
        frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
        frame.pts, frame.time_base = 3600 * k, Fraction(1, 90_000)
        payloads, _ = encoder.encode(frame)
        whole = b"".join(VpxPayloadDescriptor.parse(payload)[1] for payload in payloads)
        out += [_planes(decoded) for decoded in decoder.decode(av.Packet(whole))]
    return out


def h264(film: Film, crf: int, rate: int = 25) -> Film:
    """``film`` encoded by x264 and decoded again."""
    memory = io.BytesIO()
    with av.open(memory, "w", format="matroska") as file:
        stream = file.add_stream("libx264", rate=rate)
        assert isinstance(stream, av.VideoStream)
        stream.height, stream.width = _size(film[0])
        stream.pix_fmt, stream.options = "yuv420p", {"crf": str(crf), "preset": "veryfast", "threads": "1"}
        for k, planes in enumerate(film):
            frame = av.VideoFrame.from_ndarray(planes, format="yuv420p")
            frame.pts, frame.time_base = k, Fraction(1, rate)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    memory.seek(0)
    with av.open(memory, "r") as read:
        return [_planes(frame) for frame in read.decode(video=0)]


def scaled(film: Film, share: float) -> Film:
    height, width = (round(n * share / 2) * 2 for n in _size(film[0]))
    frames = (av.VideoFrame.from_ndarray(planes, format="yuv420p") for planes in film)
    return [_planes(frame.reformat(width=width, height=height)) for frame in frames]


def cropped(film: Film, share: float) -> Film:
    """``share`` of each side away."""
    height, width = _size(film[0])
    y, x = (int(n * share) // 4 * 4 for n in (height, width))
    out: Film = []
    for planes in film:
        chroma = planes[height:].reshape(2, height // 2, width // 2)
        inside = planes[y : height - y, x : width - x], *(c[y // 2 : -y // 2, x // 2 : -x // 2] for c in chroma)
        out.append(np.concatenate([plane.reshape(-1) for plane in inside]).reshape(-1, width - 2 * x))
    return out


def grainy(film: Film, levels: float = 6.0) -> Film:
    height, width = _size(film[0])
    rng = np.random.default_rng(0)
    noise = levels * rng.standard_normal((2 * height, 2 * width), np.float32)
    out: Film = []
    for planes in film:
        y, x = int(rng.integers(height)), int(rng.integers(width))  # another piece of it in every picture
        noisy = np.clip(planes[:height] + noise[y : y + height, x : x + width], 16, 235)
        out.append(np.concatenate([noisy.astype(np.uint8), planes[height:]]))
    return out


def recorded(film: Film) -> Film:
    """A screen recording: 30 pictures a second of 25, encoded by x264."""
    return h264([film[min(k * 25 // 30, len(film) - 1)] for k in range(len(film) * 30 // 25)], 23, 30)


def phone(film: Film) -> Film:
    """A phone-like chain: smaller, encoded, larger again, encoded."""
    return h264(scaled(h264(scaled(film, 0.9), 26), 1.1), 28)


def mean(film: Film) -> FloatArray:
    """Mean luma [H, W], as a reader gets it."""
    height, width = _size(film[0])
    total = np.zeros((height, width), np.uint32)
    for planes in film:
        total += planes[:height]
    return np.asarray(total / len(film), np.float32)


def _size(planes: ByteArray) -> tuple[int, int]:
    return planes.shape[0] * 2 // 3, planes.shape[1]


def _planes(frame: av.VideoFrame) -> ByteArray:
    return np.asarray(frame.to_ndarray(format="yuv420p"), np.uint8)
