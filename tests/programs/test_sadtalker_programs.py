"""ExpNet's lips and PoseVAE's head as programs say, frame by frame, what torch says of the whole recording."""

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
from engine.export.sadtalker_steps import load_expnet, load_posevae
from engine.face.blendshapes import NAMES
from engine.motion.chance import normal
from engine.motion.head.head_pose import LIMITS, within
from engine.motion.head.pose_codebook import scale
from engine.paths import assets
from engine.pipeline import Pipeline, Request
from engine.programs.expnet_lips import LIPS, ExpNetLips
from engine.programs.motion_programs import MotionPrograms
from engine.programs.posevae_head import SOFTLY, WIDE, PoseVaeHead
from engine.sadtalker.voice.mel_windows import mel_windows

pytestmark = pytest.mark.cpu

FRAMES = 70  # more than two stretches of a head
WEIGHTS = assets() / "weights"
ON, BOTH = np.array([True, False]), np.array([True, True])


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


def by_torch(voice: FloatArray, ahead: int, seed: int) -> FloatArray:
    """The head of a recording, stretch by stretch, as `engine.programs.posevae_head` tells it."""
    net, style = load_posevae(WEIGHTS / "posevae.safetensors")
    frames, latent = net.shape.frames, net.shape.latent
    sound = net.hear(torch.from_numpy(heard(voice, ahead))[None])
    reference = [torch.zeros(1, 6), torch.zeros(1, 6)]
    chance, begun, said = [np.zeros((1, latent), np.float32)] * 2, [0, 0], []
    last = torch.zeros(1, 6)
    for k in range(FRAMES):
        if k % (frames - SOFTLY) == 0:
            number = k // (frames - SOFTLY)
            reference = [reference[1], last]
            chance = [chance[1], WIDE * normal(np.array([seed]), np.array([number]), latent)]
            begun = [begun[1], k]
        poses = []
        for slot in (0, 1):
            place = min(k - begun[slot] + int(slot == 0 and k < frames - SOFTLY), frames - 1)
            at = torch.arange(begun[slot], begun[slot] + frames).clamp(max=k)
            audio = sound[:, at]
            if slot == 0 and k < frames - SOFTLY:  # before the first stretch there was none: it hears what comes
                audio = sound[:, (torch.arange(frames) - 1).clamp(0, k)]
            motion = net.decode(torch.from_numpy(chance[slot]), audio, reference[slot], torch.tensor([style]))
            poses.append(reference[slot] + motion[:, place])
        x = min(1.0, (k - begun[1] + 1) / SOFTLY)
        last = poses[0] + x * x * (3 - 2 * x) * (poses[1] - poses[0])
        said.append(within(last * scale(last))[0].numpy())
    return np.stack(said)


def streamed(voice: FloatArray, ahead: int, seeds: list[int], frames: int = FRAMES) -> FloatArray:
    head = PoseVaeHead(2)
    head.begin(BOTH, np.array(seeds))
    said = []
    for k in range(frames + ahead):
        shown = BOTH if k >= ahead else ~BOTH
        poses = head.step(frame(voice, k), np.full(2, ahead), BOTH, shown)
        if k >= ahead:
            said.append(poses.copy())
    return np.stack(said)


def test_a_head_in_a_stream_is_that_of_the_recording(voice: FloatArray) -> None:
    said = streamed(voice, 2, [3, 4])
    with torch.inference_mode():
        for row, seed in enumerate((3, 4)):
            wanted = by_torch(voice, 2, seed)
            np.testing.assert_allclose(said[SOFTLY:, row], wanted[SOFTLY:], atol=2e-4)
    assert np.abs(said[:, 0] - said[:, 1]).max() > 1e-3, "another seed, another head"


def test_no_head_jumps_and_none_leaves_its_limits(voice: FloatArray) -> None:
    said = streamed(voice, 2, [5, 6])
    assert (np.abs(said) < np.array(LIMITS)).all()
    steps = np.degrees(np.abs(np.diff(said[:, :, :3], axis=0))).max((1, 2))
    seams = [k * 24 - 1 for k in (1, 2)]
    assert steps[seams].max() < 1.5 * np.percentile(steps, 95) + 0.3
    assert np.degrees(np.abs(said[0, :, :3])).max() < 1.5, "it begins near the portrait"


def test_a_head_that_is_not_shown_stands_still_and_one_begun_anew_forgets(voice: FloatArray) -> None:
    head = PoseVaeHead(2)
    head.begin(BOTH, np.array([1, 1]))
    for k in range(12):
        head.step(frame(voice, k), np.full(2, 1), BOTH, BOTH)
    before = head.step(frame(voice, 12), np.full(2, 1), BOTH, BOTH).copy()
    still = head.step(frame(voice, 13), np.full(2, 1), BOTH, ON).copy()
    np.testing.assert_array_equal(still[1], before[1])
    assert (still[0] != before[0]).any()
    np.testing.assert_array_equal(head.step(frame(voice, 14), np.full(2, 1), ~BOTH, ~BOTH), still)
    head.begin(ON, np.array([1, 1]))
    again = head.step(frame(voice, 0), np.full(2, 0), BOTH, BOTH)
    fresh = PoseVaeHead(2)
    fresh.begin(BOTH, np.array([1, 1]))
    np.testing.assert_allclose(again[0], fresh.step(frame(voice, 0), np.full(2, 0), BOTH, BOTH)[0], atol=1e-6)


def test_the_pipeline_moves_by_them() -> None:
    voice = read_speech(assets() / "speech.wav")[SAMPLES_PER_FRAME * 20 :]
    moved = {}
    for lips, mover in (("branch", "codebook"), ("expnet", "posevae")):
        pipeline = Pipeline(EngineConfig(size=256, max_sessions=1, lips=lips, mover=mover))
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


@pytest.mark.parametrize(
    "odd",
    [
        {"lips": "wav2lip"},
        {"mover": "none"},
        {"lips": "expnet", "device": "cuda"},
    ],
)
def test_what_is_not_offered_is_refused(odd: dict[str, Any]) -> None:
    with pytest.raises(VivifyError, match=r"must be one of|run on a CPU alone"):
        EngineConfig(**odd)


def test_both_are_cheap_in_memory_that_does_not_grow() -> None:
    programs, head = MotionPrograms(1, lips="expnet"), PoseVaeHead(1)
    one = np.array([True])
    programs.begin(one, np.array([1]))
    head.begin(one, np.array([1]))
    sizes = set()
    for _ in range(5):
        programs.step(np.zeros((1, 640), np.float32), ~one, np.array([2]), one, one)
        head.step(np.zeros((1, 640), np.float32), np.array([2]), one, one)
        held_in = [*head._stretch.inputs.values()]
        sizes.add(sum(a.nbytes for a in held_in))
    assert len(sizes) == 1
