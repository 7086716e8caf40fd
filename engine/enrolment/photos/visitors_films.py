"""Which kinds of films visitors may send: few containers and few codecs, for uploads and the page alike.

FFmpeg reads hundreds of formats, and takes a file for what its first bytes say. Some are lists that name other files:
so the first bytes are looked at here before.
"""

from __future__ import annotations

from pathlib import Path

import av

from engine.audio.sound_files import TITLES
from engine.errors import VivifyError

MEDIA_TYPES = ("video/webm", "video/mp4", "video/quicktime", "video/x-matroska")
CODECS = ("vp8", "vp9", "av1", "h264", "hevc")
VOICES = ("opus", "vorbis", "aac", "mp3", "flac", "alac", "pcm_s16le", "pcm_s16be")
MOST_PIXELS = 9_000_000  # of a picture: 4K has 8.8
MOST_STREAMS = 16  # telephones write some of their own beside the two
EBML = b"\x1a\x45\xdf\xa3"  # what WebM and Matroska begin with
KINDS = "WebM, MP4, MOV or MKV, with pictures as VP8, VP9, AV1, H.264 or HEVC"


def seconds_of_strangers(path: Path) -> float:
    """How long a film is that a visitor sent, by its pictures: browsers write none into what they record.

    Raises VivifyError in one sentence when it is none that is taken.
    """
    with path.open("rb") as file:
        head = file.read(12)
    kind = "matroska" if head[:4] == EBML else "mov" if head[4:8] == b"ftyp" else None
    if kind is None:
        raise _unread()
    try:
        with av.open(str(path), format=kind, **TITLES) as container:
            _check(container)
            first, last = None, 0.0
            for packet in container.demux(video=0):
                if packet.pts is None or packet.time_base is None:
                    continue
                time = float(packet.pts * packet.time_base)
                first = time if first is None else min(first, time)
                last = max(last, time + float((packet.duration or 0) * packet.time_base))
    except (av.FFmpegError, OSError) as error:
        raise _unread() from error
    if first is None or last <= first:
        raise VivifyError("The film was expected to hold moving pictures, but has none: film yourself again.")
    return last - first


def _check(container: av.container.InputContainer) -> None:
    """Raises VivifyError."""
    pictures, voices = container.streams.video, container.streams.audio
    if not pictures:
        raise VivifyError("The film was expected to have pictures, but has none: choose another file.")
    if len(container.streams) > MOST_STREAMS:
        raise _unread()
    if _codec(pictures[0]) not in CODECS or (voices and _codec(voices[0]) not in VOICES):
        raise _unread()
    width, height = pictures[0].width, pictures[0].height
    if width * height > MOST_PIXELS:
        raise VivifyError(
            f"A film of at most {MOST_PIXELS // 1_000_000} megapixels was expected, but it has {width} x {height}: "
            "export it smaller."
        )


def _codec(stream: av.VideoStream | av.AudioStream) -> str:
    """By FFmpeg's name; '' for one that it does not know."""
    return stream.codec_context.codec.canonical_name if stream.codec_context is not None else ""


def _unread() -> VivifyError:
    return VivifyError(f"The film was expected to be {KINDS}, but cannot be read as one: export it anew.")
