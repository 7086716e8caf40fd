"""LiveKit's own AvatarRunner, synchroniser, sources and AgentSession play the face; only the room is no server's."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from command import agents_snippet, example

pytest.importorskip("livekit.agents", reason="livekit-agents is not installed (extra 'livekit')")

from livekit import rtc
from livekit.agents import Agent, AgentSession
from livekit.agents.voice.avatar import AudioSegmentEnd

from clients.agents.face_clock import Picture, Piece, Sound
from clients.agents.livekit_avatar import SpokenOutput, VivifyAvatar, VivifyGenerator, runner_for
from clients.agents.talking_face import TalkingFace
from clients.trials.offline_room import OfflineRoom
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper

pytestmark = pytest.mark.net

RATE = 24_000
FRAME_S = 0.040
OPEN, CLOSED = 0.05, 0.025  # gap of the lips in outer-eye-corner distances
Pcm = npt.NDArray[np.int16]


def frame(pcm: Pcm) -> rtc.AudioFrame:
    return rtc.AudioFrame(pcm.tobytes(), RATE, 1, len(pcm))


class Stage:
    """A runner with the room it plays in, and what it reports."""

    def __init__(self, keeper: EngineKeeper) -> None:
        self.room = OfflineRoom()
        self.generator = VivifyGenerator(rate=RATE, engine=keeper)
        self.output = SpokenOutput(self.generator)
        self.runner = runner_for(self.room, self.output, self.generator)  # type: ignore[arg-type]
        self.started: list[float] = []
        self.finished: list[tuple[float, Any]] = []
        self.output.on("playback_started", lambda event: self.started.append(time.monotonic()))
        self.output.on("playback_finished", lambda event: self.finished.append((time.monotonic(), event)))

    async def __aenter__(self) -> Stage:
        await self.generator.start()
        await self.runner.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.runner.aclose()
        await self.generator.aclose()
        await self.room.aclose()

    async def say(self, pcm: Pcm) -> None:
        """All at once, in frames of 20 ms and a rest."""
        for at in range(0, len(pcm), RATE // 50):
            await self.output.capture_frame(frame(pcm[at : at + RATE // 50]))
        self.output.flush()


async def test_positions_are_exact_over_20_segments(keeper: EngineKeeper, speech: Pcm) -> None:
    """Back to back, of any length: each is reported once, as long as it was, when it has been heard."""
    lengths = [int(n) for n in np.random.default_rng(1).integers(RATE // 8, RATE // 3, 20)]
    async with Stage(keeper) as stage:
        await asyncio.sleep(0.5)
        assert not stage.started, "idle pictures are no playback"
        for number, length in enumerate(lengths):
            await stage.say(speech[number * 1000 : number * 1000 + length])
        await asyncio.wait_for(stage.output.wait_for_playout(), 30)
        await asyncio.sleep(0.3)
        positions = [event.playback_position for _, event in stage.finished]
        assert positions == pytest.approx([n / RATE for n in lengths], abs=1e-6)
        assert not any(event.interrupted for _, event in stage.finished)
        assert len(stage.started) == 20
        assert stage.room.witness.heard_s() == pytest.approx(sum(lengths) / RATE, abs=20 * 0.01), (
            "and the guest heard it all"
        )


async def test_a_segment_lasts_as_long_as_its_speech(keeper: EngineKeeper, speech: Pcm) -> None:
    async with Stage(keeper) as stage:
        await asyncio.sleep(0.3)
        await stage.say(speech[: 3 * RATE // 2])
        await asyncio.wait_for(stage.output.wait_for_playout(), 10)
        await asyncio.sleep(0.1)
        loud = stage.room.witness.loud()
        assert stage.started[0] == pytest.approx(loud[0], abs=0.1)
        assert stage.finished[0][0] == pytest.approx(loud[-1], abs=0.1)


async def test_an_interruption_leaves_no_sound_and_a_closed_mouth(keeper: EngineKeeper, speech: Pcm, gap: Any) -> None:
    opened = 0
    async with Stage(keeper) as stage:
        witness = stage.room.witness
        await asyncio.sleep(0.3)
        for trial in range(4):
            began = time.monotonic()
            await stage.say(speech[trial * RATE // 2 :])
            await asyncio.sleep(0.9 + 0.11 * trial)
            cleared = time.monotonic()
            stage.output.clear_buffer()
            stage.output.flush()  # the end of a segment that is over already
            await asyncio.sleep(0.8)
            assert witness.loud(began)[-1] <= cleared + 0.150
            assert len(stage.finished) == trial + 1, "reported once"
            event = stage.finished[-1][1]
            assert event.interrupted
            assert event.playback_position == pytest.approx(witness.heard_s(began), abs=FRAME_S)
            before, after = witness.between(0.0, cleared), witness.between(cleared + 0.150)
            assert len(after) > 1, "the face goes on"
            opened += gap(before[-1]) > OPEN
            assert all(gap(planes) <= CLOSED for planes in after)
        assert opened, "one of these interruptions falls into an open mouth"
        await stage.say(speech[: RATE // 2])
        await asyncio.wait_for(stage.output.wait_for_playout(), 10)
        assert stage.finished[-1][1].playback_position == pytest.approx(0.5, abs=1e-6)
        assert len(stage.started) == len(stage.finished) == 5


async def test_an_interruption_empties_the_synchroniser(keeper: EngineKeeper) -> None:
    """The runner's own handling leaves there what is there, up to 100 ms."""
    async with Stage(keeper) as stage:
        await asyncio.sleep(0.3)
        pushed = time.monotonic()
        for _ in range(9):
            await stage.runner.av_sync.push(frame(np.full(RATE // 100, 5000, np.int16)))
        await asyncio.sleep(0.015)
        await stage.generator.clear_buffer()
        cleared = time.monotonic()
        await asyncio.sleep(0.3)
        assert 0 < stage.room.witness.heard_s() < cleared - pushed + 0.025


async def test_an_agent_speaks_through_the_face(keeper: EngineKeeper, speech: Pcm) -> None:
    """A real AgentSession, which says one thing to its end and is interrupted in another."""

    async def sound() -> AsyncIterator[rtc.AudioFrame]:
        for at in range(0, 2 * RATE, RATE // 10):
            yield frame(speech[at : at + RATE // 10])

    room = OfflineRoom()
    session: AgentSession[None] = AgentSession()
    avatar = VivifyAvatar(engine=keeper)
    await avatar.start(session, room)  # type: ignore[arg-type]
    reported: list[Any] = []
    avatar.output.on("playback_finished", reported.append)
    await session.start(Agent(instructions=""))
    assert avatar.provider == "vivify"
    assert avatar.avatar_identity == "agent"
    whole = session.say("Hello.", audio=sound())
    await asyncio.wait_for(whole.wait_for_playout(), 10)
    cut = session.say("Hello once more.", audio=sound())
    await asyncio.sleep(1.0)
    session.interrupt()
    await asyncio.wait_for(cut.wait_for_playout(), 5)
    assert [event.interrupted for event in reported] == [False, True]
    assert reported[0].playback_position == pytest.approx(2.0, abs=1e-6)
    assert 0.5 < reported[1].playback_position < 1.0
    await session.aclose()
    await avatar.aclose()
    await room.aclose()


async def test_pictures_and_sound_keep_step(keeper: EngineKeeper, speech: Pcm) -> None:
    """From their leaving the face to their coming to the witness: sound that had to wait is sound that left early."""
    async with Stage(keeper) as stage:
        pictures: dict[bytes, float] = {}
        sounds: list[tuple[float, Sound]] = []
        original = TalkingFace.__anext__

        async def noted(self: TalkingFace) -> Piece:
            piece = await original(self)
            if isinstance(piece, Picture):
                pictures[piece.planes.tobytes()] = time.monotonic()
            elif isinstance(piece, Sound):
                sounds.append((time.monotonic(), piece))
            return piece

        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(TalkingFace, "__anext__", noted)
            await asyncio.sleep(0.5)
            await stage.say(speech[: 2 * RATE])
            await asyncio.wait_for(stage.output.wait_for_playout(), 10)
        loud = stage.room.witness.loud()
        seen = [when - pictures[planes.tobytes()] for when, planes in stage.room.witness.pictures]
        assert len(seen) > 5
        assert np.median(seen) < 0.025, "the synchroniser does not hold pictures back"
        assert loud[0] - sounds[0][0] < 0.040, "nor the source the first sound"
        last = (sounds[-1][1].position - sounds[0][1].position) / 16_000
        assert loud[-1] - loud[0] == pytest.approx(last, abs=0.045), "and no gap comes in between"


async def test_sound_at_another_rate_is_refused_in_a_sentence(keeper: EngineKeeper) -> None:
    generator = VivifyGenerator(rate=RATE, engine=keeper)
    with pytest.raises(VivifyError, match="expected at 24000 Hz, but came at 16000 Hz"):
        await generator.push_audio(rtc.AudioFrame(bytes(640), 16_000, 1, 320))
    await generator.aclose()


async def test_two_channels_become_one(keeper: EngineKeeper) -> None:
    async with Stage(keeper) as stage:
        both = np.repeat(np.full(RATE // 5, 1000, np.int16), 2)
        await stage.generator.push_audio(rtc.AudioFrame(both.tobytes(), RATE, 2, RATE // 5))
        await stage.generator.push_audio(AudioSegmentEnd())
        await asyncio.sleep(1.0)
        heard = np.concatenate([pcm for _, pcm in stage.room.witness.sounds])
        assert np.count_nonzero(np.abs(heard.astype(int) - 1000) < 20) == pytest.approx(48_000 // 5, abs=600)


def test_the_example_runs(tmp_path: Path) -> None:
    said = example("livekit_agent.py", tmp_path / "agent.mp4")
    assert "heard 5.00 s" in said


async def test_the_documents_snippet_is_an_agent(keeper: EngineKeeper) -> None:
    names = agents_snippet("livekit")
    process = SimpleNamespace(userdata={"engine": keeper})
    room = OfflineRoom()

    async def connect() -> None:
        pass

    started: list[object] = []

    async def start(self: AgentSession[None], agent: Agent, room: object) -> None:
        started.extend((agent, room))

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(AgentSession, "start", start)  # it would want a server's room
        avatars: list[VivifyAvatar] = []
        original = VivifyAvatar.start

        async def kept(self: VivifyAvatar, *given: Any, **named: Any) -> None:
            avatars.append(self)
            await original(self, *given, **named)

        patch.setattr(VivifyAvatar, "start", kept)
        await names["entrypoint"](SimpleNamespace(proc=process, room=room, connect=connect))
    assert started[1] is room
    await asyncio.sleep(0.3)
    assert room.witness.pictures, "the face is in the room"
    await avatars[0].aclose()
    await room.aclose()
