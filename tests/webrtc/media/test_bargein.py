"""An interruption as the other end sees it: pictures of an open mouth stop, while the old sentence is still pushed."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest
from av import VideoFrame
from serving import Running
from websockets.asyncio.client import connect

from clients.microphone import Microphone
from clients.signalling import Connection
from clients.trials.measuring import spoken
from engine.face.measures import aperture
from webrtc.media.voice_line import VOICE_RATE

pytestmark = pytest.mark.net

RATE = 24_000
OPEN, CLOSED = 0.05, 0.025  # gap of the lips in outer-eye-corner distances
ON_THE_WAY = 2  # pictures that had left, or were being encoded, when the server heard of the interruption
TRIALS = 4


class Eyes:
    """Keeps the last pictures. Takes a `Recording`'s place."""

    def __init__(self) -> None:
        self.pictures: list[VideoFrame] = []

    def add_picture(self, frame: VideoFrame) -> None:
        self.pictures = [*self.pictures[-49:], frame]

    def add_sound(self, frame: object) -> None:
        pass


async def test_after_an_interruption_no_open_mouth_is_seen(server: Running) -> None:
    from engine.enrolment.landmarks import FaceMesh

    eyes = Eyes()
    connection = Connection(Microphone(np.zeros(VOICE_RATE, np.float32), 0.0), eyes)  # type: ignore[arg-type]
    await connection.open(server.url, 80, None, None)
    assert connection.hello is not None
    address = f"ws{server.url.removeprefix('http')}/api/voice?session={connection.hello['session']}&rate={RATE}"
    speech = np.round(32767 * spoken(RATE)).astype("<i2")
    seen: list[tuple[VideoFrame, list[VideoFrame]]] = []
    async with connect(address) as program:
        for trial in range(TRIALS):
            await program.send(speech[trial * RATE :].tobytes())
            await asyncio.sleep(1.2)
            eyes.pictures = eyes.pictures[-1:]
            connection.send({"type": "clear"})
            await program.send(speech[:RATE].tobytes())  # it knows nothing of it yet
            async for text in program:
                if '"cleared"' in str(text):
                    break
            await asyncio.sleep(0.5)
            seen.append((eyes.pictures[0], eyes.pictures[1:]))
            await program.send(f'{{"type":"resume","epoch":{trial + 1}}}')
    await connection.close()
    with FaceMesh(faces=1) as tracker:

        def gap(frame: VideoFrame) -> float:
            return aperture(tracker.find(frame.to_ndarray(format="rgb24"))[0])

        was_open = [after for before, after in seen if gap(before) > OPEN]
        assert was_open, "one of these interruptions falls into an open mouth"
        for after in was_open:
            assert len(after) > ON_THE_WAY, "the face goes on"
            assert all(gap(frame) <= CLOSED for frame in after[ON_THE_WAY:])
