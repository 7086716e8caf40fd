"""Pipecat's own pipelines carry the face: its test harness, and its WebRTC transport with a peer of ours behind it."""

from __future__ import annotations

import asyncio
import contextlib
import time
import warnings
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from command import agents_snippet, example

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # Pipecat imports audioop, which Python 3.13 has no more
    missing = "pipecat-ai[webrtc] is not installed (extra 'pipecat')"
    pytest.importorskip("pipecat.transports.smallwebrtc.transport", reason=missing, exc_type=ImportError)

from aiortc import RTCPeerConnection, RTCSessionDescription
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EndFrame,
    Frame,
    InterruptionFrame,
    OutputImageRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
    TTSStoppedFrame,
    TTSTextFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.tests.utils import SleepFrame, run_test
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.utils.text.base_text_aggregator import TextType
from pipecat.workers.runner import WorkerRunner

from clients.agents.pipecat_avatar import VivifyVideoService
from clients.trials.witness import Witness
from engine.process.keeper import EngineKeeper
from webrtc.rtc.aiortc_patches import patch_aiortc

pytestmark = pytest.mark.net

RATE = 24_000
OPEN, CLOSED = 0.05, 0.025  # gap of the lips in outer-eye-corner distances
Pcm = npt.NDArray[np.int16]


