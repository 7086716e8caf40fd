#!/usr/bin/env python3
"""A LiveKit agent with a face, without a server, a key or a network: it speaks, is interrupted, and speaks again.

Usage: python examples/livekit_agent.py [-o agent.mp4] [--avatar NAME]     (pip install 'vivify[livekit]')
LiveKit's AgentSession, AvatarRunner and sources are the real ones; only the room is not a server's. In an agent of your
own, `ctx.room` takes its place, and the session has a voice, ears and a mind: docs/agents.md.
"""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from livekit import rtc
from livekit.agents import Agent, AgentSession

from clients.agents.livekit_avatar import RATE, VivifyAvatar
from clients.trials.offline_room import OfflineRoom
from clients.trials.sentence import sentence


async def voice() -> AsyncIterator[rtc.AudioFrame]:
    """What a TTS would give: the bundled sentence, faster than it is spoken."""
    pcm = sentence(RATE)
    for at in range(0, 5 * RATE, RATE // 10):
        piece = pcm[at : at + RATE // 10]
        yield rtc.AudioFrame(piece.tobytes(), RATE, 1, len(piece))


async def call(avatar: VivifyAvatar, room: OfflineRoom) -> None:
    session: AgentSession[None] = AgentSession()
    await avatar.start(session, room)
    await session.start(Agent(instructions="You are helpful."))
    avatar.output.on("playback_finished", lambda event: print(f"heard {event.playback_position:.2f} s"))

    speech = session.say("A sentence.", audio=voice())
    await asyncio.sleep(2)
    session.interrupt()  # as somebody who begins to speak does
    await speech.wait_for_playout()
    await asyncio.sleep(1)
    await session.say("The sentence again.", audio=voice()).wait_for_playout()

    await session.aclose()
    await avatar.aclose()
    await room.aclose()


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-o", "--out", type=Path, default=Path("agent.mp4"))
    parser.add_argument("--avatar")
    args = parser.parse_args()
    room_seen = asyncio.run(_run(args.avatar))
    room_seen.witness.film(args.out)
    print(f"{len(room_seen.witness.pictures)} pictures; the film is {args.out}")


async def _run(avatar: str | None) -> OfflineRoom:
    room = OfflineRoom()
    await call(VivifyAvatar(avatar=avatar), room)
    return room


if __name__ == "__main__":
    main()
