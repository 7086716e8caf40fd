"""PNG in and out through PyAV, so that opening an avatar needs no image library."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from engine.contracts import ByteArray


def write_png(path: Path, pixels: ByteArray) -> None:
    """Write RGB [H, W, 3] or RGBA [H, W, 4]."""
    layout = {3: "rgb24", 4: "rgba"}[pixels.shape[2]]
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format=layout)
    codec = av.CodecContext.create("png", "w")
    codec.width, codec.height, codec.pix_fmt = frame.width, frame.height, layout  # type: ignore[attr-defined]
    codec.time_base = 1  # type: ignore[assignment]
    data = b"".join(bytes(p) for p in [*codec.encode(frame), *codec.encode(None)])  # type: ignore[attr-defined]
    path.write_bytes(data)


def read_png(path: Path, limit: int) -> ByteArray:
    """Read a PNG of at most ``limit`` bytes as RGBA [H, W, 4]. Raises OSError or ValueError when it cannot."""
    data = path.read_bytes() if path.stat().st_size <= limit else b""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        raise ValueError("no PNG")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if width * height > 2048 * 2048:
        raise ValueError("too many pixels")
    try:
        codec = av.CodecContext.create("png", "r")
        frames = [*codec.decode(av.Packet(data)), *codec.decode(None)]  # type: ignore[attr-defined]
        return np.asarray(frames[0].to_ndarray(format="rgba"), np.uint8)
    except (av.FFmpegError, IndexError) as problem:
        raise ValueError("no readable PNG") from problem
