"""A live face over a real engine: voice and pictures leave together, whatever an output does, and nothing stays."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from receivers import Breaking, Keeper, Mover, Refusing, Stuck
from serving import engine

from clients.live.live_face import LiveFace
from clients.live.sound_sources import FileSource
from clients.outputs.output import Movement, Output, OutputError, Picture, Sound
from clients.outputs.output_line import OutputLine
from engine.audio.sound_files import read_speech
from engine.face.blendshapes import INDEX
from engine.paths import assets

pytestmark = pytest.mark.cpu

SECONDS = 2.5


@pytest.fixture(scope="module")
def speech(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The beginning of the bundled sentence; and the engine runs."""
    engine()
    path = tmp_path_factory.mktemp("speech") / "speech.wav"
    pcm = np.round(32767 * read_speech(assets() / "speech.wav", 48_000)[: int(48_000 * SECONDS)]).astype(np.int16)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("pcm_s16le", rate=48_000, layout="mono")
        frame = av.AudioFrame.from_ndarray(pcm[None], "s16", "mono")
        frame.sample_rate = 48_000
        for packet in [*stream.encode(frame), *stream.encode(None)]:
            file.mux(packet)
    return path


def run(speech: Path, *outputs: Output) -> LiveFace:
    async def go() -> LiveFace:
        face = LiveFace(engine(), FileSource(speech), [OutputLine(output) for output in outputs], 80)
        await face.run(None, 0)
        return face

    return asyncio.run(go())


def test_voice_and_face_leave_together_however_an_output_behaves(speech: Path) -> None:
    keeper, stuck = Keeper(), Stuck()
    breaking = Breaking(OutputError("The app has gone."))
    threading.Timer(SECONDS + 1.0, stuck.let_go.set).start()
    face = run(speech, keeper, stuck, breaking)
    sounds, pictures, moves = keeper.of(Sound), keeper.of(Picture), keeper.of(Movement)

    voice = np.concatenate([t.piece.pcm for t in sounds])  # type: ignore[union-attr]
    assert [t.piece.position for t in sounds] == list(range(0, 960 * len(sounds), 960)), "no gap on the timeline"
    given = np.round(32767 * read_speech(speech, 48_000)).astype(np.int16)
    loud = [piece for piece in given.reshape(-1, 960) if np.abs(piece).max() > 1000]
    whole = sum(piece.tobytes() in voice.tobytes() for piece in loud)
    assert whole > 0.9 * len(loud), "it is the voice, sample by sample, but for what a busy machine brings late"

    assert len(pictures) >= 10, "25 a second, less what a busy machine leaves out"
    assert all(t.piece.position % 1920 == 0 and t.piece.planes.shape == (768, 512) for t in pictures)  # type: ignore[union-attr]
    assert [t.piece.position for t in moves] == [t.piece.position for t in pictures]
    due = {t.piece.position: t.piece.due for t in sounds}
    apart = [abs(t.piece.due - due[t.piece.position]) for t in pictures if t.piece.position in due]
    assert max(apart) < 0.010, "one position, one time, but for what the clock was steered meanwhile"
    taken = {t.piece.position: t.at for t in sounds}
    lags = [t.at - taken[t.piece.position] for t in pictures if t.piece.position in taken]
    assert abs(float(np.median(lags))) < 0.040

    jaw = np.array([t.piece.motion.blendshapes[INDEX["jawOpen"]] for t in moves])  # type: ignore[union-attr]
    assert jaw.max() > 0.15
    assert face.playout.shown == len(pictures)
    assert "gone" in face.lines[2].state
    assert face.lines[1].dropped[Picture] >= len(pictures) - 8
    assert keeper.closed == breaking.closed == 1
    assert not [t for t in threading.enumerate() if t.name.startswith(("output keeper", "sound file"))]


def test_without_anybody_to_see_pictures_none_is_drawn(speech: Path) -> None:
    mover = Mover()
    face = run(speech, mover)
    assert not face.draws
    moves = mover.of(Movement)
    assert len(moves) >= 10
    jaw = np.array([t.piece.motion.blendshapes[INDEX["jawOpen"]] for t in moves])  # type: ignore[union-attr]
    assert jaw.max() > 0.15
    assert all(t.piece.motion.lip_offsets.shape == (40, 3) for t in moves)  # type: ignore[union-attr]


def test_an_output_that_cannot_be_had_refuses_it_all_and_nothing_stays(speech: Path) -> None:
    keeper = Keeper()
    with pytest.raises(OutputError, match="plug it in"):
        run(speech, keeper, Refusing())
    assert keeper.closed == 1
    assert not [t for t in threading.enumerate() if t.name.startswith(("output", "sound file"))]
