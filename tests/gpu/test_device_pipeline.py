"""The pipeline on a device gives the pipeline's frames: three sessions that come, go and fall silent."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from engine.config import EngineConfig
from engine.cuda.cuda_pipeline import DevicePipeline
from engine.errors import VivifyError
from engine.evaluation.picture_figures import psnr
from engine.face.avatar import Avatar
from engine.marking.mark_code import MarkIds
from engine.marking.mark_pattern import mark_planes
from engine.paths import assets
from engine.pipeline import Drawn, Pipeline, Request
from engine.process.engine_process import EngineProcess
from kernels import rgb_to_i420

CONFIG = EngineConfig(size=256, max_sessions=3, quality="geometry", mover="codebook")


@pytest.fixture(scope="module")
def avatar() -> Avatar:
    return Avatar.load(assets() / "avatars" / "astronaut")


def noise(rng: np.random.Generator) -> np.ndarray:
    return (0.1 * rng.standard_normal(640)).astype(np.float32)


def conversation(pipeline: Pipeline, avatar: Avatar) -> list[Drawn]:
    """Two talk, one listens in RGBA; one is interrupted; the first leaves and another comes."""
    rng = np.random.default_rng(2)
    rows = [pipeline.join(avatar, delay, seed) for delay, seed in ((80, 1), (0, 2), (40, 3))]
    out = []
    for k in range(9):
        if k == 5:
            pipeline.forget(rows[1])
            pipeline.leave(rows[0])
            assert pipeline.join(avatar, 0, 9) == rows[0]
        requests = [
            Request(row, noise(rng), 0.5, True, draw=k % 4 != 3, matte=row == 2) for row in rows if k != 2 or row != 1
        ]
        for drawn in pipeline.step(requests):
            copy = None if drawn.picture is None else drawn.picture.copy()
            out.append(Drawn(drawn.row, drawn.motion, copy, 0, 0, 0))
    return out


def equals_the_pipeline(avatar: Avatar, device: str) -> None:
    wanted = conversation(Pipeline(CONFIG), avatar)
    pipeline = DevicePipeline(CONFIG, device, portraits=1)
    pipeline.warm_up(avatar)
    got = conversation(pipeline, avatar)
    pictures = 0
    for one, other in zip(got, wanted, strict=True):
        assert (one.motion is None) == (other.motion is None)
        assert (one.picture is None) == (other.picture is None)
        if one.motion is not None and other.motion is not None:
            assert one.motion.position == other.motion.position
            assert np.abs(one.motion.blendshapes - other.motion.blendshapes).max() < 1e-3
        if one.picture is None or other.picture is None:
            continue
        planes = other.picture if other.row == 2 else rgb_to_i420(torch.from_numpy(other.picture)).numpy()
        assert one.picture.shape == planes.shape
        assert psnr(one.picture, planes) >= 45
        pictures += 1
    assert pictures >= 12


@pytest.mark.cpu
def test_rows_are_marked_where_they_are_drawn(avatar: Avatar) -> None:
    pipeline, ids = DevicePipeline(CONFIG, "cpu", portraits=1), MarkIds(3, 4)
    plain, marked = pipeline.join(avatar, 0, 1), pipeline.join(avatar, 0, 1)
    assert pipeline.mark(marked, ids)
    drawn = pipeline.step([Request(row, np.zeros(640, np.float32), 0.0, False) for row in (plain, marked)])
    wanted, got = (one.picture for one in drawn)
    assert wanted is not None
    assert got is not None
    wanted = wanted.copy()
    mark_planes(wanted, ids)
    assert np.abs(got.astype(int) - wanted).max() <= 1
    assert (got != wanted).mean() < 1e-3


@pytest.mark.cpu
def test_frames_equal_the_pipelines(avatar: Avatar) -> None:
    equals_the_pipeline(avatar, "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_frames_on_a_gpu_equal_the_pipelines(avatar: Avatar) -> None:
    equals_the_pipeline(avatar, "cuda")


@pytest.mark.cpu
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_gpu_that_is_not_there_is_refused_in_a_sentence() -> None:
    with pytest.raises(VivifyError, match=r"torch sees none: check the driver"):
        DevicePipeline(CONFIG)


@pytest.mark.cpu
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_an_engine_process_passes_the_sentence_on() -> None:
    with pytest.raises(VivifyError, match=r"torch sees none: check the driver"):
        EngineProcess(EngineConfig(size=256, device="cuda")).start()
    with pytest.raises(VivifyError, match=r"must be one of cpu, cuda, but 'tpu' was given"):
        EngineConfig(device="tpu")
