"""Somebody at the other end of a call, for trials: what he hears and sees, with the time at which it came."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from pathlib import Path

import av
import numpy as np
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, VideoFrame

from engine.contracts import FRAMES_PER_SECOND, ByteArray
from engine.errors import VivifyError
from webrtc.media.voice_line import VOICE_RATE, PcmArray

LOUD = 300  # of 32768: sound above it is not silence; Opus rings out below


@dataclass(slots=True)
class Witness:
    """Keeps it all in memory, for seconds. Times are monotonic."""

    sounds: list[tuple[float, PcmArray]] = field(default_factory=list)  # mono 48 kHz, silence as well
    pictures: list[tuple[float, ByteArray]] = field(default_factory=list)  # I420 [size * 3 // 2, size]

    def hear(self, pcm: PcmArray) -> None:
        self.sounds.append((time.monotonic(), pcm))

    def see(self, planes: ByteArray) -> None:
        self.pictures.append((time.monotonic(), planes))

    def loud(self, since: float = 0.0) -> list[float]:
        """When sound came that was not silence."""
        return [when for when, pcm in self.sounds if when > since and np.abs(pcm.astype(int)).max(initial=0) > LOUD]

    def heard_s(self, since: float = 0.0) -> float:
        """Seconds of samples that were not zero, for lines that lose nothing."""
        return sum(np.count_nonzero(pcm) for when, pcm in self.sounds if when > since) / VOICE_RATE

    def between(self, begin: float, end: float = np.inf) -> list[ByteArray]:
        """The pictures that came then."""
        return [planes for when, planes in self.pictures if begin < when <= end]

    async def attend(self, track: MediaStreamTrack) -> None:
        """Take in what comes over an aiortc track, to its end."""
        try:
            while True:
                frame = await track.recv()
                if isinstance(frame, VideoFrame):
                    self.see(frame.to_ndarray(format="yuv420p").astype(np.uint8, copy=False))
                elif isinstance(frame, AudioFrame):
                    channels = frame.layout.nb_channels
                    self.hear(frame.to_ndarray().reshape(-1, channels)[:, 0].astype(np.int16))
        except MediaStreamError:
            pass

    def film(self, path: Path) -> None:
        """Write what came, when it came. Raises VivifyError when there is nothing."""
        if not self.pictures or not self.sounds:
            raise VivifyError("Sound and pictures were expected for a film, but there are none: did the call begin?")
        begin, end = self.pictures[0][0], self.pictures[-1][0]
        step, count = VOICE_RATE // FRAMES_PER_SECOND, int((end - begin) * FRAMES_PER_SECOND)
        sound = np.concatenate([pcm for when, pcm in self.sounds if when >= begin] + [np.zeros(count * step, np.int16)])
        with av.open(str(path), "w") as film:
            video = film.add_stream("libx264", rate=FRAMES_PER_SECOND, options={"preset": "veryfast"})
            video.height = video.width = self.pictures[0][1].shape[1]
            audio = film.add_stream("aac", rate=VOICE_RATE, layout="mono")
            at = 0
            for number in range(count):
                while at + 1 < len(self.pictures) and self.pictures[at + 1][0] <= begin + number / FRAMES_PER_SECOND:
                    at += 1
                film.mux(video.encode(VideoFrame.from_ndarray(self.pictures[at][1], format="yuv420p")))
                piece = AudioFrame.from_ndarray(sound[np.newaxis, number * step : (number + 1) * step], layout="mono")
                piece.sample_rate, piece.pts = VOICE_RATE, number * step
                film.mux(audio.encode(piece))
            film.mux(video.encode(None))
            film.mux(audio.encode(None))
