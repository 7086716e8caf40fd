"""Sound files of every kind, written by PyAV: a burst of a tone that must be found again where it was put."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np

BURST_AT = 0.5  # seconds into the sound
FAULTS = Path(__file__).resolve().parents[2] / "shared" / "faults" / "inputs"


def burst(rate: int, channels: int = 1, seconds: float = 1.5) -> np.ndarray:
    """[n, channels]: 0.3 s of a tone over the faintest hum."""
    t = np.arange(int(rate * seconds)) / rate
    tone = 0.5 * np.sin(2 * np.pi * 440 * t) * ((t >= BURST_AT) & (t < BURST_AT + 0.3))
    return np.repeat((tone + 1e-3 * np.sin(2 * np.pi * 100 * t))[:, None], channels, 1).astype(np.float32)


def onset(samples: np.ndarray, rate: int = 16_000) -> float:
    """Seconds at which a mono sound gets loud."""
    return float(np.flatnonzero(np.abs(samples) > 0.15)[0] / rate)


def write(
    path: Path,
    codec: str,
    rate: int,
    tracks: list[np.ndarray],
    *,
    layout: str = "mono",
    starts: float = 0.0,
    picture_at: float | None = None,
    default: int | None = None,
    options: dict[str, str] | None = None,
) -> Path:
    """A file of sound tracks [n, C] that begin at ``starts`` seconds, beside a second of picture if wanted."""
    with av.open(str(path), "w", options=options or {}) as file:
        picture = None
        if picture_at is not None:
            picture = file.add_stream("libx264", rate=25)
            picture.width = picture.height = 64
            picture.pix_fmt = "yuv420p"
        streams = []
        for k in range(len(tracks)):
            stream = file.add_stream(codec, rate=rate)
            stream.layout = layout
            if default is not None:
                stream.disposition = av.stream.Disposition.default if k == default else av.stream.Disposition(0)
            streams.append(stream)
        if picture is not None:
            for k in range(25):
                frame = av.VideoFrame(64, 64, "yuv420p")
                frame.pts, frame.time_base = k + round(25 * (picture_at or 0)), Fraction(1, 25)
                file.mux(picture.encode(frame))
            file.mux(picture.encode(None))
        for stream, samples in zip(streams, tracks, strict=True):
            _encode(file, stream, samples, rate, layout, starts)
    return path


def _encode(
    file: av.container.OutputContainer,
    stream: av.AudioStream,
    samples: np.ndarray,
    rate: int,
    layout: str,
    starts: float,
) -> None:
    wanted = stream.codec_context.format.name if stream.codec_context.format else "fltp"
    shaper = av.AudioResampler(format=wanted, layout=layout, rate=rate, frame_size=stream.frame_size or 1024)
    whole = av.AudioFrame.from_ndarray(np.ascontiguousarray(samples.T, np.float32), format="fltp", layout=layout)
    whole.sample_rate = rate
    at = round(starts * rate)
    for piece in [*shaper.resample(whole), *shaper.resample(None)]:
        if piece is None:
            continue
        piece.pts, piece.time_base = at, Fraction(1, rate)
        at += piece.samples
        file.mux(stream.encode(piece))
    file.mux(stream.encode(None))
