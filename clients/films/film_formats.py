"""The kinds of film there are: what a file's name asks for, and which codecs that takes."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from engine.errors import VivifyError

Matrix = Literal["bt601", "bt709"]  # how R, G and B become Y, Cb and Cr


@dataclass(frozen=True)
class FilmFormat:
    """A container and what goes into it. Pictures are encoded with ``picture_options``, sound at 48 kHz.

    The matrix of what browsers play is BT.601 at every size: live pictures have it, chromium's canvas shows it within 2
    of 255 where saturated blues of BT.709 come out 12 off, and who ignores tags mostly assumes it.
    """

    container: str
    picture_codec: str
    pixels: str
    picture_options: dict[str, str]
    sound_codec: str
    bit_rates: dict[str, int]  # of the layouts the sound may have, bits a second; 0 where the codec has none
    options: dict[str, str] = field(default_factory=dict)  # of the container
    matrix: Matrix = "bt601"


AAC = {"mono": 128_000, "stereo": 192_000, "5.1": 384_000}
OPUS = {"mono": 96_000, "stereo": 160_000, "5.1": 320_000}
PCM = {"mono": 0, "stereo": 0, "5.1": 0}
X264 = {"crf": "18", "preset": "veryfast"}
VP9 = {"crf": "22", "b": "0", "deadline": "realtime", "cpu-used": "5", "row-mt": "1", "auto-alt-ref": "0"}
PRORES = {"profile": "4444", "vendor": "apl0"}  # no other profile but 4444 keeps a matte
INDEX_FIRST = {"movflags": "+faststart"}  # plays while it loads

H264 = {
    ".mp4": FilmFormat("mp4", "libx264", "yuv420p", X264, "aac", AAC, INDEX_FIRST),
    ".m4v": FilmFormat("mp4", "libx264", "yuv420p", X264, "aac", AAC, INDEX_FIRST),
    ".mov": FilmFormat("mov", "libx264", "yuv420p", X264, "aac", AAC, INDEX_FIRST),
    ".mkv": FilmFormat("matroska", "libx264", "yuv420p", X264, "aac", AAC),
}
OPAQUE = {**H264, ".webm": FilmFormat("webm", "libvpx-vp9", "yuv420p", VP9, "libopus", OPUS)}
TRANSPARENT = {
    ".webm": FilmFormat("webm", "libvpx-vp9", "yuva420p", VP9, "libopus", OPUS),
    ".mov": FilmFormat("mov", "prores_ks", "yuva444p10le", PRORES, "pcm_s24le", PCM, INDEX_FIRST, "bt709"),
}


def film_format(path: Path, alpha: bool = False) -> FilmFormat:
    """The format that a film's name asks for. Raises VivifyError for a name that asks for none."""
    known, ending = TRANSPARENT if alpha else OPAQUE, path.suffix.lower()
    if ending in known:
        return known[ending]
    if alpha:
        raise VivifyError(
            f"A film with a transparent background was expected to be .webm (VP9) or .mov (ProRes 4444), "
            f"but '{path}' is neither: name it so."
        )
    raise VivifyError(f"A film was expected to end in {', '.join(OPAQUE)}, but '{path}' does not: name it so.")
