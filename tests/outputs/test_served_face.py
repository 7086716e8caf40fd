"""Outputs on a served session: pictures, voice and motion come back together, to the sample, and end with it."""

from __future__ import annotations

import asyncio
import json
import urllib.request
from collections import Counter
from types import SimpleNamespace

import numpy as np
import pytest
from receivers import Keeper, Mover
from serving import Running, running
from websockets.asyncio.client import connect

from clients.live.served_face import ServedFace
from clients.outputs.output import Movement, Picture, Sound
from clients.outputs.output_line import OutputLine
from clients.signalling import TalkError
from engine.audio.sound_files import read_speech
from engine.face.blendshapes import INDEX
from engine.paths import assets
from webrtc.messages import Moved

pytestmark = pytest.mark.net

RATE = 48_000
SECONDS = 3.0
OPEN = 0.1


class Truth:
    """What left the server, and where it stood on its timeline: beside its viewers, not over the network."""

    def __init__(self) -> None:
        self.motions: dict[tuple[float, ...], int] = {}
        self.sounds: list[tuple[int, np.ndarray]] = []
        self.sound, self.picture = self, SimpleNamespace(offer=lambda frame: None)

    def moved(self, message: Moved) -> None:
        self.motions[tuple(message.shapes)] = message.position

    def offer(self, piece: tuple[int, np.ndarray]) -> None:
        self.sounds.append(piece)

    async def close(self) -> None:
        pass

    def later(self, voice: np.ndarray) -> int:
        """By how many samples ``voice`` is later than what left: where they are most alike."""
        begin = self.sounds[0][0]
        left = np.concatenate([pcm for _, pcm in self.sounds]).astype(float)
        size = 1 << (len(left) + len(voice)).bit_length()
        alike = np.fft.irfft(np.fft.rfft(voice, size) * np.conj(np.fft.rfft(left, size)), size)
        at = int(np.argmax(alike))
        return (at - size if at > size // 2 else at) - begin


def jaws(output: Keeper) -> np.ndarray:
    """How open the jaw is in every movement that was given."""
    return np.array([t.piece.motion.blendshapes[INDEX["jawOpen"]] for t in output.of(Movement)])  # type: ignore[union-attr]


def spoken(output: Keeper) -> int:
    """How many movements were given since the mouth first opened: fewer in a second where the machine is busy."""
    return int((np.maximum.accumulate([0.0, *jaws(output)]) > OPEN).sum())


async def watched(
    server: Running, truth: Truth, output: Keeper, seconds: float = SECONDS
) -> tuple[ServedFace, list[int]]:
    """A spoken sentence in a session of its own, given to outputs until it is ended.

    And where the voice stood against its own time stamps, in samples: elsewhere once silence was put in or left out.
    """
    shifts: list[int] = []

    async def note(face: ServedFace) -> None:
        while True:
            shifts.extend({face._voice_shift} - {None, *shifts})  # type: ignore[arg-type]
            await asyncio.sleep(0.005)

    url = server.url
    pcm = np.round(32767 * read_speech(assets() / "speech.wav", RATE)[: int(RATE * seconds)]).astype("<i2")
    async with connect(f"ws{url.removeprefix('http')}/api/voice?rate={RATE}&watch=a-wished-address") as socket:
        hello = json.loads(await socket.recv())
        session = server.service.sessions[hello["session"]]
        session.viewers["truth"] = truth  # type: ignore[assignment]
        session.participants.motions.want(truth, truth.moved)  # type: ignore[arg-type]
        face = ServedFace(url, hello["watch"], [OutputLine(output)])
        work, noting = asyncio.create_task(face.run()), asyncio.create_task(note(face))
        async with asyncio.timeout(20):
            while not output.taken:  # noqa: ASYNC110  # it is given on another thread
                await asyncio.sleep(0.02)
        for _ in range(3):  # a busy machine may show none of it the first time
            await socket.send(pcm.tobytes())
        async with asyncio.timeout(30):
            while spoken(output) < 20 * seconds:  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        gone = urllib.request.Request(f"{url}/api/session/{hello['session']}", method="DELETE")
        await asyncio.to_thread(lambda: urllib.request.urlopen(gone, timeout=10).close())
        async with asyncio.timeout(15):
            await work
        noting.cancel()
    return face, shifts


def test_what_a_server_draws_leaves_together_here_too() -> None:
    keeper, truth = Keeper(), Truth()
    with running() as server:
        _, shifts = asyncio.run(watched(server, truth, keeper))
    sounds, pictures, moves = keeper.of(Sound), keeper.of(Picture), keeper.of(Movement)
    assert [t.piece.position for t in sounds] == list(range(0, 960 * len(sounds), 960))
    assert len(pictures) >= 20
    assert all(t.piece.planes.shape == (768, 512) for t in pictures)  # type: ignore[union-attr]
    assert len(moves) >= 20
    assert {t.piece.position for t in moves} <= {t.piece.position for t in pictures}
    assert all(t.piece.position % 960 == 312 for t in pictures), "Opus gives the sound 312 samples late"
    assert keeper.closed == 1

    voice = np.concatenate([t.piece.pcm for t in sounds]).astype(float)  # type: ignore[union-attr]
    shapes = [tuple(round(float(x), 4) for x in t.piece.motion.blendshapes) for t in moves]  # type: ignore[union-attr]
    pairs = list(zip(moves, shapes, strict=True))[len(moves) // 2 :]  # by then the quickest have come
    apart = Counter(t.piece.position - truth.motions[known] for t, known in pairs if known in truth.motions)
    usual, count = apart.most_common(1)[0]
    off = usual - truth.later(voice)
    assert count > 0.6 * apart.total(), "they stand still against one another"
    apart_by = [abs((off + shift - shifts[0] + 480) % 960 - 480) for shift in shifts]
    assert min(apart_by) <= 24, "whole pieces of sound, Opus's delay included, and what was put in or left out"
    assert abs(off) <= 0.2 * RATE, "together, but for what a busy machine needs longer for pictures than for sound"
    assert jaws(keeper).max() > OPEN
    assert np.abs(voice).max() > 3000


def test_motion_alone_needs_no_pictures() -> None:
    mover = Mover()
    with running() as server:
        face, _ = asyncio.run(watched(server, Truth(), mover, 2.0))
    assert not face.wants(Picture)
    assert len(mover.of(Movement)) >= 20
    assert jaws(mover).max() > OPEN


def test_no_server_is_said() -> None:
    with pytest.raises(TalkError, match=r"cannot be reached|is it running"):
        asyncio.run(ServedFace("http://127.0.0.1:9", "nobody", [OutputLine(Mover())]).run())
