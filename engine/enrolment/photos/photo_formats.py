"""Which kinds of files a photo may be: one list, for files, uploads and the page alike.

Pillow knows dozens of formats, some of them programs (EPS), most of them rarely tried; only these are ever opened.
HEIC, as telephones keep their pictures, wants the extra `heic`.
"""

from __future__ import annotations

import importlib
import importlib.util
from functools import cache

FORMATS = ("JPEG", "PNG", "WEBP", "AVIF", "TIFF", "BMP", "GIF")  # Pillow's names
HEIF = "HEIF"
UPLOADS = {  # what visitors may send, by its media types
    "JPEG": ("image/jpeg",),
    "PNG": ("image/png",),
    "WEBP": ("image/webp",),
    "AVIF": ("image/avif",),
    HEIF: ("image/heic", "image/heif"),
}
HEIF_BRANDS = (b"heic", b"heix", b"hevc", b"heim", b"heis", b"hevm", b"hevs", b"mif1", b"msf1")
AVIF_BRANDS = (b"avif", b"avis")


HEIF_READERS = ("pi_heif", "pillow_heif")  # one library twice: to read with, and with encoders under the GPL


def reads_heif() -> bool:
    """Whether a reader of HEIC is installed; it is not loaded for the answer."""
    return any(importlib.util.find_spec(name) for name in HEIF_READERS)


def media_types() -> tuple[str, ...]:
    """What visitors may send to this server."""
    return tuple(name for kind, names in UPLOADS.items() if kind != HEIF or reads_heif() for name in names)


@cache
def readable() -> tuple[str, ...]:
    """The formats that `PIL.Image.open` may try here; HEIF among them where it can be read."""
    if not reads_heif():
        return FORMATS
    # Thumbnails, depth maps and other pictures beside the photo are of no use to a portrait.
    reader = importlib.import_module(next(name for name in HEIF_READERS if importlib.util.find_spec(name)))
    reader.register_heif_opener(thumbnails=False, depth_images=False, aux_images=False)
    return (*FORMATS, HEIF)


def of_strangers() -> tuple[str, ...]:
    """Those of them that visitors may send: whatever a file says it is, no other parser sees it."""
    return tuple(kind for kind in readable() if kind in UPLOADS)


def is_heif(head: bytes) -> bool:
    """Whether a file begins with ``head`` as those do that telephones keep pictures in, AVIF not among them.

    Both kinds may say ``mif1`` first; which one it is then stands among the compatible brands after it.
    """
    if head[4:8] != b"ftyp" or head[8:12] not in HEIF_BRANDS:
        return False
    return not any(brand in head[16:64] for brand in AVIF_BRANDS)
