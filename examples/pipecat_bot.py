#!/usr/bin/env python3
"""A Pipecat bot with a face in a WebRTC call on this machine: it speaks, is interrupted, and speaks again.

Usage: python examples/pipecat_bot.py [-o bot.mp4] [--avatar NAME]     (pip install 'vivify[pipecat]')
Pipeline and transport are the real ones; the caller is an aiortc peer, and the sentence stands for a TTS service. In a
bot of your own, VivifyVideoService stands between the TTS service and the transport's output: docs/agents.md.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from aiortc import RTCPeerConnection, RTCSessionDescription
from pipecat.frames.frames import EndFrame, InterruptionFrame, TTSAudioRawFrame, TTSStartedFrame, TTSStoppedFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.transports.base_transport import TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.transports.smallwebrtc.transport import SmallWebRTCTransport
from pipecat.workers.runner import WorkerRunner

from clients.agents.pipecat_avatar import VivifyVideoService, picture_params
from clients.trials.sentence import sentence
from clients.trials.witness import Witness

RATE = 24_000


async def say(worker: PipelineWorker) -> None:
    """What a TTS service sends: the bundled sentence, faster than it is spoken."""
    pcm = sentence(RATE)
    await worker.queue_frame(TTSStartedFrame())
    for at in range(0, 5 * RATE, RATE // 10):
        await worker.queue_frame(TTSAudioRawFrame(pcm[at : at + RATE // 10].tobytes(), RATE, 1))
    await worker.queue_frame(TTSStoppedFrame())


async def call(avatar: str | None, caller: Witness) -> None:
    connection = SmallWebRTCConnection()
    transport = SmallWebRTCTransport(connection, TransportParams(**picture_params()))
    face = VivifyVideoService(avatar=avatar)
    worker = PipelineWorker(Pipeline([transport.input(), face, transport.output()]), cancel_on_idle_timeout=False)
    runner = WorkerRunner()
    await runner.add_workers(worker)
    attending: list[asyncio.Task[None]] = []
    peer = await dial(connection, caller, attending)
    running = asyncio.create_task(runner.run())
    while not caller.pictures:  # noqa: ASYNC110
        await asyncio.sleep(0.1)

    await say(worker)
    await asyncio.sleep(2)
    await worker.queue_frame(InterruptionFrame())  # as somebody who begins to speak causes
    await asyncio.sleep(1)
    await say(worker)
    await worker.queue_frame(EndFrame())  # once it has been said

    await running
    await peer.close()
    await asyncio.gather(*attending)


async def dial(
    connection: SmallWebRTCConnection, caller: Witness, attending: list[asyncio.Task[None]]
) -> RTCPeerConnection:
    """The caller's half of the negotiation."""
    peer = RTCPeerConnection()
    peer.on("track", lambda track: attending.append(asyncio.create_task(caller.attend(track))))
    peer.createDataChannel("chat")
    for kind in ("audio", "video"):
        peer.addTransceiver(kind)
    await peer.setLocalDescription(await peer.createOffer())
    await connection.initialize(peer.localDescription.sdp, peer.localDescription.type)
    answer = connection.get_answer()
    assert answer is not None
    await peer.setRemoteDescription(RTCSessionDescription(answer["sdp"], answer["type"]))
    return peer


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("bot.mp4"))
    parser.add_argument("--avatar")
    args = parser.parse_args()
    caller = Witness()
    asyncio.run(call(args.avatar, caller))
    caller.film(args.out)
    print(f"{len(caller.pictures)} pictures; the film is {args.out}")


if __name__ == "__main__":
    main()
