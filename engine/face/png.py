"""PNG in and out."""

from __future__ import annotations

import struct
import zlib
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image

from engine.contracts import ByteArray

MOST_PIXELS = 2048 * 2048


def write_png(path: Path, pixels: ByteArray) -> None:
    """Write RGB [H, W, 3] or RGBA [H, W, 4]."""
    Image.fromarray(pixels).save(path, "PNG")


def read_png(path: Path, limit: int) -> ByteArray:
    """Read a PNG of at most ``limit`` bytes as RGBA [H, W, 4]. Raises OSError or ValueError when it cannot."""
    data = path.read_bytes() if path.stat().st_size <= limit else b""
    if not data.startswith(b"\x89PNG\r\n\x1a\n") or len(data) < 24:
        raise ValueError("no PNG")
    width, height = int.from_bytes(data[16:20], "big"), int.from_bytes(data[20:24], "big")
    if width * height > MOST_PIXELS:
        raise ValueError("too many pixels")
    try:
        with Image.open(BytesIO(data), formats=("PNG",)) as picture:
            if picture.mode.startswith("I"):  # Pillow would cut grey levels off at 255
                raise ValueError("grey levels of 16 bits")
            return np.array(picture.convert("RGBA"))
    except (OSError, SyntaxError, EOFError, struct.error, zlib.error) as problem:  # as Pillow's reader tells of damage
        raise ValueError("no readable PNG") from problem
