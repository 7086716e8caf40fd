"""What a stream is made of: H.264 that hides nothing from a late viewer, and AAC, in FLV or MPEG-TS."""

from __future__ import annotations

from clients.films.film_formats import AAC, FilmFormat

BITS_A_PIXEL = 8  # a second, at 25 pictures: 2.1 Mbit/s at 512 x 512
MOST_BITS = 6_000_000  # what Twitch and YouTube advise at most for pictures of this kind
KEYFRAME_S = 2
# Pictures and sound wait for one another by this much at most, and leave at once when they are written.
LIVE = {"max_interleave_delta": "200000", "flush_packets": "1"}
CONTAINERS = {
    "flv": {**LIVE, "flvflags": "no_duration_filesize"},
    "mpegts": {**LIVE, "pes_payload_size": "0", "mpegts_copyts": "1"},
}


def stream_format(container: str, size: int) -> FilmFormat:
    """For pictures of ``size``: a constant rate, no picture before another in time, none held back."""
    rate = str(min(BITS_A_PIXEL * size * size, MOST_BITS))
    picture = {
        "preset": "veryfast",
        "tune": "zerolatency",
        "profile": "main",
        "bf": "0",
        "threads": "1",
        "forced-idr": "1",
        "g": "250",  # keyframes are asked for by the clock, also where pictures are left out
        "sc_threshold": "0",
        **dict.fromkeys(("b", "maxrate", "bufsize"), rate),
    }
    return FilmFormat(container, "libx264", "yuv420p", picture, "aac", AAC, CONTAINERS[container])
