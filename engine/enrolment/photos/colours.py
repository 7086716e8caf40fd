"""A photo's colours as sRGB, which is what everything after it is: what a colour-managed viewer shows.

Telephones write Display P3, cameras Adobe RGB, scanners grey, printers CMYK. A file says so by an ICC profile, or,
where it has none, by a number of ITU-T H.273: AVIF and HEIC in a box named ``colr``, PNG in a chunk named ``cICP``.
"""

from __future__ import annotations

import io
import struct

import numpy as np
from PIL import Image, ImageCms

SPACES = {"RGB": "RGB ", "L": "GRAY", "CMYK": "CMYK"}  # Pillow's modes, and what their profiles call themselves
PRIMARIES = {  # of H.273 that differ from sRGB's: x, y of red, green, blue; white is D65
    9: ((0.708, 0.292), (0.170, 0.797), (0.131, 0.046)),  # BT.2020
    12: ((0.680, 0.320), (0.265, 0.690), (0.150, 0.060)),  # Display P3
}
BRIGHT = (16, 18)  # curves of H.273 for pictures brighter than white: not sRGB's, and left as they are
D65 = (0.3127, 0.3290)
D50 = (0.9642, 1.0, 0.8249)  # XYZ of white where profiles meet
BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])
SRGB_CURVE = (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045)


def to_srgb(image: Image.Image, head: bytes = b"") -> Image.Image:
    """``image`` as RGB or, with transparency, RGBA in sRGB, by what it says of its colours.

    ``head``: the file's first bytes, where a number may stand. A profile that cannot be read, or is of another space
    than the picture, is passed over, as browsers do.
    """
    profile = image.info.get("icc_profile") or numbered_profile(head)
    alpha = None
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        image = image.convert("RGBA")
        alpha = image.getchannel("A")
        image = image.convert("RGB")
    elif image.mode not in SPACES:
        image = image.convert("RGB")
    out = _by_profile(image, profile) if profile else image.convert("RGB")
    if alpha is not None:
        out.putalpha(alpha)
    return out


def _by_profile(image: Image.Image, profile: bytes) -> Image.Image:
    """``image`` (RGB, L, CMYK) in sRGB, or as if it had no profile where that does not fit."""
    try:
        source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        space = source.profile.xcolor_space
        if space == SPACES["RGB"] and image.mode == "L":
            image = image.convert("RGB")
        if space != SPACES[image.mode]:
            return image.convert("RGB")
        # Without black point compensation, as browsers do it; for matrix profiles all intents agree.
        out = ImageCms.profileToProfile(
            image,
            source,
            ImageCms.createProfile("sRGB"),
            renderingIntent=ImageCms.Intent.RELATIVE_COLORIMETRIC,
            outputMode="RGB",
        )
    except (ImageCms.PyCMSError, OSError, ValueError):
        return image.convert("RGB")
    assert out is not None
    return out


def numbered_profile(head: bytes) -> bytes | None:
    """A profile for the number of H.273 that a file's first bytes hold; None for sRGB, or where there is none."""
    primaries = curve = 0
    if head[4:8] == b"ftyp" and (at := head.find(b"colrnclx")) > 0 and len(head) >= at + 12:
        primaries, curve = struct.unpack_from(">HH", head, at + 8)
    elif head[:4] == b"\x89PNG" and (at := head.find(b"cICP")) > 0 and len(head) >= at + 6:
        primaries, curve = head[at + 4], head[at + 5]
    if primaries not in PRIMARIES or curve in BRIGHT:
        return None
    return matrix_profile(PRIMARIES[primaries])


def matrix_profile(
    primaries: tuple[tuple[float, float], ...], curve: tuple[float, float, float, float, float] = SRGB_CURVE
) -> bytes:
    """An ICC profile (version 4) of the colours ``primaries`` (x, y of red, green, blue) under D65.

    ``curve`` is ICC's parametric one of type 3: g, a, b, c, d.
    """
    colours = np.array([_xyz(place) for place in primaries]).T
    colours = colours * np.linalg.solve(colours, _xyz(D65))  # together they are white
    cones = BRADFORD @ np.array(D50) / (BRADFORD @ _xyz(D65))
    adapted = np.linalg.inv(BRADFORD) @ np.diag(cones) @ BRADFORD @ colours
    tags = {b"wtpt": _xyz_tag(D50)}
    for name, column in zip((b"rXYZ", b"gXYZ", b"bXYZ"), adapted.T, strict=True):
        tags[name] = _xyz_tag(column)
    for name in (b"rTRC", b"gTRC", b"bTRC"):
        tags[name] = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(curve)
    text = "no name".encode("utf-16-be")
    for name in (b"desc", b"cprt"):
        tags[name] = b"mluc" + bytes(4) + struct.pack(">II2s2sII", 1, 12, b"en", b"US", len(text), 28) + text + bytes(2)
    place = 132 + 12 * len(tags)
    table, data = struct.pack(">I", len(tags)), b""
    for name, content in tags.items():
        table += name + struct.pack(">II", place + len(data), len(content))
        data += content + bytes(-len(content) % 4)
    head = struct.pack(">I4sI4s4s4s", place + len(data), bytes(4), 0x04300000, b"mntr", b"RGB ", b"XYZ ")
    head += bytes(12) + b"acsp" + bytes(28) + _fixed(D50)
    return head.ljust(128, b"\0") + table + data


def _xyz(place: tuple[float, float]) -> np.ndarray:
    """X, Y, Z of the chromaticity x, y, as bright as white."""
    x, y = place
    return np.array([x / y, 1.0, (1 - x - y) / y])


def _xyz_tag(values: np.ndarray | tuple[float, ...]) -> bytes:
    return b"XYZ " + bytes(4) + _fixed(values)


def _fixed(values: np.ndarray | tuple[float, ...]) -> bytes:
    """Numbers as ICC writes them: 32 bits, 16 of them behind the point."""
    return b"".join(struct.pack(">i", round(float(value) * 65536)) for value in values)
