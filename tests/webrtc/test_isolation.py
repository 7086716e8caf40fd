"""Two people at once, each with lips of their own: what one says never moves the other's mouth."""

from __future__ import annotations

import asyncio
import itertools

import numpy as np
import pytest
from av import AudioFrame, VideoFrame
from serving import Running

from clients.microphone import Microphone
from clients.signalling import Connection
from engine.audio.files import read_speech
from engine.paths import assets
from webrtc.playout import FRAME
from webrtc.tracks import VIDEO_RATE
from webrtc.voice import VOICE_RATE

pytestmark = pytest.mark.net

REST_S, TURN_S, TURNS = 2.0, 1.2, 4
OWN, OTHER = 0.5, 0.2  # correlation of the mouth's movement with a voice's loudness


class Senses:
    """Mouths and sound of one client, by their time stamps. Takes a `Recording`'s place."""

    def __init__(self) -> None:
        self.mouths: dict[int, np.ndarray] = {}  # RTP time -> brightness
        self.sound: dict[int, np.ndarray] = {}  # time stamp -> int16 [n]

    def add_picture(self, frame: VideoFrame) -> None:
        grey = frame.to_ndarray(format="yuv420p")[: frame.height]
        self.mouths[frame.pts or 0] = grey[300:440:2, 180:340:2].astype(np.float32)

    def add_sound(self, frame: AudioFrame) -> None:
        self.sound[frame.pts or 0] = frame.to_ndarray().reshape(-1, 2)[:, 0]

    def series(self, mapping: dict) -> tuple[np.ndarray, np.ndarray]:
        """Movement of the mouth and loudness of the voice that came back, frame by frame of the server's timeline."""
        frames = {
            round((mapping["picture"] + pts * VOICE_RATE // VIDEO_RATE) / FRAME): m for pts, m in self.mouths.items()
        }
        first, last, known = min(frames), max(frames), sorted(frames)
        changes = [np.abs(frames[k] - frames[j]).mean() / (k - j) for j, k in itertools.pairwise(known)]
        moved = np.interp(range(first, last), known[1:], changes)
        level = np.zeros(last + 50)
        for pts, pcm in self.sound.items():
            at = (pts + mapping["sound"]) // FRAME
            if 0 <= at < len(level):
                level[at] = max(level[at], np.sqrt(np.mean(pcm.astype(float) ** 2)))
        return moved, level[first:last]


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
    senses = [Senses(), Senses()]
    spoken = voices()
    connections = [
        Connection(Microphone(voice, 0.0), sense)  # type: ignore[arg-type]
        for voice, sense in zip(spoken, senses, strict=True)
    ]
    await asyncio.gather(*(c.open(server.url, 80, None, None) for c in connections))
    await asyncio.sleep(len(spoken[0]) / VOICE_RATE + 1.0)
    series = [s.series(c.mapping) for s, c in zip(senses, connections, strict=True) if c.mapping]
    await asyncio.gather(*(c.close() for c in connections))
    async with asyncio.timeout(8):
        while server.sessions:  # noqa: ASYNC110  # the server runs on another thread's loop
            await asyncio.sleep(0.05)
    assert len(series) == 2
    for mine, (moved, _) in enumerate(series):
        for theirs, (_, level) in enumerate(series):
            n = min(len(moved), len(level))
            r = np.corrcoef(smooth(moved[:n]), smooth(level[:n]))[0, 1]
            assert r >= OWN if mine == theirs else r < OTHER, (mine, theirs, r)