class Ready(FrameProcessor):
    """Stands where a transport stands: it is ready as soon as the pipeline starts."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)


def spoken(pcm: Pcm, context: str = "one") -> list[Frame]:
    """What a TTS service sends: all at once, with the text behind the sound."""
    sound = [TTSAudioRawFrame(pcm[at : at + 1000].tobytes(), RATE, 1, context) for at in range(0, len(pcm), 1000)]
    text = TTSTextFrame("words", TextType.SENTENCE)
    return [TTSStartedFrame(context), *sound, text, TTSStoppedFrame(context)]


async def test_what_was_said_comes_back_whole_and_in_order(keeper: EngineKeeper, speech: Pcm) -> None:
    lengths = [int(n) for n in np.random.default_rng(2).integers(RATE // 16, RATE // 5, 20)]
    sent = [frame for i, n in enumerate(lengths) for frame in spoken(speech[:n], str(i))]
    down, _ = await run_test(Pipeline([VivifyVideoService(engine=keeper), Ready()]), frames_to_send=sent)
    pictures = [frame for frame in down if isinstance(frame, OutputImageRawFrame)]
    assert len(pictures) > 12 * sum(lengths) / RATE, "25 a second, less what a busy machine leaves out"
    assert all(frame.sync_with_audio and frame.size == (512, 512) and frame.format == "RGB" for frame in pictures)
    rest = [frame for frame in down if not isinstance(frame, OutputImageRawFrame)]
    at = 0
    for number, length in enumerate(lengths):
        assert isinstance(rest[at], TTSStartedFrame)
        at += 1
        sound = b""
        while isinstance(frame := rest[at], TTSAudioRawFrame):
            assert frame.context_id == str(number)
            sound += frame.audio
            at += 1
        assert sound == speech[:length].tobytes(), "to the sample"
        assert isinstance(rest[at], TTSTextFrame)
        assert isinstance(rest[at + 1], TTSStoppedFrame)
        at += 2
    assert at == len(rest)


async def test_nothing_of_before_an_interruption_comes_after_it(keeper: EngineKeeper, speech: Pcm) -> None:
    sent = [*spoken(speech[: 3 * RATE]), SleepFrame(0.8), InterruptionFrame(), SleepFrame(0.5)]
    down, _ = await run_test(Pipeline([VivifyVideoService(engine=keeper), Ready()]), frames_to_send=sent)
    cut = next(i for i, frame in enumerate(down) if isinstance(frame, InterruptionFrame))
    before, after = down[:cut], down[cut + 1 :]
    assert any(isinstance(frame, TTSAudioRawFrame) for frame in before)
    assert not any(isinstance(frame, TTSTextFrame | TTSStoppedFrame) for frame in down), "they were never reached"
    assert all(isinstance(frame, OutputImageRawFrame) for frame in after)
    assert len(after) > 1, "the face goes on"


async def test_another_rate_is_resampled(keeper: EngineKeeper, speech: Pcm) -> None:
    half = speech[: RATE // 2]
    sent = [TTSAudioRawFrame(half.tobytes(), RATE, 1), TTSStoppedFrame()]
    params = PipelineParams(audio_out_sample_rate=16_000)
    service = VivifyVideoService(engine=keeper)
    down, _ = await run_test(Pipeline([service, Ready()]), frames_to_send=sent, pipeline_params=params)
    sound = b"".join(frame.audio for frame in down if isinstance(frame, TTSAudioRawFrame))
    assert len(sound) / 2 == pytest.approx(16_000 // 2, abs=4)


async def dial(server: SmallWebRTCConnection, witness: Witness, tasks: list[asyncio.Task[None]]) -> RTCPeerConnection:
    """A peer of ours, behind which a witness hears and sees."""
    pc = RTCPeerConnection()
    pc.on("track", lambda track: tasks.append(asyncio.create_task(witness.attend(track))))
    pc.createDataChannel("chat")
    for kind in ("audio", "video"):
        pc.addTransceiver(kind, direction="sendrecv")
    await pc.setLocalDescription(await pc.createOffer())
    await server.initialize(pc.localDescription.sdp, pc.localDescription.type)
    answer = server.get_answer()
    assert answer is not None
    await pc.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    return pc


class Ear(FrameProcessor):
    """Behind the transport: when the bot began and stopped speaking."""

    def __init__(self) -> None:
        super().__init__()
        self.began: list[float] = []
        self.stopped: list[float] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        await super().process_frame(frame, direction)
        if isinstance(frame, BotStartedSpeakingFrame):
            self.began.append(time.monotonic())
        elif isinstance(frame, BotStoppedSpeakingFrame):
            self.stopped.append(time.monotonic())
        await self.push_frame(frame, direction)


@contextlib.asynccontextmanager
async def called(keeper: EngineKeeper) -> AsyncIterator[tuple[PipelineWorker, Witness, Ear]]:
    """A bot behind SmallWebRTCTransport, before a witness, whose buffer does not hold sound back."""
    patch_aiortc()
    connection, witness, ear = SmallWebRTCConnection(), Witness(), Ear()
    transport = SmallWebRTCTransport(connection, agents_snippet("pipecat")["params"]())
    avatar = VivifyVideoService(engine=keeper)
    worker = PipelineWorker(
        Pipeline([transport.input(), avatar, transport.output(), ear]), cancel_on_idle_timeout=False, enable_rtvi=False
    )
    runner = WorkerRunner()
    await runner.add_workers(worker)
    tasks: list[asyncio.Task[None]] = []
    pc = await dial(connection, witness, tasks)
    running = asyncio.create_task(runner.run())
    async with asyncio.timeout(10):
        while not witness.pictures:  # noqa: ASYNC110  # once
            await asyncio.sleep(0.05)
    try:
        yield worker, witness, ear
    finally:
        await worker.queue_frame(EndFrame())
        await running
        await pc.close()
        await asyncio.gather(*tasks)


async def test_a_call_hears_all_of_each_answer(keeper: EngineKeeper, speech: Pcm) -> None:
    """Also its last piece, which is shorter than the transport's."""
    async with called(keeper) as (worker, witness, ear):
        for length in (RATE // 2 + 100, RATE // 3 - 7, RATE + 900):
            began = time.monotonic()
            for frame in spoken(speech[:length]):
                await worker.queue_frame(frame)
            await asyncio.sleep(length / RATE + 0.8)
            loud = witness.loud(began)
            assert loud[-1] - loud[0] == pytest.approx(length / RATE, abs=0.08)
            assert ear.stopped[-1] - ear.began[-1] == pytest.approx(length / RATE, abs=0.1)
        assert len(ear.began) == len(ear.stopped) == 3


async def test_an_interruption_leaves_no_sound_and_a_closed_mouth(keeper: EngineKeeper, speech: Pcm, gap: Any) -> None:
    opened = 0
    async with called(keeper) as (worker, witness, ear):
        for trial in range(4):
            began = time.monotonic()
            for frame in spoken(speech[trial * RATE // 2 :]):
                await worker.queue_frame(frame)
            await asyncio.sleep(1.1 + 0.11 * trial)
            cut = time.monotonic()
            await worker.queue_frame(InterruptionFrame())
            await asyncio.sleep(0.8)
            assert witness.loud(began)[-1] - cut <= 0.150
            before, after = witness.between(0.0, cut), witness.between(cut + 0.350)
            assert len(after) > 1
            assert np.abs(after[-1].astype(int) - after[0]).max() > 0, "the face goes on"
            opened += gap(before[-1]) > OPEN
            assert all(gap(planes) <= CLOSED for planes in after)
        assert opened, "one of these interruptions falls into an open mouth"
        assert len(ear.began) == len(ear.stopped) == 4


def test_the_example_runs(tmp_path: Path) -> None:
    assert "pictures" in example("pipecat_bot.py", tmp_path / "bot.mp4")
