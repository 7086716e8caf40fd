"""Portraits as pages show them: without their matte, and kept where they do not change."""

from __future__ import annotations

import functools
from fractions import Fraction
from pathlib import Path

import av


def opaque(path: Path) -> bytes:
    """A portrait's PNG without its matte: as the video shows it."""
    with av.open(str(path)) as file:
        frame = next(file.decode(video=0)).reformat(format="rgb24")
    encoder = av.CodecContext.create("png", "w")
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "rgb24"
    encoder.time_base = Fraction(1, 1)
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))


opaque_kept = functools.lru_cache(maxsize=16)(opaque)
