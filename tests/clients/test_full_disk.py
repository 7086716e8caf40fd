"""What a client keeps on a disk that is full: real tracks, Linux's full device."""

from __future__ import annotations

import asyncio
from pathlib import Path

import numpy as np
import pytest
from aiortc import VideoStreamTrack
from av import VideoFrame

from clients.microphone import Microphone
from clients.recording import Recording
from clients.signalling import Connection

pytestmark = [
    pytest.mark.net,
    pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device"),
]


class Squares(VideoStreamTrack):
    """Pictures as a face's are: square, and larger than what waits in memory."""

    async def recv(self) -> VideoFrame:
        frame = VideoFrame(256, 256, "yuv420p")
        frame.pts, frame.time_base = await self.next_timestamp()
        return frame


async def test_who_talks_hears_of_it() -> None:
    with Recording() as recording:
        recording._spool.close()
        recording._spool = open("/dev/full", "w+b")  # noqa: ASYNC230, SIM115  the recording closes it
        connection = Connection(Microphone(np.zeros(960, np.float32), 0.0), recording)
        async with asyncio.timeout(10):
            await connection._receive(Squares())
    assert connection.lost is not None
    assert connection.lost.startswith("what comes cannot be kept (No space left on device): make room in /")
