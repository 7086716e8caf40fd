"""Two people at once, each with lips of their own: what one says never moves the other's mouth."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from serving import Running

from clients.microphone import Microphone
from clients.signalling import Connection
from engine.audio.sound_files import read_speech
from engine.face.measures import aperture
from engine.paths import assets
from webrtc.media.playout import FRAME
from webrtc.media.voice_line import VOICE_RATE
from webrtc.rtc.tracks import VIDEO_RATE

pytestmark = pytest.mark.net

REST_S, TURN_S, TURNS = 2.0, 1.2, 4
OWN, OTHER = 0.5, 0.2  # correlation of the lips' opening with a voice's loudness
EVERY = 2  # of the pictures one is measured


class Senses:
    """Mouths and sound of one client, by their time stamps. Takes a `Recording`'s place."""

    def __init__(self) -> None:
        self.pictures: dict[int, VideoFrame] = {}  # by RTP time
        self.sound: dict[int, np.ndarray] = {}  # time stamp -> int16 [n]

    def add_picture(self, frame: VideoFrame) -> None:
        self.pictures[frame.pts or 0] = frame

    def add_sound(self, frame: AudioFrame) -> None:
        self.sound[frame.pts or 0] = frame.to_ndarray().reshape(-1, 2)[:, 0]

    def series(self, mapping: dict, gap: Callable[[VideoFrame], float]) -> tuple[np.ndarray, np.ndarray]:
        """Opening of the lips and loudness of the voice that came back, frame by frame of the server's timeline."""
        frames = {
            round((mapping["picture"] + pts * VOICE_RATE // VIDEO_RATE) / FRAME): p for pts, p in self.pictures.items()
        }
        known = sorted(frames)[::EVERY]
        first, last = known[0], known[-1]
        opening = np.interp(range(first, last), known, [gap(frames[k]) for k in known])
        level = np.zeros(last + 50)
        for pts, pcm in self.sound.items():
            at = (pts + mapping["sound"]) // FRAME
            if 0 <= at < len(level):
                level[at] = max(level[at], np.sqrt(np.mean(pcm.astype(float) ** 2)))
        return opening, level[first:last]


def voices() -> list[np.ndarray]:
    """Two voices that take turns, with different words."""
    speech = read_speech(assets() / "speech.wav", VOICE_RATE)
    begin, turn = int(np.flatnonzero(np.abs(speech) > 0.05)[0]), int(TURN_S * VOICE_RATE)
    both = [np.zeros(int(REST_S * VOICE_RATE) + TURNS * turn, np.float32) for _ in range(2)]
    for k in range(TURNS):
        at = int(REST_S * VOICE_RATE) + k * turn
        both[k % 2][at : at + turn] = speech[begin + k * turn : begin + (k + 1) * turn]
    return both


def smooth(values: np.ndarray) -> np.ndarray:
    return np.convolve(values, np.ones(7) / 7, "same")


async def test_each_face_follows_its_own_voice(server: Running) -> None:
    from engine.enrolment.landmarks import FaceMesh

    senses = [Senses(), Senses()]
    spoken = voices()
    connections = [
        Connection(Microphone(voice, 0.0), sense)  # type: ignore[arg-type]
        for voice, sense in zip(spoken, senses, strict=True)
    ]
    await asyncio.gather(*(c.open(server.url, 80, None, None) for c in connections))
    await asyncio.sleep(len(spoken[0]) / VOICE_RATE + 1.0)
    await asyncio.gather(*(c.close() for c in connections))
    async with asyncio.timeout(8):
        while server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.05)
    with FaceMesh(faces=1) as tracker:

        def gap(frame: VideoFrame) -> float:
            return aperture(tracker.find(frame.to_ndarray(format="rgb24"))[0])

        series = [s.series(c.mapping, gap) for s, c in zip(senses, connections, strict=True) if c.mapping]
    assert len(series) == 2
    for mine, (opening, _) in enumerate(series):
        for theirs, (_, level) in enumerate(series):
            n = min(len(opening), len(level))
            r = np.corrcoef(smooth(opening[:n]), smooth(level[:n]))[0, 1]
            assert r >= OWN if mine == theirs else r < OTHER, (mine, theirs, r)
