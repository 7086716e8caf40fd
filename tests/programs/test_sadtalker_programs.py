"""ExpNet's lips say, as a program, frame by frame, what torch says of the whole recording."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch

from engine.audio.mel_columns import KNOWN, held
from engine.audio.sound_files import read_speech
from engine.config import EngineConfig
from engine.contracts import SAMPLES_PER_FRAME, FloatArray
from engine.errors import VivifyError
from engine.export.sadtalker_steps import load_expnet
from engine.face.blendshapes import NAMES
from engine.paths import assets
from engine.pipeline import Pipeline, Request
from engine.programs.expnet_lips import LIPS, ExpNetLips
from engine.sadtalker.voice.mel_windows import mel_windows

pytestmark = pytest.mark.cpu

FRAMES = 40
WEIGHTS = assets() / "weights"
ON = np.array([True, False])


@pytest.fixture(autouse=True)
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


@pytest.fixture(scope="module")
def voice() -> FloatArray:
    """Longer than is looked at: beyond a recording's end a stream hears silence."""
    return read_speech(assets() / "speech.wav")[: SAMPLES_PER_FRAME * (FRAMES + 4)]


def frame(voice: FloatArray, k: int) -> FloatArray:
    return np.stack([voice[SAMPLES_PER_FRAME * k : SAMPLES_PER_FRAME * (k + 1)]] * 2)


def heard(voice: FloatArray, ahead: int) -> FloatArray:
    """The recording's windows as a stream with this look-ahead knows them."""
    windows = mel_windows(torch.from_numpy(voice)).numpy()
    return held(windows, np.full(len(windows), KNOWN[ahead]))


@pytest.mark.parametrize("ahead", [0, 2, 3])
def test_lips_of_a_stream_are_those_of_the_recording(voice: FloatArray, ahead: int) -> None:
    net = load_expnet(WEIGHTS / "expnet.safetensors")
    with torch.inference_mode():
        windows = torch.from_numpy(heard(voice, ahead))[None]
        rest = torch.zeros(1, len(NAMES))
        whole = net(windows, rest, torch.zeros(1, windows.shape[1]))[0].clamp(0, 1).numpy()
    lips = ExpNetLips(2)
    for k in range(30):
        shapes = np.full((2, len(NAMES)), 0.25, np.float32)
        lips.speak(shapes, frame(voice, k), np.full(2, ahead), ON)
        if k >= ahead + 2:
            np.testing.assert_allclose(shapes[0, LIPS], whole[k - ahead, LIPS], atol=2e-4)
        others = np.setdiff1d(np.arange(len(NAMES)), LIPS)
        assert (shapes[0, others] == 0.25).all()
        assert (shapes[1] == 0.25).all(), "a row that hears nothing keeps its lips"


def test_a_barge_in_shuts_the_mouth(voice: FloatArray) -> None:
    lips, shapes = ExpNetLips(1), np.zeros((1, len(NAMES)), np.float32)
    openings = []
    for k in range(40):
        if k == 30:
            lips.forget(np.array([True]))
        sound = frame(voice, k + 10)[:1] if k < 30 else np.zeros((1, SAMPLES_PER_FRAME), np.float32)
        lips.speak(shapes, sound, np.array([2]), np.array([True]))
        openings.append(float(shapes[0, NAMES.index("jawOpen")]))
    assert max(openings[:30]) > 0.15
    assert max(openings[30:]) < 0.08


def test_the_pipeline_moves_by_them() -> None:
    voice = read_speech(assets() / "speech.wav")[SAMPLES_PER_FRAME * 20 :]
    moved = {}
    for lips in ("branch", "expnet"):
        pipeline = Pipeline(EngineConfig(size=256, max_sessions=1, lips=lips))
        row = pipeline.join(None, 120, seed=2)
        motions = []
        for k in range(30):
            piece = voice[SAMPLES_PER_FRAME * k : SAMPLES_PER_FRAME * (k + 1)]
            motions.append(pipeline.step([Request(row, piece, 0.5, True)])[0].motion)
        moved[lips] = [m for m in motions if m is not None]
    ours, theirs = moved["branch"], moved["expnet"]
    assert len(ours) == len(theirs) == 27
    jaw = NAMES.index("jawOpen")
    assert max(m.blendshapes[jaw] for m in theirs) > 0.1
    assert any(abs(a.blendshapes[jaw] - b.blendshapes[jaw]) > 0.01 for a, b in zip(ours, theirs, strict=True))
    assert not any(m.lip_offsets.any() for m in theirs)
    assert any(m.blendshapes[NAMES.index("browInnerUp")] > 0 for m in theirs), "brows stay ours"


@pytest.mark.parametrize("odd", [{"lips": "wav2lip"}, {"lips": "expnet", "device": "cuda"}])
def test_what_is_not_offered_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(VivifyError, match=r"must be one of|run on a CPU alone"):
        EngineConfig(**odd)
