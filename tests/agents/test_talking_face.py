"""A face in its own engine: what is pushed leaves, sample by sample, with its pictures, and not after a barge-in."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from clients.agents import talking_face
from clients.agents.face_clock import Picture, Piece, Reached, Sound
from clients.agents.talking_face import TalkingFace
from engine.errors import VivifyError
from engine.process.keeper import EngineKeeper

pytestmark = pytest.mark.net

RATE = 24_000
CLOSED = 0.025  # gap of the lips in outer-eye-corner distances
Pcm = npt.NDArray[np.int16]


async def collect(face: TalkingFace, until: str) -> list[tuple[float, Piece]]:
    came: list[tuple[float, Piece]] = []
    async for piece in face:
        came.append((time.monotonic(), piece))
        if isinstance(piece, Reached) and piece.what == until:
            break
    return came


def said(came: list[tuple[float, Piece]]) -> Pcm:
    return np.concatenate([np.zeros(0, np.int16), *(piece.pcm for _, piece in came if isinstance(piece, Sound))])


async def test_speech_leaves_as_it_came_between_pictures(keeper: EngineKeeper, speech: Pcm) -> None:
    async with TalkingFace(rate=RATE, engine=keeper) as face:
        face.mark("idle", ends=True)
        idle = await collect(face, "idle")
        assert not len(said(idle))
        first, second = speech[: RATE // 2 + 123], speech[RATE : RATE + 5000]
        await face.push(first)
        face.mark("first", ends=True)
        await face.push(second)
        face.mark("second", ends=True)
        one, two = await collect(face, "first"), await collect(face, "second")
        assert np.array_equal(said(one), first), "sample by sample"
        assert np.array_equal(said(two), second)
        times = [when for when, piece in one if isinstance(piece, Sound)]
        assert times[-1] - times[0] == pytest.approx(len(first) / RATE, abs=0.1), "at the pace at which it is heard"
        positions = [piece.position for _, piece in one if isinstance(piece, Picture)]
        assert len(positions) > 5
        assert positions == sorted(set(positions))
        assert face.idle


async def test_a_barge_in_takes_away_what_has_not_left(keeper: EngineKeeper, speech: Pcm, gap: Any) -> None:
    async with TalkingFace(rate=RATE, engine=keeper) as face:
        await face.push(speech[: 3 * RATE])
        face.mark("text")
        face.mark("end", ends=True)
        came = asyncio.create_task(collect(face, "new"))
        await asyncio.sleep(1.0)
        cut = time.monotonic()
        assert face.clear() == ["text", "end"]
        await asyncio.sleep(0.5)
        await face.push(speech[: RATE // 4])
        face.mark("new", ends=True)
        pieces = await came
        heard = said(pieces)
        old = heard[: len(heard) - RATE // 4]
        assert 0.3 * RATE < len(old) < RATE
        assert np.array_equal(old, speech[: len(old)])
        assert not [when for when, piece in pieces if isinstance(piece, Sound) and cut < when < cut + 0.5]
        after = [piece for when, piece in pieces if isinstance(piece, Picture) and cut < when < cut + 0.5]
        assert len(after) > 1, "the face goes on"
        assert all(gap(piece.planes) <= CLOSED for piece in after), "from the first picture on"


async def test_who_pushes_too_much_waits_and_is_overtaken_by_a_barge_in(
    keeper: EngineKeeper, speech: Pcm, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(talking_face, "MOST_WAITING_S", 1.0)
    async with TalkingFace(rate=RATE, engine=keeper) as face:
        await face.push(speech[: 2 * RATE])
        waiting = asyncio.create_task(face.push(speech[:RATE]))
        await asyncio.sleep(0.2)
        assert not waiting.done()
        face.clear()
        await asyncio.wait_for(waiting, 1)
        assert face.idle, "what a barge-in overtook is not said"


async def test_nobody_who_listens_holds_the_speech(keeper: EngineKeeper, speech: Pcm) -> None:
    async with TalkingFace(rate=RATE, engine=keeper) as face:
        await face.push(speech[:RATE])
        face.mark("end", ends=True)
        await asyncio.sleep(1.5)
        came = await asyncio.wait_for(collect(face, "end"), 5)
        assert np.array_equal(said(came), speech[:RATE])


async def test_it_starts_once_however_often_it_is_asked(keeper: EngineKeeper, monkeypatch: pytest.MonkeyPatch) -> None:
    opened = []
    original = keeper.open

    def counted(*given: Any) -> Any:
        opened.append(given)
        return original(*given)

    monkeypatch.setattr(keeper, "open", counted)
    face = TalkingFace(rate=RATE, engine=keeper)
    await asyncio.gather(*(face.start() for _ in range(3)))
    await face.aclose()
    assert len(opened) == 1


async def test_what_cannot_be_is_refused_in_a_sentence(keeper: EngineKeeper) -> None:
    with pytest.raises(VivifyError, match="look-ahead"):
        TalkingFace(look_ahead_ms=50)
    face = TalkingFace(avatar="nobody", engine=keeper)
    with pytest.raises(VivifyError, match="avatar"):
        await face.start()
