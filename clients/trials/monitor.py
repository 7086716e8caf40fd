"""A client's view of a stream, counted instead of kept: what came, how regularly, and how pictures stand to sound.

Takes a `clients.recording.Recording`'s place; the pictures themselves are not looked at.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from av import AudioFrame, VideoFrame

from engine.contracts import FRAMES_PER_SECOND
from webrtc.media.playout import FRAME
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.tracks import VIDEO_RATE


@dataclass(frozen=True, slots=True)
class Span:
    """What a stretch of time was like."""

    seconds: float
    pictures: int
    fps: float
    missing_percent: float  # picture times in which none came
    longest_gap_ms: float  # between two pictures
    sound_ms: float  # that came
    av_offset_ms: float | None  # median lateness of pictures minus sound's; positive: the picture was later
    worst_offset_ms: float | None  # 95 % of the pictures are nearer to their sound than that


@dataclass(slots=True)
class Monitor:
    """Keeps times only. `span` tells of what came since it was last called."""

    mapping: dict[str, Any] | None = None
    _pictures: list[tuple[float, int]] = field(default_factory=list)  # arrival, RTP time
    _sounds: list[tuple[float, int, int]] = field(default_factory=list)  # arrival, time stamp, samples
    _last_picture: tuple[float, int] | None = None
    _began: float = field(default_factory=time.monotonic)
    total_pictures: int = 0

    def add_picture(self, frame: VideoFrame) -> None:
        self._pictures.append((time.monotonic(), frame.pts or 0))
        self.total_pictures += 1

    def add_sound(self, frame: AudioFrame) -> None:
        self._sounds.append((time.monotonic(), frame.pts or 0, frame.samples))

    def span(self) -> Span:
        now = time.monotonic()
        pictures, sounds, seconds = self._pictures, self._sounds, now - self._began
        self._pictures, self._sounds, self._began = [], [], now
        run = pictures if self._last_picture is None else [self._last_picture, *pictures]
        self._last_picture = run[-1] if run else None
        gaps = np.diff([when for when, _ in run])
        wanted = (run[-1][1] - run[0][1]) * FRAMES_PER_SECOND / VIDEO_RATE if len(run) > 1 else 0
        median, worst = self._offsets(pictures, sounds)
        return Span(
            seconds=round(seconds, 2),
            pictures=len(pictures),
            fps=round(len(pictures) / seconds, 2),
            missing_percent=round(100 * max(0.0, 1 - (len(run) - 1) / wanted), 2) if wanted else 100.0,
            longest_gap_ms=round(1000 * float(gaps.max()), 1) if len(gaps) else 1000 * seconds,
            sound_ms=round(1000 * sum(n for _, _, n in sounds) / VOICE_RATE),
            av_offset_ms=median,
            worst_offset_ms=worst,
        )

    def _offsets(
        self, pictures: list[tuple[float, int]], sounds: list[tuple[float, int, int]]
    ) -> tuple[float | None, float | None]:
        """Picture against sound by the server's `mapping`: a picture's sound is spoken over its whole frame."""
        if self.mapping is None or not pictures or not sounds:
            return None, None
        heard = [when - (pts + self.mapping["sound"]) / VOICE_RATE for when, pts, _ in sounds]
        seen = np.array([when - self._index(pts) / VOICE_RATE for when, pts in pictures])
        late = 1000 * (seen - float(np.median(heard)))
        return round(float(np.median(late)), 1), round(float(np.percentile(np.abs(late), 95)), 1)

    def _index(self, pts: int) -> int:
        """The timeline index of a picture, on its grid."""
        assert self.mapping is not None
        return round(int(self.mapping["picture"] + pts * VOICE_RATE // VIDEO_RATE) / FRAME) * FRAME
