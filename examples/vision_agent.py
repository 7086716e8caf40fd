#!/usr/bin/env python3
"""A Vision-Agents avatar at work, without a call: it speaks, is interrupted, and speaks again.

Usage: python examples/vision_agent.py [-o avatar.mp4] [--avatar NAME]     (extra 'vision-agents': docs/agents.md)
An Agent does with its `avatar=` what is done here by hand: it attaches its stream of sound, starts it, and publishes
its two outputs. An Agent itself needs a key for its call.
"""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from getstream.video.rtc.audio_track import AudioStreamTrack
from getstream.video.rtc.track_util import AudioFormat, PcmData
from vision_agents.core.agents.inference import AudioOutputChunk, AudioOutputFlush, AudioOutputStream

from clients.agents.vision_avatar import VivifyFace
from clients.trials.sentence import sentence
from clients.trials.witness import Witness

RATE = 24_000


async def say(stream: AudioOutputStream) -> None:
    """What a TTS gives: the bundled sentence, faster than it is spoken."""
    pcm = sentence(RATE)[: 5 * RATE]
    await stream.send(AudioOutputChunk(data=PcmData(RATE, AudioFormat.S16, pcm), final=True))


async def publish(face: VivifyFace, track: AudioStreamTrack) -> None:
    """From the avatar's sound to the agent's track."""
    async for item in face.audio_output():
        if isinstance(item, AudioOutputFlush):
            await track.flush()
        elif item.data is not None:
            await track.write(item.data, final=item.final)


async def call(avatar: str | None, caller: Witness) -> None:
    face, stream, track = VivifyFace(avatar=avatar), AudioOutputStream(), AudioStreamTrack()
    face.attach_audio_input(stream)
    await face.start()
    works = (publish(face, track), caller.attend(track), caller.attend(face.video_output()))
    tasks = [asyncio.create_task(work) for work in works]

    await asyncio.sleep(0.5)
    await say(stream)
    await asyncio.sleep(2)
    stream.clear()  # as an agent's flow does when somebody begins to speak
    await stream.flush()
    await asyncio.sleep(1)
    await say(stream)
    await asyncio.sleep(6)

    await face.close()
    track.stop()
    await asyncio.gather(*tasks)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("avatar.mp4"))
    parser.add_argument("--avatar")
    args = parser.parse_args()
    caller = Witness()
    asyncio.run(call(args.avatar, caller))
    caller.film(args.out)
    print(f"{len(caller.pictures)} pictures; the film is {args.out}")


if __name__ == "__main__":
    main()
