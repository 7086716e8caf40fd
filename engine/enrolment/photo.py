"""Any photograph as an upright RGB array, or one sentence saying why not."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from engine.contracts import ByteArray
from engine.errors import VivifyError

MAX_BYTES = 100_000_000
MAX_PIXELS = 40_000_000
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1", b"avif", b"avis")


def read_photo(path: Path) -> ByteArray:
    """Decode ``path`` to RGB [H, W, 3], upright by its EXIF mark, transparency laid over mid grey.

    The first picture of an animation is taken; CMYK, palette, grey and 16-bit files are converted. Raises
    `VivifyError` when the file is missing, over 100 MB, over 40 megapixels, truncated or no picture at all.
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
            with Image.open(path) as image:
                width, height = image.size
                if width * height > MAX_PIXELS:
                    raise VivifyError(
                        f"The photo {path.name} has {width * height / 1e6:.0f} megapixels: give one of at most 40."
                    )
                image.load()
                ImageOps.exif_transpose(image, in_place=True)  # a large photo is not held twice
                return _to_rgb(image)
    except UnidentifiedImageError as problem:
        if _is_heif(path):
            raise VivifyError(
                f"The photo {path.name} is of the HEIC or AVIF kind, which cannot be read here: export it as JPEG."
            ) from problem
        raise VivifyError(
            f"The file {path.name} is no picture that can be read: give a JPEG, PNG or WebP."
        ) from problem
    except Image.DecompressionBombError as problem:
        raise VivifyError(f"The photo {path.name} has too many megapixels: give one of at most 40.") from problem
    except (OSError, SyntaxError, ValueError, EOFError) as problem:
        raise VivifyError(f"The photo {path.name} is damaged or cut short: export it again and retry.") from problem


def _is_heif(path: Path) -> bool:
    """Whether the file begins as ISO base media do that phones keep pictures in."""
    with path.open("rb") as file:
        head = file.read(12)
    return head[4:8] == b"ftyp" and head[8:12] in HEIF_BRANDS


def _to_rgb(image: Image.Image) -> ByteArray:
    if image.mode.startswith("I") or image.mode == "F":  # 16 bits or more: spread what is there over 8
        values = np.asarray(image, np.float64)
        top = 65535.0 if values.max() > 255 else 255.0
        grey = np.clip(np.nan_to_num(values) / top * 255.0, 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        over = Image.new("RGBA", image.size, (128, 128, 128, 255))
        image = Image.alpha_composite(over, image.convert("RGBA"))
    return np.array(image if image.mode == "RGB" else image.convert("RGB"))
