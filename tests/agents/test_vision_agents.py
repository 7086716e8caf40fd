"""Vision-Agents' own streams, its agent's producer and its tracks carry the face."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from command import example

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    missing = "vision-agents is not installed (extra 'vision-agents', in an environment of its own)"
    pytest.importorskip("vision_agents.core.avatars", reason=missing, exc_type=ImportError)
    from getstream.video.rtc.audio_track import AudioStreamTrack
    from getstream.video.rtc.track_util import AudioFormat, PcmData
    from vision_agents.core.agents import Agent
    from vision_agents.core.agents.inference import AudioOutputChunk, AudioOutputStream

from clients.agents.vision_avatar import VivifyFace
from clients.trials.witness import Witness
from engine.process.keeper import EngineKeeper

pytestmark = pytest.mark.net

RATE = 24_000
OPEN, CLOSED = 0.05, 0.025  # gap of the lips in outer-eye-corner distances
Pcm = npt.NDArray[np.int16]


class Stage:
    """The agent's half: its stream into the face, its producer and its tracks behind it."""

    def __init__(self, face: VivifyFace) -> None:
        self.stream = AudioOutputStream()
        self.face = face
        face.attach_audio_input(self.stream)
        self.track = AudioStreamTrack()
        self.witness = Witness()

    async def say(self, pcm: Pcm) -> None:
        for at in range(0, len(pcm), 1000):
            await self.stream.send(AudioOutputChunk(data=PcmData(RATE, AudioFormat.S16, pcm[at : at + 1000])))
        await self.stream.send(AudioOutputChunk(final=True))

    async def interrupt(self) -> None:
        """As the flows do."""
        self.stream.clear()
        await self.stream.flush()


@contextlib.asynccontextmanager
async def staged(keeper: EngineKeeper) -> AsyncIterator[Stage]:
    stage = Stage(VivifyFace(engine=keeper))
    await stage.face.start()
    agent = SimpleNamespace(avatar=stage.face, _audio_track=stage.track, logger=logging.getLogger("agent"))
    witness = stage.witness
    works = (
        Agent._produce_audio_output(agent),  # type: ignore[arg-type]
        witness.attend(stage.track),
        witness.attend(stage.face.video_output()),
    )
    tasks = [asyncio.create_task(work) for work in works]
    try:
        yield stage
    finally:
        await stage.face.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_the_agent_says_is_heard_whole(keeper: EngineKeeper, speech: Pcm) -> None:
    async with staged(keeper) as stage:
        await asyncio.sleep(0.3)
        assert not stage.witness.loud(0.0)
        for length in (RATE // 3 + 77, RATE // 2, RATE // 5):
            began = time.monotonic()
            await stage.say(speech[:length])
            await asyncio.sleep(length / RATE + 0.6)
            loud = stage.witness.loud(began)
            assert loud[-1] - loud[0] + 0.02 == pytest.approx(length / RATE, abs=0.06)
        assert stage.witness.heard_s() == pytest.approx((RATE // 3 + 77 + RATE // 2 + RATE // 5) / RATE, abs=0.06)


async def test_an_interruption_leaves_no_sound_and_a_closed_mouth(keeper: EngineKeeper, speech: Pcm, gap: Any) -> None:
    opened = 0
    async with staged(keeper) as stage:
        for trial in range(4):
            began = time.monotonic()
            await stage.say(speech[trial * RATE // 2 :])
            await asyncio.sleep(1.0 + 0.11 * trial)
            cut = time.monotonic()
            await stage.interrupt()
            await asyncio.sleep(0.8)
            assert stage.witness.loud(began)[-1] - cut <= 0.150
            before, after = stage.witness.between(0.0, cut), stage.witness.between(cut + 0.150)
            assert len(after) > 1, "the face goes on"
            opened += gap(before[-1]) > OPEN
            assert all(gap(planes) <= CLOSED for planes in after)
    assert opened, "one of these interruptions falls into an open mouth"


def test_the_example_runs(tmp_path: Path) -> None:
    assert "pictures" in example("vision_agent.py", tmp_path / "avatar.mp4")
