"""Any photograph as an upright array in sRGB, or one sentence saying why not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.contracts import ByteArray
from engine.enrolment.photos.colours import to_srgb
from engine.enrolment.photos.photo_formats import HEIF, is_heif, readable
from engine.errors import VivifyError

MAX_BYTES = 100_000_000
MAX_PIXELS = 40_000_000
HEAD = 65536  # bytes in which a file says what it is, and of which colours


def read_photo(path: Path, formats: tuple[str, ...] | None = None) -> ByteArray:
    """Decode ``path`` to sRGB [H, W, 3], upright by its EXIF mark, transparency laid over mid grey.

    The first picture of an animation is taken; colour profiles are followed; CMYK, palette, grey and 16-bit files are
    converted. Raises `VivifyError` when the file is missing, over 100 MB, over 40 megapixels, truncated, of a kind
    that is not read (``formats`` of `photo_formats`, else all of them) or no picture at all.
    """
    if path.is_dir():
        raise VivifyError(f"A photo was expected at {path}, but that is a folder: name one picture in it.")
    if not path.is_file():
        raise VivifyError(f"A photo was expected at {path}, but there is no such file: check the path.")
    if path.stat().st_size > MAX_BYTES:
        raise VivifyError(f"The photo {path.name} is {path.stat().st_size / 1e6:.0f} MB: give one under 100 MB.")
    if path.stat().st_size == 0:
        raise VivifyError(f"The photo {path.name} is empty, no byte is in it: copy or export it again.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # our own limit below is stricter than Pillow's warning
            with Image.open(path, formats=formats or readable()) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise VivifyError(
                        f"The photo {path.name} has {width * height / 1e6:.0f} megapixels: give one of at most 40."
                    )
                image.load()
                ImageOps.exif_transpose(image, in_place=True)  # a large photo is not held twice
                return _to_rgb(image, _first_bytes(path))
    except UnidentifiedImageError as problem:
        raise VivifyError(_unread(path)) from problem
    except Image.DecompressionBombError as problem:
        raise VivifyError(f"The photo {path.name} has too many megapixels: give one of at most 40.") from problem
    except (OSError, SyntaxError, ValueError, EOFError) as problem:
        raise VivifyError(f"The photo {path.name} is damaged or cut short: export it again and retry.") from problem


def _unread(path: Path) -> str:
    """What is told of a file that none of the formats fits."""
    heif = is_heif(_first_bytes(path))
    if heif and HEIF not in readable():
        return (
            f"The photo {path.name} is HEIC, which is read where pi-heif is installed: "
            'pip install "vivify[heic]", or export it as JPEG.'
        )
    if heif:
        return f"The photo {path.name} is damaged or cut short: export it again and retry."
    return f"The file {path.name} is no picture that can be read: give a JPEG, PNG, WebP, AVIF or HEIC."


def _first_bytes(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(HEAD)


def _to_rgb(image: Image.Image, head: bytes) -> ByteArray:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits or more: spread what is there over 8
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        grey = np.clip(np.nan_to_num(values) / top * 255.0, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    rgb = to_srgb(image, head)
    if rgb.mode == "RGBA":
        over = Image.new("RGBA", image.size, (128, 128, 128, 255))
        rgb = Image.alpha_composite(over, rgb).convert("RGB")
    return np.array(rgb)
